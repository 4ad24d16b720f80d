"""`python -m fetcher`: one fetcher process."""

from servicekit.service import main

from fetcher.app import build

if __name__ == "__main__":
    main(build)
