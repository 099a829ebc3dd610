"""Owns a position's trailing stop and its partial take profits and stop losses; refuses full ones.

Full stops live in the matching engine. These are conditional reduce-only orders beside it, which
this room makes, moves and takes back: `follow` is called after every cause until it says no.
- A trailing stop waits for its activation price, then keeps its distance from the best last price
  seen; it closes the whole position at market.
- A partial stop closes its own size; with a sibling, the one that triggers cancels the other.
- All of them end with their position, as `CancelByTpSlTsClear`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tickwright.core.orders import Side, TriggerBy
from tickwright.matching import BookOrder, CancelReason, StopKind
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.records import Bracket, VenueOrder
from tickwright.simulator.private.settlement import (
    TRIGGER_WORDS,
    Settlement,
    SymbolDesk,
    position_key,
)
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["PARTIAL_STOPS_MAX", "PartialStop", "PositionStops", "Trail"]

PARTIAL_STOPS_MAX = 20
"""Partial stops of one leg; the venue takes no more than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialStop:
    """One half of a pair: where it triggers, how much it closes, at which limit (0: at market)."""

    trigger_units: int
    limit_units: int
    by: TriggerBy
    is_profit: bool


@dataclass(slots=True)
class Trail:
    """A trailing stop. `order` is there from the activation on."""

    account: Account
    index: int
    is_long: bool
    distance_units: int
    active_units: int
    rises: bool
    order: VenueOrder | None = None


@dataclass(slots=True)
class _Extras:
    """What this room keeps for one instrument, by position key."""

    trails: dict[int, Trail] = field(default_factory=dict)
    partials: dict[int, list[tuple[VenueOrder, bool]]] = field(default_factory=dict)
    siblings: dict[VenueOrder, VenueOrder] = field(default_factory=dict)


class PositionStops:
    """The stops beside the engine, of every instrument."""

    def __init__(
        self, venue: SimulatedVenue, settlement: Settlement, new_id: Callable[[], int]
    ) -> None:
        self._venue = venue
        self._settlement = settlement
        self._new_id = new_id
        self._extras: dict[SymbolDesk, _Extras] = {}

    def trailing(self, desk: SymbolDesk, key: int) -> tuple[int, int]:
        """Return (distance, activation price) of a leg's trailing stop; 0 is none."""
        extras = self._extras.get(desk)
        trail = extras.trails.get(key) if extras is not None else None
        return (0, 0) if trail is None else (trail.distance_units, trail.active_units)

    def set_trailing(
        self, desk: SymbolDesk, account: Account, index: int, distance: int, active: int
    ) -> None:
        """Set a leg's trailing stop; distance 0 removes it. The leg is open."""
        key = position_key(account.uid, index)
        extras = self._of(desk)
        old = extras.trails.pop(key, None)
        if old is not None and old.order is not None:
            self._cancel(desk, old.order)
        self._settlement.touch_position(desk, account, index)
        if not distance:
            return
        last = desk.matching.last_price_units
        is_long = desk.matching.position(key) > 0
        trail = Trail(account, index, is_long, distance, active, rises=active > last)
        extras.trails[key] = trail
        self._move(desk, trail)

    def add_partial(
        self, desk: SymbolDesk, account: Account, index: int, size: int, stops: list[PartialStop]
    ) -> list[VenueOrder]:
        """Add one partial stop, or a pair of which one cancels the other; the leg is open."""
        key = position_key(account.uid, index)
        is_long = desk.matching.position(key) > 0
        made = [self._partial(desk, account, index, size, stop, is_long) for stop in stops]
        extras = self._of(desk)
        extras.partials.setdefault(key, []).extend((order, is_long) for order in made)
        if len(made) == 2:
            extras.siblings[made[0]], extras.siblings[made[1]] = made[1], made[0]
        return made

    def count(self, desk: SymbolDesk, key: int) -> int:
        """Return how many partial stops a leg has."""
        extras = self._extras.get(desk)
        return 0 if extras is None else len(extras.partials.get(key, ()))

    def follows_trades(self, desk: SymbolDesk) -> bool:
        """Whether a stop here looks at every trade."""
        extras = self._extras.get(desk)
        return extras is not None and bool(extras.trails)

    def follow(self, desk: SymbolDesk) -> bool:
        """Let the stops follow what happened; True when that made events of its own."""
        if desk.bracket_fills:
            fresh, desk.bracket_fills = desk.bracket_fills, {}
            for order, size in fresh.items():
                self._attach(desk, order, size)
        extras = self._extras.get(desk)
        if extras is None:
            return bool(desk.matching.events)
        for key, trail in list(extras.trails.items()):
            held = desk.matching.position(key)
            over = held == 0 or (held > 0) is not trail.is_long
            if trail.order is not None and not trail.order.is_live:
                over = True
            if over:
                del extras.trails[key]
                if trail.order is not None and trail.order.status == "Untriggered":
                    self._cancel(desk, trail.order)
                self._settlement.touch_position(desk, trail.account, trail.index)
            else:
                self._move(desk, trail)
        for key, partials in list(extras.partials.items()):
            self._follow_partials(desk, extras, key, partials)
        if not (extras.trails or extras.partials):
            del self._extras[desk]
        return bool(desk.matching.events)

    def _follow_partials(
        self, desk: SymbolDesk, extras: _Extras, key: int, partials: list[tuple[VenueOrder, bool]]
    ) -> None:
        held = desk.matching.position(key)
        kept = []
        for order, is_long in partials:
            waits = order.status == "Untriggered"
            sibling = extras.siblings.get(order)
            triggered = sibling is not None and sibling.status not in ("Untriggered", "Deactivated")
            if waits and (held == 0 or (held > 0) is not is_long or triggered):
                self._cancel(desk, order)
                waits = False
            if waits:
                kept.append((order, is_long))
            else:
                # Its sibling stays and looks at its status in this same pass or the next.
                extras.siblings.pop(order, None)
        if kept:
            extras.partials[key] = kept
        else:
            del extras.partials[key]

    def _attach(self, desk: SymbolDesk, order: VenueOrder, size: int) -> None:
        """Give what an order has filled its partial stops, or grow those it has already."""
        bracket = order.bracket
        assert bracket is not None
        held = desk.matching.position(position_key(order.account.uid, order.position_index))
        if held * order.side <= 0:
            return
        grown = False
        for stop in (bracket.take_profit, bracket.stop_loss):
            if stop is not None and stop.status == "Untriggered":
                desk.matching.amend(
                    stop.number, self._venue.now_ns, size_units=stop.size_units + size
                )
                grown = True
        if grown:
            return
        stops = _stops_of(bracket)
        made = self.add_partial(desk, order.account, order.position_index, size, stops)
        for half, half_order in zip(stops, made, strict=True):
            if half.is_profit:
                bracket.take_profit = half_order
            else:
                bracket.stop_loss = half_order

    def _partial(
        self,
        desk: SymbolDesk,
        account: Account,
        index: int,
        size: int,
        stop: PartialStop,
        is_long: bool,  # noqa: FBT001 - one caller, named by its argument
    ) -> VenueOrder:
        word = "PartialTakeProfit" if stop.is_profit else "PartialStopLoss"
        return self._submit(
            desk,
            account,
            index,
            size,
            stop.trigger_units,
            stop.by,
            is_long=is_long,
            rises=is_long is stop.is_profit,
            word=word,
            limit_units=stop.limit_units,
        )

    def _move(self, desk: SymbolDesk, trail: Trail) -> None:
        """Activate a trailing stop, or pull it after the market."""
        last = desk.matching.last_price_units
        if trail.order is None:
            reached = last >= trail.active_units if trail.rises else last <= trail.active_units
            if trail.active_units and not reached:
                return
        sign = 1 if trail.is_long else -1
        wanted = max(desk.market.instrument.tick_units, last - sign * trail.distance_units)
        if trail.order is None:
            trail.order = self._submit(
                desk,
                trail.account,
                trail.index,
                abs(desk.matching.position(position_key(trail.account.uid, trail.index))),
                wanted,
                TriggerBy.LAST,
                is_long=trail.is_long,
                rises=not trail.is_long,
                word="TrailingStop",
                closes=True,
            )
        elif (
            trail.order.status == "Untriggered"
            and sign * (wanted - trail.order.trigger_price_units) > 0
        ):
            desk.matching.amend(trail.order.number, self._venue.now_ns, trigger_price_units=wanted)

    def _submit(
        self,
        desk: SymbolDesk,
        account: Account,
        index: int,
        size: int,
        trigger: int,
        by: TriggerBy,
        *,
        is_long: bool,
        rises: bool,
        word: str,
        limit_units: int = 0,
        closes: bool = False,
    ) -> VenueOrder:
        market, now_ms = desk.market, self._venue.now_ns // 1_000_000
        side = Side.SELL if is_long else Side.BUY
        book_order = BookOrder(
            self._new_id(),
            account.uid,
            side,
            size,
            limit_units,
            position=position_key(account.uid, index),
            is_market=not limit_units,
            reduce_only=True,
            closes_position=closes,
            trigger_price_units=trigger,
            trigger_by=by,
            trigger_rises=rises,
            stop_kind=StopKind.STOP,
        )
        order = VenueOrder(
            number=book_order.order_id,
            order_id=self._settlement.new_order_id(market.instrument.category),
            link_id="",
            account=account,
            instrument=market.instrument,
            side=side,
            order_type="Limit" if limit_units else "Market",
            size_units=size,
            price_units=limit_units,
            time_in_force="GTC" if limit_units else "IOC",
            created_ms=now_ms,
            updated_ms=now_ms,
            position_index=index,
            reduce_only=True,
            close_on_trigger=True,
            trigger_price_units=trigger,
            trigger_direction=1 if rises else 2,
            trigger_by=TRIGGER_WORDS[by],
            stop_order_type=word,
            tpsl_mode="Full" if closes else "Partial",
            create_type=f"CreateBy{word}",
            last_price_on_created=market.last_or_mid_units(),
            book_order=book_order,
        )
        desk.orders[order.number] = order
        self._settlement.stores[account.uid].add(order)
        desk.matching.submit(book_order, self._venue.now_ns)
        # It waits from here on, whoever looks before its event is read.
        order.status = "Untriggered"
        return order

    def _cancel(self, desk: SymbolDesk, order: VenueOrder) -> None:
        if order.status == "Untriggered":
            desk.matching.cancel(order.number, self._venue.now_ns, CancelReason.STOPS_CLEARED)

    def _of(self, desk: SymbolDesk) -> _Extras:
        extras = self._extras.get(desk)
        if extras is None:
            extras = self._extras[desk] = _Extras()
        return extras


def _stops_of(bracket: Bracket) -> list[PartialStop]:
    stops = []
    if bracket.take_profit_units:
        stops.append(
            PartialStop(
                trigger_units=bracket.take_profit_units,
                limit_units=bracket.take_profit_limit_units,
                by=bracket.take_profit_by,
                is_profit=True,
            )
        )
    if bracket.stop_loss_units:
        stops.append(
            PartialStop(
                trigger_units=bracket.stop_loss_units,
                limit_units=bracket.stop_loss_limit_units,
                by=bracket.stop_loss_by,
                is_profit=False,
            )
        )
    return stops
