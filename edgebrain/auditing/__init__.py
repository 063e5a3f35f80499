"""What in a data set would flatter a model: copies, contradictions, broken masks, shortcuts, the worth of leaks."""
