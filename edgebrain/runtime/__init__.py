"""What a device runs: NumPy, OpenCV and one interpreter. Never a training library, never the command line's."""
