"""Owns setting a position's stops at Bybit; refuses to guess what a failure left behind.

The venue closes the whole position at market when a stop is reached by the last price. Setting the
same again answers "not modified", which is success: the request may be repeated.
"""

from typing import TYPE_CHECKING

import msgspec

from tickwright.core.commands import SetPositionStops
from tickwright.core.errors import ConnectionLost, FrameError
from tickwright.core.events import Outcome, StopsReply
from tickwright.core.instrument import Instrument
from tickwright.venues.bybit.errors import Reaction, reaction_of
from tickwright.venues.bybit.private_decode import leg_index

if TYPE_CHECKING:
    # Backtests make the same forms and need no HTTP client, whose import costs a tenth of a second.
    from tickwright.venues.bybit.rest_call import RestAnswered, RestCaller

__all__ = ["StopsForm", "send_stops", "stops_form", "stops_outcome"]

_PATH = "/v5/position/trading-stop"
_OUTCOMES = {
    Reaction.OK: Outcome.ACCEPTED,
    Reaction.REJECT: Outcome.REFUSED,
    Reaction.STOP: Outcome.REFUSED,
    Reaction.PAUSE: Outcome.REFUSED,
}
"""Anything else may pass, or is open: the request is repeated."""


class StopsForm(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A request in the venue's words; a field at its default isn't sent and leaves as it is."""

    category: str
    symbol: str
    positionIdx: int  # noqa: N815
    tpslMode: str  # noqa: N815
    takeProfit: str = ""  # noqa: N815
    stopLoss: str = ""  # noqa: N815
    trailingStop: str = ""  # noqa: N815
    activePrice: str = ""  # noqa: N815
    tpTriggerBy: str = ""  # noqa: N815
    slTriggerBy: str = ""  # noqa: N815


def stops_form(command: SetPositionStops, instrument: Instrument) -> StopsForm:
    """Return the venue's form of a request."""

    def text(units: int | None) -> str:
        return "" if units is None else instrument.price_text(units)

    take, stop = text(command.take_units), text(command.stop_units)
    return StopsForm(
        category=instrument.id.category.value,
        symbol=instrument.symbol,
        positionIdx=leg_index(command.leg),
        tpslMode="Full",
        takeProfit=take,
        stopLoss=stop,
        trailingStop=text(command.trailing_distance_units),
        activePrice=text(command.trailing_active_units),
        tpTriggerBy="LastPrice" if take else "",
        slTriggerBy="LastPrice" if stop else "",
    )


async def send_stops(
    caller: "RestCaller", command: SetPositionStops, instrument: Instrument
) -> "tuple[StopsReply, RestAnswered | None]":
    """Send the request once; a failure that proves nothing is `UNKNOWN`.

    Returns what became of it and the venue's answer, if one came.
    """
    category = instrument.id.category.value
    body = msgspec.json.encode(stops_form(command, instrument))
    try:
        answer = await caller.post(_PATH, body, group=f"stops.{category}", is_urgent=True)
    except (ConnectionLost, FrameError) as error:
        return _reply(command, Outcome.UNKNOWN, 0, str(error)), None
    return stops_outcome(command, answer.code, answer.text, venue_ns=answer.venue_ns), answer


def stops_outcome(
    command: SetPositionStops, code: int | None, text: str, *, venue_ns: int
) -> StopsReply:
    """Return what an answer with this code makes of a request; None: no answer came."""
    if code is None:
        return _reply(command, Outcome.UNKNOWN, 0, text)
    outcome = _OUTCOMES.get(reaction_of(code), Outcome.UNKNOWN)
    return _reply(command, outcome, code, text, venue_ns=venue_ns)


def _reply(
    command: SetPositionStops, outcome: Outcome, code: int, text: str, *, venue_ns: int = 0
) -> StopsReply:
    return StopsReply(
        account_id=command.account_id,
        instrument_id=command.instrument_id,
        number=command.number,
        outcome=outcome,
        code=code,
        text=text[:200],
        venue_ns=venue_ns,
    )
