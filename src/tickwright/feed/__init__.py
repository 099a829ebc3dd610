"""Keeps the books of many symbols alive over several sockets."""

__all__: list[str] = []
