"""Owns the bar of long work in a terminal; refuses to draw where nobody looks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Bar"]


class Bar:
    """A bar with a figure, words and the time left.

    One that `is_late` is drawn from its first figure on, or from `start`, and leaves stdout alone.
    """

    def __init__(
        self,
        console: "Console",
        name: str,
        *,
        total: float | None = None,
        figure: str = "{task.percentage:>3.0f} %",
        is_late: bool = False,
    ) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._is_late = is_late
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(figure),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=not is_late,
        )
        self._task = self._bar.add_task(name, total=total, words="")

    def __enter__(self) -> "Bar":
        if not self._is_late:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self) -> None:
        """Draw it, when it isn't drawn yet."""
        self._bar.start()

    def show(
        self, done: float, *, total: float | None = None, name: str | None = None, words: str = ""
    ) -> None:
        """Say how far it is, and more of it in words."""
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total, description=name, words=words)

    def show_tape(self, messages: int) -> None:
        """Say how many messages of a tape were written."""
        self.show(0, name=f"making the tape: {messages:,} messages")
