"""Backtests: the live engine over recorded books, with a venue that keeps the rules."""
