"""Networks: as data (`spec`, `families`), their weights (`network`), and as an engine (`engine`)."""
