"""Figures into text that a person reads."""
