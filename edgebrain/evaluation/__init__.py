"""Figures from answers and truth: per slice, per class and plane, tumour and healthy kept apart."""
