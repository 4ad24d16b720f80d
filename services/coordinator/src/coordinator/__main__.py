"""`python -m coordinator`: this service alone."""

from servicekit.service import main

from coordinator.app import build

main(build)
