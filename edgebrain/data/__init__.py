"""Data sets: readers, groups, splits, the pack that training reads, and the built-in phantoms."""
