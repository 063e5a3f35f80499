"""The network: as data (`spec`), as a Keras model (`network`), and as an engine (`engine`)."""
