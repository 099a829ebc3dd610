"""Owns the names of our orders: made, recognised and read back; refuses to name two alike.

A client id is a prefix, the strategy's tag, the run's epoch and a counter: letters and digits
alone, the same length for ever, at most what every venue takes. The tag tells the owner even of an
order whose record is lost.
"""

from hashlib import blake2b

from tickwright.core.errors import ConfigError
from tickwright.core.identity import ClientId, StrategyId

__all__ = ["CLIENT_ID_LENGTH", "ClientIds"]

_PREFIX = "tw"
_TAG_LENGTH = 5
_EPOCH_LENGTH = 12
_COUNTER_LENGTH = 7
CLIENT_ID_LENGTH = len(_PREFIX) + _TAG_LENGTH + _EPOCH_LENGTH + _COUNTER_LENGTH
"""26 characters; venues take 32 and more."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
"""The last two characters of a counter, looked up: naming is on the order path."""


def _base36(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    if number:
        raise ConfigError(f"a number is too large for {length} characters of a client id")
    return "".join(reversed(digits))


class ClientIds:
    """Names orders of one run; the epoch is unique among all runs on the account."""

    def __init__(self, epoch: int) -> None:
        if epoch < 0:
            raise ConfigError(f"the epoch must not be negative: {epoch}")
        self._epoch = _base36(epoch, _EPOCH_LENGTH)
        self._stems: dict[StrategyId, str] = {}
        self._owners: dict[str, StrategyId] = {}
        self._counter = 0
        self._counter_head = _base36(0, _COUNTER_LENGTH - 2)

    @staticmethod
    def tag(strategy_id: StrategyId) -> str:
        """Return the five characters that stand for a strategy in every run."""
        digest = int.from_bytes(blake2b(strategy_id.encode(), digest_size=8).digest())
        return _base36(digest % 36**_TAG_LENGTH, _TAG_LENGTH)

    def register(self, strategy_id: StrategyId) -> None:
        """Make a strategy known.

        Raises:
            ConfigError: it is known already, or its tag equals another's.
        """
        tag = self.tag(strategy_id)
        if tag in self._owners:
            raise ConfigError(
                f"strategy {strategy_id!r} can't be told from {self._owners[tag]!r}: rename one"
            )
        self._owners[tag] = strategy_id
        self._stems[strategy_id] = f"{_PREFIX}{tag}{self._epoch}"

    def next(self, strategy_id: StrategyId) -> ClientId:
        """Return a name never given before."""
        self._counter += 1
        head, tail = divmod(self._counter, len(_PAIRS))
        if not tail:
            self._counter_head = _base36(head, _COUNTER_LENGTH - 2)
        return ClientId(self._stems[strategy_id] + self._counter_head + _PAIRS[tail])

    @staticmethod
    def is_ours(client_id: str | None) -> bool:
        """Whether a name has our form: ours of this run or of another."""
        return (
            client_id is not None
            and len(client_id) == CLIENT_ID_LENGTH
            and client_id.startswith(_PREFIX)
            and client_id.isascii()
            and client_id.isalnum()
        )

    def owner(self, client_id: str | None) -> StrategyId | None:
        """Return the strategy a name belongs to, of whatever run, or None."""
        if client_id is None or not self.is_ours(client_id):
            return None
        return self._owners.get(client_id[len(_PREFIX) : len(_PREFIX) + _TAG_LENGTH])

    @property
    def last(self) -> str:
        """Number of the last name given, of all runs: later ones are greater as text."""
        return self._epoch + _base36(self._counter, _COUNTER_LENGTH)

    @staticmethod
    def number(client_id: ClientId) -> str:
        """Return the number of one of our names, to be compared with `last`."""
        return client_id[len(_PREFIX) + _TAG_LENGTH :]

    @property
    def issued(self) -> int:
        """How many names were given."""
        return self._counter
