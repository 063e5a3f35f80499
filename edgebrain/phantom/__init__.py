"""The built-in data set of head slices with lesions, drawn from a seed."""
