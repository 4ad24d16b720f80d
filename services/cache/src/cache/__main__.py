"""`python -m cache` runs one cache process."""

from cache.app import build
from servicekit.service import main

if __name__ == "__main__":
    main(build)
