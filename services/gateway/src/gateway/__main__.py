"""`python -m gateway` serves the HTTP API until it is told to stop."""

from gateway.app import build
from servicekit.service import main

if __name__ == "__main__":
    main(build)
