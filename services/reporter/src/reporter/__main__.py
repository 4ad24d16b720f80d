"""`python -m reporter`."""

from servicekit.service import main

from reporter.app import build

if __name__ == "__main__":
    main(build)
