"""Each test here has a cache folder of its own."""

from tests.data.conftest import cache

__all__ = ["cache"]
