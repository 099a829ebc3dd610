"""Owns how large a signal's order is; refuses numbers that are none, and says how it got its size.

A signal names a wished position, so what is held already in its direction is taken off. Arithmetic
is in whole numbers: a float (confidence, volatility, returns) becomes parts per million first,
rounded down, so that the size is the same on every machine. Every step that shrinks the size adds a
sentence.
"""

import math
from collections.abc import Sequence

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.instrument import Instrument
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.units import MONEY_ONE, money_to_decimal
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.portfolio.valuation import quote_value
from tickwright.risk.limits import PARTS, BoundLimits, SizingLimits

__all__ = ["EQUITY_MAX", "SizeDecision", "Sizer"]

EQUITY_MAX = 10**13 * MONEY_ONE
"""More than ten thousand billions is taken for a broken figure."""
WORTH_UNITS = 10**12


class SizeDecision(msgspec.Struct, frozen=True):
    """A size with its reasons, the first one saying where it started."""

    size_units: int
    explanation: tuple[str, ...]


class Sizer:
    """Sizes signals: a part of equity by confidence and volatility, capped by what is visible.

    Holds no state; one serves every account.
    """

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
        closed_returns: Sequence[float] | None = None,
    ) -> SizeDecision | Rejected:
        """Size a signal.

        `equity` is money of the instrument's quote asset (`Portfolio.equity_in`). `volatility` is
        the deviation of returns over the interval `volatility_target_percent` was chosen for.
        `limits` are the gate's for this strategy and instrument (`Gate.bound_limits`).
        `closed_returns` are the strategy's closed trades as fractions of their notional; with fewer
        than `kelly_trades_min` of them, or None, Kelly has no say. An exit is for the whole
        position, a short on spot for what is held.
        """
        fault = signal.fault()
        if fault is not None:
            return _rejected(Reason.SIGNAL_INVALID, fault, "a usable signal")
        if signal.kind is SignalKind.EXIT:
            return _close(instrument, position_units, Reason.NOTHING_TO_CLOSE, "exit")
        if signal.kind is SignalKind.SHORT and instrument.is_spot:
            return _close(
                instrument, position_units, Reason.SHORT_UNAVAILABLE, "spot sells holdings"
            )
        if signal.confidence < limits.confidence_min:
            bound = f"at least {limits.confidence_min:g}"
            return _rejected(Reason.CONFIDENCE_TOO_LOW, f"{signal.confidence:g}", bound)
        if equity is None or not 0 < equity <= EQUITY_MAX:
            value = "unknown" if equity is None else f"{money_to_decimal(equity):.6g}"
            return _rejected(Reason.NO_EQUITY, value, f"0 to {money_to_decimal(EQUITY_MAX):.0E}")
        if price_units is None or price_units <= 0:
            return _rejected(Reason.PRICE_UNKNOWN, f"{price_units}", "a price above zero")
        if book is None or not book.is_synced:
            return _rejected(Reason.BOOK_NOT_SYNCED, "no proven book", "synced")
        why: list[str] = []
        notional = _notional(signal.confidence, equity, instrument, limits.sizing, why)
        scaled = _by_volatility(notional, volatility, limits.sizing, why)
        if isinstance(scaled, Rejected):
            return scaled
        capped = _by_kelly(scaled, equity, closed_returns, instrument, limits.sizing, why)
        if isinstance(capped, Rejected):
            return capped
        worth = quote_value(instrument, WORTH_UNITS, price_units)
        size_units = capped * WORTH_UNITS // worth
        sign = 1 if signal.kind is SignalKind.LONG else -1
        return self._fit(
            size_units, sign, price_units, position_units, instrument, book, limits, why
        )

    def _fit(
        self,
        size_units: int,
        sign: int,
        price_units: int,
        position_units: int,
        instrument: Instrument,
        book: OrderBook,
        limits: BoundLimits,
        why: list[str],
    ) -> SizeDecision | Rejected:
        """Take off what is held, cap by the visible book, round down, look at minimums."""
        held = position_units * sign
        if held > 0:
            size_units -= held
            why.append(f"less {instrument.size_text(held)} held already")
            if size_units <= 0:
                value = f"holds {instrument.size_text(held)}"
                bound = f"{instrument.size_text(size_units + held)} wished by this signal"
                return _rejected(Reason.POSITION_LIMIT, value, bound)
        cap = _depth_cap(sign, book, limits.sizing)
        if cap <= 0:
            return _rejected(Reason.DEPTH_TOO_THIN, "nothing visible", "some depth to take")
        if size_units > cap:
            size_units = cap
            share = limits.sizing.depth_share_percent_max
            why.append(
                f"capped at {instrument.size_text(cap)}: {share} % of "
                f"{limits.sizing.depth_levels} levels"
            )
        if size_units > instrument.market_size_max_units or size_units > instrument.size_max_units:
            size_units = min(instrument.market_size_max_units, instrument.size_max_units)
            why.append(f"capped at the venue's maximum {instrument.size_text(size_units)}")
        fitting = size_units // instrument.lot_units * instrument.lot_units
        if fitting < max(1, instrument.size_min_units):
            value = f"size {instrument.size_text(size_units)} ({'; '.join(why)})"
            bound = f"at least {instrument.size_text(instrument.size_min_units)}"
            return _rejected(Reason.SIZE_INVALID, value, bound)
        value_now = quote_value(instrument, fitting, price_units)
        if value_now < instrument.notional_min * MONEY_ONE:
            worth = f"{money_to_decimal(value_now):.4f} {instrument.quote_asset}"
            value = f"{worth} ({'; '.join(why)})"
            bound = f"at least {instrument.notional_min} {instrument.quote_asset}"
            return _rejected(Reason.NOTIONAL_TOO_SMALL, value, bound)
        why.append(f"{instrument.size_text(fitting)} in whole lots")
        return SizeDecision(fitting, tuple(why))


def _notional(
    confidence: float, equity: int, instrument: Instrument, sizing: SizingLimits, why: list[str]
) -> int:
    full = equity * int(sizing.equity_percent * 10_000) // PARTS
    floor_parts = int(sizing.confidence_floor * PARTS)
    parts = floor_parts + (PARTS - floor_parts) * int(confidence * PARTS) // PARTS
    notional = full * parts // PARTS
    why.append(
        f"{sizing.equity_percent} % of {money_to_decimal(equity):.2f} {instrument.quote_asset} "
        f"x {parts / PARTS:.3f} for confidence {confidence:.3g}"
    )
    return notional


def _by_volatility(
    notional: int, volatility: float | None, sizing: SizingLimits, why: list[str]
) -> int | Rejected:
    if volatility is not None and not (math.isfinite(volatility) and volatility > 0.0):
        return _rejected(Reason.SIGNAL_INVALID, f"volatility {volatility}", "a number above zero")
    target = sizing.volatility_target_percent
    if target is None:
        return notional
    if volatility is None:
        bound = f"known, to aim at {target} %"
        return _rejected(Reason.SIGNAL_INVALID, "volatility unknown", bound)
    most = int(sizing.volatility_scale_max * PARTS)
    parts = min(most, int(min(float(target) / 100.0 / volatility, float(most)) * PARTS))
    why.append(f"x {parts / PARTS:.3f} for volatility {volatility * 100:.3g} % against {target} %")
    return notional * parts // PARTS


def _by_kelly(
    notional: int,
    equity: int,
    closed_returns: Sequence[float] | None,
    instrument: Instrument,
    sizing: SizingLimits,
    why: list[str],
) -> int | Rejected:
    if closed_returns is None or len(closed_returns) < sizing.kelly_trades_min:
        return notional
    if not all(math.isfinite(value) for value in closed_returns):
        return _rejected(Reason.SIGNAL_INVALID, "a closed trade's return is no number", "finite")
    count = len(closed_returns)
    mean = math.fsum(closed_returns) / count
    variance = math.fsum((value - mean) ** 2 for value in closed_returns) / (count - 1)
    # Shrunk towards no edge: a mean known from few trades is mostly luck.
    mean *= count / (count + sizing.kelly_trades_min)
    if mean <= 0.0:
        value = f"mean return {mean:.3g} over {count} trades"
        return _rejected(Reason.SIGNAL_INVALID, value, "an edge above zero (Kelly)")
    kelly = float(sizing.kelly_fraction) * mean / variance if variance > 0.0 else math.inf
    # A fraction beyond a hundred times equity says nothing more: other limits are far below it.
    cap = equity * int(min(kelly, 100.0) * PARTS) // PARTS
    if cap >= notional:
        return notional
    why.append(
        f"capped at {money_to_decimal(cap):.2f} {instrument.quote_asset}: "
        f"{sizing.kelly_fraction} of Kelly over {count} trades"
    )
    return cap


def _depth_cap(sign: int, book: OrderBook, sizing: SizingLimits) -> int:
    levels = book.asks(sizing.depth_levels) if sign > 0 else book.bids(sizing.depth_levels)
    visible = sum(size for _, size in levels)
    return visible * int(sizing.depth_share_percent_max * 10_000) // PARTS


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
    return SizeDecision(fitting, (f"{what}: all {instrument.size_text(fitting)} held",))


def _rejected(reason: Reason, value: str, bound: str) -> Rejected:
    return Rejected(Check(reason, value, bound))
