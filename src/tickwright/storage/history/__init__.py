"""History in PostgreSQL or TimescaleDB: typed rows in, each once, never on the trading path."""

__all__: list[str] = []
