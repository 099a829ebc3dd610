"""Owns how a wish becomes an order: price, time in force, bracket; refuses what can't be planned.

Pure: a plan is an `OrderIntent` for the gate. Prices come from the touch and are rounded with their
side named; slippage caps are rounded inward, so that an order never goes further than it was
allowed.
"""

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import PlaceOrder
from tickwright.core.exits import Exits, PlannedExits
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Order, OrderIntent, OrderType, Purpose, Side, TimeInForce
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.core.work import Algorithm, FollowTouch, Iceberg, Twap, WorkRecord
from tickwright.execution.config import ExecutionConfig

__all__ = ["PARTS", "Bracket", "Planner"]

PARTS = 10**9
"""Fractions count in so many parts."""
_BPS_PARTS = 10**5
# Looking a member up in its class is a Python call, and these are asked for every order.
_BUY, _SELL = Side.BUY, Side.SELL
_LONG, _EXIT = SignalKind.LONG, SignalKind.EXIT
_GTC, _IOC = TimeInForce.GTC, TimeInForce.IOC
_LIMIT = OrderType.LIMIT
_OPEN = Purpose.OPEN


class Bracket(msgspec.Struct, frozen=True, gc=False):
    """Prices at which a position is closed, in price units; None for none."""

    stop_units: int | None = None
    take_units: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to watch."""
        return self.stop_units is None and self.take_units is None


_NO_BRACKET = Bracket()


class Planner:
    """Plans entries, exits and brackets by one configuration."""

    def __init__(self, config: ExecutionConfig) -> None:
        self._config = config
        self.enters_at_once = config.entry == "marketable"
        """Whether every entry is one order, and no algorithm has a say."""
        self._entry_parts = round(config.slippage_bps_max * _BPS_PARTS)
        self._exit_parts = round(config.exit_slippage_bps_max * _BPS_PARTS)
        self._valid_ns = config.valid_ms * 1_000_000

    def entry(
        self,
        signal: Signal,
        *,
        size_units: int,
        book: OrderBook,
        instrument: Instrument,
        now_ns: int,
        attached: Exits | None,
    ) -> OrderIntent | Rejected:
        """Plan the order that opens what a long or short signal asks for.

        `attached` is the policy whose stop loss and take profit go with the order; None: neither.
        """
        assert signal.kind is not _EXIT, "an exit opens nothing"
        side = _BUY if signal.kind is _LONG else _SELL
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return Rejected(Check(Reason.BOOK_EMPTY, "a side is empty", "both sides"))
        is_buy = side is _BUY
        reference = ask if is_buy else bid
        time_in_force = _GTC
        if signal.price_units is not None:
            price_units = reference = signal.price_units
        else:
            price_units = _capped(reference, self._entry_parts, side, instrument)
            time_in_force = _IOC
        bracket = _NO_BRACKET
        if attached is not None:
            # Around the worst entry allowed, or the stop could lie inside the slippage.
            bracket = self.bracket(
                side,
                price_units,
                instrument,
                stop_loss_fraction=attached.stop_loss_fraction or None,
                take_profit_fraction=attached.take_profit_fraction or None,
            )
        return OrderIntent(
            instrument_id=instrument.id,
            side=side,
            size_units=size_units,
            order_type=_LIMIT,
            price_units=price_units,
            time_in_force=time_in_force,
            purpose=_OPEN,
            stop_loss_price_units=bracket.stop_units,
            take_profit_price_units=bracket.take_units,
            valid_until_ns=now_ns + self._valid_ns,
            reason=signal.reason,
        )

    def algorithm(
        self, signal: Signal, size_units: int, book: OrderBook, instrument: Instrument
    ) -> Algorithm | None:
        """Return how a long or short signal is worked, or None: by one order.

        A signal's own price is where an iceberg rests and what a slice may not go beyond; without
        an algorithm for it, it is a resting order's.
        """
        config, price_units = self._config, signal.price_units
        if config.entry == "twap":
            twap = config.twap
            return Twap(
                duration_ms=twap.duration_ms,
                slices=twap.slices,
                randomise_fraction=twap.randomise_fraction,
                slippage_bps_max=config.slippage_bps_max,
                price_units=price_units,
            )
        if config.entry == "iceberg":
            touch = book.best_bid if signal.kind is _LONG else book.best_ask
            resting = touch if price_units is None else price_units
            if resting is None:
                return None
            shown = round(size_units * config.iceberg.shown_fraction)
            lot = instrument.lot_units
            shown = max(shown // lot * lot, lot, -(-instrument.size_min_units // lot) * lot)
            return Iceberg(
                shown_units=shown, price_units=resting, give_up_ms=config.iceberg.give_up_ms
            )
        if config.entry == "passive" and price_units is None:
            passive = config.passive
            return FollowTouch(
                offset_ticks=passive.offset_ticks,
                amend_ms_min=passive.amend_ms_min,
                give_up_ms=config.entry_timeout_ms,
                chase_bps_max=passive.chase_bps_max,
            )
        return None

    def exit(
        self,
        *,
        share_units: int,
        account_units: int,
        reducing_units: int,
        book: OrderBook,
        instrument: Instrument,
        purpose: Purpose,
        reason: str,
        now_ns: int,
    ) -> OrderIntent | Rejected:
        """Plan the next step of closing a strategy's share, at once with a slippage cap.

        Reduce-only acts on the account's position, so a step is either the part of the share that
        is also there in the account (reduce-only, less what others' reduce-only orders take), or,
        when other strategies' opposite positions hide it, a plain order of the share's size.

        Args:
            share_units: signed size attributed to the strategy.
            account_units: signed size of the account's position (for spot: what may be sold).
            reducing_units: size of reduce-only orders already working against that position.
        """
        if not share_units:
            return Rejected(Check(Reason.NOTHING_TO_CLOSE, "flat", "a position"))
        side = _SELL if share_units > 0 else _BUY
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return Rejected(Check(Reason.BOOK_EMPTY, "a side is empty", "both sides"))
        size_units = abs(share_units)
        reduce_only = False
        if instrument.is_spot:
            size_units = min(size_units, max(0, account_units))
        elif account_units * share_units > 0:
            free_units = abs(account_units) - reducing_units
            if free_units <= 0:
                check = Check(
                    Reason.NOTHING_TO_CLOSE,
                    f"{instrument.size_text(reducing_units)} is being closed already",
                    f"position {instrument.size_text(abs(account_units))}",
                )
                return Rejected(check)
            size_units = min(size_units, free_units)
            reduce_only = instrument.capabilities.has_reduce_only
        lot = instrument.lot_units
        size_units = min(size_units, instrument.size_max_units) // lot * lot
        if size_units <= 0:
            return Rejected(
                Check(Reason.NOTHING_TO_CLOSE, "less than a lot", instrument.size_text(lot))
            )
        touch = bid if side is _SELL else ask
        return OrderIntent(
            instrument_id=instrument.id,
            side=side,
            size_units=size_units,
            order_type=_LIMIT,
            price_units=_capped(touch, self._exit_parts, side, instrument),
            time_in_force=_IOC,
            reduce_only=reduce_only,
            purpose=purpose,
            valid_until_ns=now_ns + self._valid_ns,
            reason=reason,
        )

    @staticmethod
    def bracket(
        side: Side,
        entry_units: int,
        instrument: Instrument,
        *,
        stop_loss_fraction: float | None,
        take_profit_fraction: float | None,
    ) -> Bracket:
        """Return stop and take profit around an entry price, for the side that opened.

        A stop is rounded toward the entry (never a larger loss than asked for), a take profit away
        from it; both stay at least a tick from it and inside the instrument's price bounds. A stop
        that has no room there is none: the price can't go any further against the position.
        """
        tick, sign = instrument.tick_units, 1 if side is _BUY else -1
        least, most = instrument.price_min_units, instrument.price_max_units
        stop = take = None
        base = -(-entry_units // tick) * tick if side is _BUY else entry_units // tick * tick
        if stop_loss_fraction is not None:
            distance = entry_units * round(stop_loss_fraction * PARTS) // PARTS // tick * tick
            stop = base - sign * (distance or tick)
            if not least <= stop <= most:
                stop = _moved_inside(stop, instrument)
            if (entry_units - stop) * sign <= 0:
                stop = None
        if take_profit_fraction is not None:
            distance = -(-entry_units * round(take_profit_fraction * PARTS) // PARTS)
            distance = -(-distance // tick) * tick
            take = base + sign * (distance or tick)
            if not least <= take <= most:
                take = _moved_inside(take, instrument)
        return Bracket(stop, take)

    @staticmethod
    def command(
        order: Order,
        event_id: int,
        *,
        planned: PlannedExits | None = None,
        work: WorkRecord | None = None,
    ) -> PlaceOrder:
        """Return the command that sends an approved order.

        `planned` and `work` are for the journal alone.
        """
        intent = order.intent
        return PlaceOrder(
            account_id=order.account_id,
            client_id=order.client_id,
            instrument_id=order.instrument_id,
            strategy_id=order.strategy_id,
            side=intent.side,
            size_units=order.size_units,
            order_type=intent.order_type,
            price_units=intent.price_units,
            time_in_force=intent.time_in_force,
            post_only=intent.post_only,
            reduce_only=intent.reduce_only,
            leg=intent.leg,
            stop_loss_price_units=intent.stop_loss_price_units,
            take_profit_price_units=intent.take_profit_price_units,
            trigger_price_units=intent.trigger_price_units,
            trigger_by=intent.trigger_by,
            valid_until_ns=intent.valid_until_ns,
            event_id=event_id,
            planned=planned,
            work=work,
        )


def _capped(touch: int, parts: int, side: Side, instrument: Instrument) -> int:
    """Return the worst price an order may take: `parts` of the touch through it, rounded inward."""
    tick = instrument.tick_units
    distance = touch * parts // PARTS // tick * tick
    if side is _BUY:
        return min(touch + distance, instrument.price_max_units // tick * tick)
    return max(touch - distance, -(-instrument.price_min_units // tick) * tick)


def _moved_inside(price_units: int, instrument: Instrument) -> int:
    """Return the price on the tick next to a price that is out of the instrument's bounds."""
    least, most, tick = (
        instrument.price_min_units,
        instrument.price_max_units,
        instrument.tick_units,
    )
    return -(-least // tick) * tick if price_units < least else most // tick * tick
