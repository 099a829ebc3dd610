"""Owns what each of Bybit's error codes means for us; refuses to branch on message texts.

An unknown code is ambiguous: nobody may conclude from it that an order does not exist.
"""

import enum

from tickwright.core.events import Outcome
from tickwright.core.orders import RequestKind

__all__ = ["Reaction", "http_reaction", "is_time_refused", "outcome_of", "reaction_of"]


class Reaction(enum.Enum):
    """What to do about an answer."""

    OK = "ok"
    """Treat as success."""
    RETRY = "retry"
    """After back-off, with the same client id."""
    UNKNOWN = "unknown"
    """Don't assume failure: query by client id before anything else."""
    RESYNC = "resync"
    """The local view is old: read the state again."""
    REJECT = "reject"
    """Final for this order; don't repeat it unchanged."""
    PAUSE = "pause"
    """The symbol doesn't trade now."""
    STOP = "stop"
    """Halt trading: a person is needed."""
    SILENCE = "silence"
    """No HTTP request at all for at least ten minutes."""


_RATE_CODES = frozenset({10006, 170222, 20003, 10403})
"""Refused for going too fast. Clients disagree on whether the request may have passed."""
_TIME_CODES = frozenset({10002, -1})
_BUSY_CODES = frozenset({110079, 170144, 170191, 170212, 40004})
_DONE_CODES = frozenset({110008, 110010, 170139, 170142, 170190})
"""The order is already completed or cancelled: too late for a cancel or amend."""
_MISSING_CODES = frozenset({110001, 170213, 170143})
"""No such order: filled, cancelled, or not visible yet."""

_REACTIONS: dict[Reaction, frozenset[int]] = {
    # 20001 is "already authenticated"; the rest says "nothing to change".
    Reaction.OK: frozenset({0, 20001, 110025, 110026, 110027, 110043, 34040}),
    Reaction.RETRY: _RATE_CODES | _TIME_CODES | _BUSY_CODES,
    Reaction.UNKNOWN: frozenset(
        {
            *(429, 10429, 10000, 170007, 170146, 170147, 170310),
            *(10016, 170001, 170005, 170032, 170234, 10019, 500000),
            *(10014, 20006, 110072, 170141),  # duplicates: the first submission probably lives
        }
    ),
    Reaction.RESYNC: _MISSING_CODES | _DONE_CODES | frozenset({110064, 170313, 110017}),
    Reaction.STOP: frozenset(
        {
            *(10003, 33004, -2015, 10004, 10005, 10007, 10008, 10009, 10010),
            *(10024, 10027, 10028, 10029, 10017, 10404),
            *(110020, 110009, 170810, 110061),  # too many open orders
            *(110011, 110039, 110040, 110046, 182104),  # would trigger liquidation
            *(110123, 110124, 110125),  # terms to accept, cooling-off
        }
    ),
    Reaction.PAUSE: frozenset(
        {
            *(110066, 110063, 110074, 170151, 170157, 30228),
            *range(110095, 110103),  # pre-market auction
            # risk limit or reduce-only symbol: opening is blocked
            *(110021, 110022, 110023, 110042, 110085, 110086, 110089, 110090),
        }
    ),
    Reaction.REJECT: frozenset(
        {
            10001,
            *(170312, 170145),  # a type that can't be amended or cancelled
            *(110004, 110006, 110007, 110012, 110014, 110044, 110045),  # balance or margin
            *(110051, 110052, 110053, 170131, 170033),
            *(110003, 110120, 110121, 30208, 30209, 170132, 170133),  # price outside limits
            *(170192, 170193, 170194, 170371, 170372),
            *(110094, 170140),  # notional below minimum
            *(170134, 170136, 170137, 170148),  # decimals or minimum
            *(170124, 170341, 170381, 170382, 170197, 170198, 170228, 170229),  # too large
            *(170218, 170217, 110103),  # maker-only price would take
            *(110092, 110093),  # trigger price on the wrong side
        }
    ),
}
_REACTION_OF = {code: reaction for reaction, codes in _REACTIONS.items() for code in codes}
assert len(_REACTION_OF) == sum(map(len, _REACTIONS.values())), "a code has two reactions"

_OUTCOMES = {
    Reaction.OK: Outcome.ACCEPTED,
    Reaction.UNKNOWN: Outcome.UNKNOWN,
    Reaction.REJECT: Outcome.REFUSED,
    Reaction.PAUSE: Outcome.REFUSED,
    Reaction.STOP: Outcome.REFUSED,
}


def reaction_of(code: int) -> Reaction:
    """Return what to do about a code of any Bybit answer; an unknown one is `UNKNOWN`."""
    return _REACTION_OF.get(code, Reaction.UNKNOWN)


def is_time_refused(code: int) -> bool:
    """Whether the venue says that a request was stamped with a wrong time."""
    return code in _TIME_CODES


def outcome_of(code: int, request: RequestKind) -> Outcome:
    """Return what a code proves about an order request.

    A create refused for its rate counts as unknown, because a doubled order costs more than a
    query. A cancel refused for its rate or because the order is busy is refused: it may be sent
    again at once, and a cancel can't double. "No such order" proves nothing by itself.
    """
    reaction = reaction_of(code)
    is_create = request is RequestKind.CREATE
    if code in _RATE_CODES:
        return Outcome.REFUSED if request is RequestKind.CANCEL else Outcome.UNKNOWN
    if code in _DONE_CODES:
        return Outcome.UNKNOWN if is_create else Outcome.ALREADY_DONE
    if code in _MISSING_CODES:
        return Outcome.UNKNOWN
    if code in _BUSY_CODES:
        return Outcome.UNKNOWN if is_create else Outcome.REFUSED
    if reaction in (Reaction.RETRY, Reaction.RESYNC):
        # Out of the time window, amended below the filled size, nothing left to reduce: the venue
        # did not do it.
        return Outcome.REFUSED
    return _OUTCOMES[reaction]


def http_reaction(status: int) -> Reaction:
    """Return what to do about an HTTP status without a readable body."""
    if 200 <= status < 300:
        return Reaction.OK
    if status == 403:
        return Reaction.SILENCE
    if status in (400, 401, 404, 405):
        return Reaction.STOP
    return Reaction.UNKNOWN


_REMEDIES = {
    10003: "the key is unknown there: look whether key and environment (env) belong together",
    -2015: "the key is unknown there: look whether key and environment (env) belong together",
    33004: "the key has expired: make a new one at the venue and put it in the old one's place",
    10004: "the secret doesn't belong to the key: copy both again",
    10005: "the key lacks a permission: allow it to read and trade what the strategies trade",
    10010: "the key is bound to other addresses: allow this machine's, or make a new key",
    10009: "the address is banned: wait, and ask the venue",
    10024: "the venue bars this account by its rules for your country",
    10002: "the clock is off: let NTP set it (`timedatectl set-ntp true`)",
    10006: "asked too fast: wait a few seconds; another program may share the account",
    403: "the address is banned for ten minutes, or the venue bars your country",
}


def remedy_of(code: int) -> str:
    """Return what a person can do about a refused question; "" where nothing general helps."""
    return _REMEDIES.get(code, "")
