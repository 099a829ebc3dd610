"""Runs the command line as `python -m tickwright`. Owns nothing but that door."""

from tickwright.cli.main import main

if __name__ == "__main__":
    main()
