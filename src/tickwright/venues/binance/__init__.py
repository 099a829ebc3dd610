"""Binance: the book messages of its recordings, spot and USD-M futures."""

__all__: list[str] = []
