"""`python -m edgebrain` is `edgebrain`."""

from edgebrain.cli import main

main()
