"""Owns how large a signal's order is; refuses numbers that are none, and says how it got its size.

A signal names a wished position, so what is held already in its direction is taken off. Arithmetic
is in whole numbers: a float (confidence, volatility, returns) becomes parts per million first,
rounded down, so that the size is the same on every machine. Every step that shrinks the size adds a
sentence, which is put into words when somebody reads it.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.units import MONEY_ONE, money_from_decimal, money_to_decimal
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.portfolio.valuation import quote_value, unit_value
from tickwright.risk.bound_limits import PARTS, BoundLimits, BoundSizing

__all__ = ["EQUITY_MAX", "RETURNS_MAX", "ClosedReturns", "SizeDecision", "Sizer"]

EQUITY_MAX = 10**13 * MONEY_ONE
"""More than ten thousand billions is taken for a broken figure."""
RETURNS_MAX = 1_000
"""Closed trades remembered per strategy."""
WORTH_UNITS = 10**12
_ONE = 1 << 60
_WORTHS_MAX = 100_000

# Looking a member up in its class is a Python call, and these are asked for every order.
_EXIT = SignalKind.EXIT
_SHORT = SignalKind.SHORT

Sentence = tuple[Callable[..., str], *tuple[object, ...]]
"""A function and what it makes a sentence of, which it does when somebody reads it: an order never
waits for its explanation."""


class ClosedReturns:
    """A strategy's closed trades as fractions of their notional, the last `RETURNS_MAX`.

    Mean and variance are ready at any time: their sums are kept as whole numbers of 2^-60, exact
    when a trade leaves again, and cost the same after a thousand trades as after one.
    """

    __slots__ = (
        "_broken",
        "_scaled",
        "_square_sum",
        "_sum",
        "count",
        "is_finite",
        "mean",
        "total",
        "variance",
    )

    def __init__(self, returns: Iterable[float] = ()) -> None:
        self._scaled: deque[int | None] = deque()
        self._sum = 0
        self._square_sum = 0
        self._broken = 0
        self.count = 0
        self.total = 0
        """Ever added: what left again counts too."""
        self.is_finite = True
        """Whether every one of them is a number."""
        self.mean = 0.0
        self.variance = 0.0
        """Of the sample; 0 until there are two."""
        for fraction in returns:
            self.add(fraction)

    def add(self, fraction: float) -> None:
        """Take one more; the oldest leaves at the bound."""
        if len(self._scaled) >= RETURNS_MAX:
            self._count(self._scaled.popleft(), -1)
        wide = fraction * _ONE
        scaled = int(wide) if math.isfinite(wide) else None
        self._scaled.append(scaled)
        self._count(scaled, 1)
        self.total += 1
        # Divided here, where nobody waits: an order would pay 2 us for it.
        self.count = count = len(self._scaled)
        self.is_finite = not self._broken
        self.mean = self._sum / (count * _ONE)
        if count > 1:
            squares = count * self._square_sum - self._sum * self._sum
            self.variance = squares / (count * (count - 1) * _ONE * _ONE)

    def fractions(self) -> tuple[float | None, ...]:
        """Return them, oldest first, so that they can be added again; None is no number."""
        return tuple(None if one is None else one / _ONE for one in self._scaled)

    def _count(self, scaled: int | None, sign: int) -> None:
        if scaled is None:
            self._broken += sign
        else:
            self._sum += sign * scaled
            self._square_sum += sign * scaled * scaled


class SizeDecision:
    """A size with its reasons, written on request."""

    __slots__ = ("_sentences", "size_units")

    def __init__(self, size_units: int, sentences: list[Sentence]) -> None:
        self.size_units = size_units
        self._sentences = sentences

    @property
    def explanation(self) -> tuple[str, ...]:
        """The reasons in order, the first one saying where the size started."""
        return tuple(write(*figures) for write, *figures in self._sentences)

    def __repr__(self) -> str:
        return f"SizeDecision({self.size_units}, {self.explanation})"


class _Worth:
    """What an instrument's sizes are worth, as whole numbers, for one version of it."""

    __slots__ = ("instrument", "notional_min", "size_units_max", "unit_value")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.unit_value = unit_value(instrument)
        self.notional_min = money_from_decimal(instrument.notional_min)
        self.size_units_max = min(instrument.market_size_max_units, instrument.size_max_units)

    def of(self, size_units: int, price_units: int) -> int:
        """Return the worth of a size in money units of the quote asset."""
        if self.unit_value:
            return size_units * price_units * self.unit_value
        return quote_value(self.instrument, size_units, price_units)


class Sizer:
    """Sizes signals: a part of equity by confidence and volatility, capped by what is visible.

    Remembers nothing but figures of instruments; one serves every account.
    """

    def __init__(self) -> None:
        # Bounded by the instruments of the process.
        self._worths: dict[InstrumentId, _Worth] = {}

    def size(
        self,
        signal: Signal,
        *,
        instrument: Instrument,
        book: OrderBook | None,
        equity: int | None,
        price_units: int | None,
        volatility: float | None,
        position_units: int,
        limits: BoundLimits,
        closed_returns: ClosedReturns | None = None,
    ) -> SizeDecision | Rejected:
        """Size a signal.

        `equity` is money of the instrument's quote asset (`Account.equity_in`). `volatility` is
        the deviation of returns over the interval `volatility_target_percent` was chosen for.
        `limits` are the gate's for this strategy and instrument (`Gate.lane`). With fewer
        `closed_returns` than `kelly_trades_min`, or None, Kelly has no say. An exit is for the
        whole position, a short on spot for what is held.
        """
        fault = signal.fault()
        if fault is not None:
            return _rejected(Reason.SIGNAL_INVALID, fault, "a usable signal")
        kind, confidence = signal.kind, signal.confidence
        if kind is _EXIT:
            return _close(instrument, position_units, Reason.NOTHING_TO_CLOSE, "exit")
        if kind is _SHORT and instrument.is_spot:
            return _close(
                instrument, position_units, Reason.SHORT_UNAVAILABLE, "spot sells holdings"
            )
        if confidence < limits.confidence_min:
            bound = f"at least {limits.confidence_min:g}"
            return _rejected(Reason.CONFIDENCE_TOO_LOW, f"{confidence:g}", bound)
        if equity is None or not 0 < equity <= EQUITY_MAX:
            value = "unknown" if equity is None else f"{money_to_decimal(equity):.6g}"
            return _rejected(Reason.NO_EQUITY, value, f"0 to {money_to_decimal(EQUITY_MAX):.0E}")
        if price_units is None or price_units <= 0:
            return _rejected(Reason.PRICE_UNKNOWN, f"{price_units}", "a price above zero")
        if book is None or not book.is_synced:
            return _rejected(Reason.BOOK_NOT_SYNCED, "no proven book", "synced")
        sizing = limits.sizing
        floor_parts = sizing.confidence_floor_parts
        parts = floor_parts + (PARTS - floor_parts) * int(confidence * PARTS) // PARTS
        notional = equity * sizing.equity_parts // PARTS * parts // PARTS
        why: list[Sentence] = [(_start_sentence, equity, parts, confidence, instrument, sizing)]
        if volatility is not None or sizing.volatility_target is not None:
            scaled = _by_volatility(notional, volatility, sizing, why)
            if type(scaled) is Rejected:
                return scaled
            notional = scaled
        if closed_returns is not None and closed_returns.count >= sizing.kelly_trades_min:
            capped = _by_kelly(notional, equity, closed_returns, instrument, sizing, why)
            if type(capped) is Rejected:
                return capped
            notional = capped
        worth = self._worths.get(instrument.id)
        if worth is None or worth.instrument is not instrument:
            assert len(self._worths) < _WORTHS_MAX, "instruments must be few"
            worth = self._worths[instrument.id] = _Worth(instrument)
        if worth.unit_value:
            size_units = notional // (price_units * worth.unit_value)
        else:
            size_units = notional * WORTH_UNITS // worth.of(WORTH_UNITS, price_units)
        sign = -1 if kind is _SHORT else 1
        return _fit(size_units, sign, price_units, position_units, worth, book, sizing, why)


def _fit(
    size_units: int,
    sign: int,
    price_units: int,
    position_units: int,
    worth: _Worth,
    book: OrderBook,
    sizing: BoundSizing,
    why: list[Sentence],
) -> SizeDecision | Rejected:
    """Take off what is held, cap by the visible book, round down, look at minimums."""
    instrument = worth.instrument
    held = position_units * sign
    if held > 0:
        size_units -= held
        why.append((_held_sentence, instrument, held))
        if size_units <= 0:
            value = f"holds {instrument.size_text(held)}"
            bound = f"{instrument.size_text(size_units + held)} wished by this signal"
            return _rejected(Reason.POSITION_LIMIT, value, bound)
    touch = (book.best_ask_size if sign > 0 else book.best_bid_size) or 0
    if size_units > touch * sizing.depth_parts // PARTS:
        # More than the touch alone allows: only now the other levels matter.
        cap = _depth_cap(sign, book, sizing)
        if cap <= 0:
            return _rejected(Reason.DEPTH_TOO_THIN, "nothing visible", "some depth to take")
        if size_units > cap:
            size_units = cap
            why.append((_depth_sentence, instrument, cap, sizing))
    if size_units > worth.size_units_max:
        size_units = worth.size_units_max
        why.append((_venue_sentence, instrument, size_units))
    fitting = size_units // instrument.lot_units * instrument.lot_units
    if fitting <= 0 or fitting < instrument.size_min_units:
        value = f"size {instrument.size_text(size_units)} ({_joined(why)})"
        bound = f"at least {instrument.size_text(instrument.size_min_units)}"
        return _rejected(Reason.SIZE_INVALID, value, bound)
    if worth.notional_min and worth.of(fitting, price_units) < worth.notional_min:
        now = money_to_decimal(worth.of(fitting, price_units))
        value = f"{now:.4f} {instrument.quote_asset} ({_joined(why)})"
        bound = f"at least {instrument.notional_min} {instrument.quote_asset}"
        return _rejected(Reason.NOTIONAL_TOO_SMALL, value, bound)
    why.append((_lots_sentence, instrument, fitting))
    return SizeDecision(fitting, why)


def _by_volatility(
    notional: int, volatility: float | None, sizing: BoundSizing, why: list[Sentence]
) -> int | Rejected:
    if volatility is not None and not (math.isfinite(volatility) and volatility > 0.0):
        return _rejected(Reason.SIGNAL_INVALID, f"volatility {volatility}", "a number above zero")
    target = sizing.volatility_target
    if target is None:
        return notional
    if volatility is None:
        bound = f"known, to aim at {sizing.configured.volatility_target_percent} %"
        return _rejected(Reason.SIGNAL_INVALID, "volatility unknown", bound)
    most = sizing.volatility_scale_parts_max
    parts = min(most, int(min(target / volatility, float(most)) * PARTS))
    why.append((_volatility_sentence, parts, volatility, sizing))
    return notional * parts // PARTS


def _by_kelly(
    notional: int,
    equity: int,
    closed_returns: ClosedReturns,
    instrument: Instrument,
    sizing: BoundSizing,
    why: list[Sentence],
) -> int | Rejected:
    if not closed_returns.is_finite:
        return _rejected(Reason.SIGNAL_INVALID, "a closed trade's return is no number", "finite")
    count, variance = closed_returns.count, closed_returns.variance
    # Thorp, "The Kelly criterion in blackjack, sports betting and the stock market" (1997): for
    # small returns the growth is largest at mean / variance. The mean is shrunk towards no edge as
    # a normal prior of `kelly_trades_min` trades at zero does (n / (n + k), James and Stein 1961):
    # one known from few trades is mostly luck.
    mean = closed_returns.mean * count / (count + sizing.kelly_trades_min)
    if mean <= 0.0:
        value = f"mean return {mean:.3g} over {count} trades"
        return _rejected(Reason.SIGNAL_INVALID, value, "an edge above zero (Kelly)")
    kelly = sizing.kelly_fraction * mean / variance if variance > 0.0 else math.inf
    # A fraction beyond a hundred times equity says nothing more: other limits are far below it.
    cap = equity * int(min(kelly, 100.0) * PARTS) // PARTS
    if cap >= notional:
        return notional
    why.append((_kelly_sentence, cap, count, instrument, sizing))
    return cap


def _depth_cap(sign: int, book: OrderBook, sizing: BoundSizing) -> int:
    levels = sizing.depth_levels
    visible = book.asks_size(levels) if sign > 0 else book.bids_size(levels)
    return visible * sizing.depth_parts // PARTS


# sentences ----------------------------------------------------------------------------------------


def _joined(why: list[Sentence]) -> str:
    return "; ".join(write(*figures) for write, *figures in why)


def _start_sentence(
    equity: int, parts: int, confidence: float, instrument: Instrument, sizing: BoundSizing
) -> str:
    return (
        f"{sizing.configured.equity_percent} % of {money_to_decimal(equity):.2f} "
        f"{instrument.quote_asset} x {parts / PARTS:.3f} for confidence {confidence:.3g}"
    )


def _volatility_sentence(parts: int, volatility: float, sizing: BoundSizing) -> str:
    target = sizing.configured.volatility_target_percent
    return f"x {parts / PARTS:.3f} for volatility {volatility * 100:.3g} % against {target} %"


def _kelly_sentence(cap: int, count: int, instrument: Instrument, sizing: BoundSizing) -> str:
    return (
        f"capped at {money_to_decimal(cap):.2f} {instrument.quote_asset}: "
        f"{sizing.configured.kelly_fraction} of Kelly over {count} trades"
    )


def _held_sentence(instrument: Instrument, held: int) -> str:
    return f"less {instrument.size_text(held)} held already"


def _depth_sentence(instrument: Instrument, cap: int, sizing: BoundSizing) -> str:
    share = sizing.configured.depth_share_percent_max
    return f"capped at {instrument.size_text(cap)}: {share} % of {sizing.depth_levels} levels"


def _venue_sentence(instrument: Instrument, size_units: int) -> str:
    return f"capped at the venue's maximum {instrument.size_text(size_units)}"


def _lots_sentence(instrument: Instrument, size_units: int) -> str:
    return f"{instrument.size_text(size_units)} in whole lots"


def _closing_sentence(instrument: Instrument, size_units: int, what: str) -> str:
    return f"{what}: all {instrument.size_text(size_units)} held"


def _close(
    instrument: Instrument, position_units: int, reason: Reason, what: str
) -> SizeDecision | Rejected:
    held = abs(position_units)
    if held == 0 or (instrument.is_spot and position_units < 0):
        return _rejected(reason, "nothing held", "a position to close")
    # A contract's position is on its lot; spot dust below a lot can't be sold and stays.
    fitting = held // instrument.lot_units * instrument.lot_units
    if fitting == 0:
        return _rejected(reason, f"holds {instrument.size_text(held)}, less than a lot", "a lot")
    return SizeDecision(fitting, [(_closing_sentence, instrument, fitting, what)])


def _rejected(reason: Reason, value: str, bound: str) -> Rejected:
    return Rejected(Check(reason, value, bound))
