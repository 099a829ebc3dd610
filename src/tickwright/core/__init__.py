"""The words everyone speaks: instruments, units, events, orders, commands, verdicts, errors.

Pure.
"""

__all__: list[str] = []
