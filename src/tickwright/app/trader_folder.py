"""Owns where a configuration's trader keeps things; refuses to need keys or strategies for it."""

from pathlib import Path

from tickwright.app.config_model import KillFile
from tickwright.app.kill_target import read_kill_file
from tickwright.app.paper_settings import state_folder
from tickwright.core.errors import ConfigError
from tickwright.storage.journal_index import JournalIndex, index_path

__all__ = ["TraderFolder"]


class TraderFolder:
    """What a configuration says of where its trader keeps things; keys and strategies unread.

    Raises:
        ConfigError: the tables it needs are wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: KillFile = read_kill_file(path)
        self.sessions = path.parent / self.file.session.dir
        self.state = state_folder(self.sessions, is_paper=self.file.is_paper)

    def journals(self) -> dict[str, Path]:
        """Return the journal's folder of each account, as `venue:name`; not all need exist."""
        found = {}
        for name, account in self.file.accounts.items():
            venue = self.file.venues.get(account.venue)
            if venue is None:
                raise ConfigError(f"{self.path}: account {name} names no venue of [venues]")
            found[f"{venue.kind}:{name}"] = self.state / f"journal-{venue.kind}-{name}"
        return found

    def index(self, journal: Path) -> JournalIndex:
        """Return the index of a journal, brought up to date."""
        index = JournalIndex(journal, index_path(self.state, journal))
        index.refresh()
        return index
