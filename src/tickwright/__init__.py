"""Tickwright: trade order books in Python. What a strategy author needs is exported here."""

__all__ = ["__version__"]

__version__ = "0.1.0"
