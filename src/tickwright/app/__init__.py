"""The fuse box: configuration, wiring, and the one guard around what may break."""

__all__: list[str] = []
