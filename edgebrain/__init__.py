"""Train, compress, export and honestly measure a brain-MRI segmentation model for small devices.

Research software, not a medical device.
"""

__version__ = "0.1.0"
