"""`python -m farol`."""

from farol.cli import main

if __name__ == "__main__":
    main()
