"""Measuring bundles: requests to workers in turn, figures against the float parent, a typed report."""
