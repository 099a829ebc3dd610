"""Runs the command line as `python -m tickwright`. Owns nothing but that door."""

from tickwright.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
