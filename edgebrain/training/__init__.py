"""Recipe and data set in, run folder with a float bundle out."""
