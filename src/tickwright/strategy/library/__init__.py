"""Strategies that come with the package; none knows another."""

__all__: list[str] = []
