"""Sockets, clock and HTTP, without a venue's meaning."""

__all__: list[str] = []
