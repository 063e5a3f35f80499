"""Finding copies, mirror images and close neighbours among slices."""
