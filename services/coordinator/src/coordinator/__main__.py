"""`python -m coordinator`: this service alone."""

from coordinator.app import build
from servicekit.service import main

main(build)
