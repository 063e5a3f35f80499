"""A run's float model in, compressed bundles out: prune, retrain, calibrate, export, gate."""
