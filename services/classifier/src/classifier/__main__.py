"""`python -m classifier`."""

from classifier.app import build
from servicekit.service import main

if __name__ == "__main__":
    main(build)
