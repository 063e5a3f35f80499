"""The public API, one module a subject; `edgebrain` itself exports the names. The command line calls nothing else."""
