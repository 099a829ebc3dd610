"""The front door: the command line, one module per verb."""

__all__: list[str] = []
