"""`python -m fetcher`: one fetcher process."""

from fetcher.app import build
from servicekit.service import main

if __name__ == "__main__":
    main(build)
