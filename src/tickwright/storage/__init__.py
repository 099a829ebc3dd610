"""What outlives the process: the journal of what we promised, the session log of what we saw."""

__all__: list[str] = []
