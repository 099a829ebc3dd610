"""The matching engine that the compiled one is held against: plain lists, plain rules, no speed.

It was the engine itself before that was compiled; the rules are written down in
`tickwright.matching.book`.
"""

from collections.abc import Callable, Iterator

from tests.oracle.matching.events import (
    Amended,
    Armed,
    Cancelled,
    Execution,
    MatchEvent,
    StopsChanged,
    Triggered,
    Trimmed,
    Working,
)
from tests.oracle.matching.orders import BookOrder
from tests.oracle.matching.queues import OwnSide
from tests.oracle.matching.triggers import TriggerBook
from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.core.units import INT64_MAX
from tickwright.matching.kinds import CancelReason, FillCause, OrderPhase, SelfTrade, StopKind
from tickwright.matching.liquidity import Liquidity

__all__ = ["MARKET_BOUND_PPM", "MatchingBook"]

MARKET_BOUND_PPM = 50_000
"""How far beyond the best opposite price a market order may go, in parts per million."""

_ENDS_TAKER = (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH)


def _always(order: BookOrder, now_ns: int) -> bool:
    return True


class MatchingBook:
    """Users' orders of one instrument against external levels and each other.

    `new_id` gives numbers for the orders and matches made here (a position's stops, executions);
    it must be shared with whoever numbers the orders submitted. `admit` is asked before a triggered
    order enters the book. `positions` are the signed sizes by position key, the fold of executions.
    """

    __slots__ = (
        "_admit",
        "_arrivals",
        "_asks",
        "_bids",
        "_liquidity",
        "_lot_units",
        "_new_id",
        "_printed",
        "_reducing",
        "_stops",
        "_tick_units",
        "_triggers",
        "events",
        "last_price_units",
        "orders",
        "positions",
    )

    def __init__(
        self,
        liquidity: Liquidity,
        *,
        new_id: Callable[[], int],
        lot_units: int = 1,
        tick_units: int = 1,
        admit: Callable[[BookOrder, int], bool] = _always,
    ) -> None:
        self._liquidity = liquidity
        self._new_id = new_id
        self._lot_units = lot_units
        self._tick_units = tick_units
        self._admit = admit
        self._bids = OwnSide(Side.BUY)
        self._asks = OwnSide(Side.SELL)
        self._triggers = TriggerBook()
        self._printed: list[int] = []
        self._arrivals = 0
        # Resting reduce-only orders and armed stops by position key: what must follow a position.
        self._reducing: dict[int, list[BookOrder]] = {}
        self._stops: dict[int, list[BookOrder]] = {}
        self.orders: dict[int, BookOrder] = {}
        self.positions: dict[int, int] = {}
        self.last_price_units = 0
        self.events: list[MatchEvent] = []

    # requests ---------------------------------------------------------------------------------

    def submit(self, order: BookOrder, now_ns: int) -> None:
        """Take a new order: arm it when it is conditional, else match it and rest what may rest."""
        assert order.phase is OrderPhase.NEW
        assert order.order_id not in self.orders
        self.orders[order.order_id] = order
        if order.trigger_price_units:
            self._arm(order, now_ns)
        else:
            self._enter(order, now_ns)
        self._run_triggers(now_ns)

    def cancel(
        self, order_id: int, now_ns: int, reason: CancelReason = CancelReason.BY_USER
    ) -> bool:
        """End an order; False when there is no such live order."""
        order = self.orders.get(order_id)
        if order is None:
            return False
        self._end(order, reason, now_ns)
        return True

    def amend(
        self,
        order_id: int,
        now_ns: int,
        *,
        price_units: int | None = None,
        size_units: int | None = None,
        trigger_price_units: int | None = None,
        take_profit_units: int | None = None,
        stop_loss_units: int | None = None,
    ) -> bool:
        """Change an order's terms; None leaves one. `size_units` counts the filled part too.

        A smaller size keeps the place in the queue; a new price or a larger size loses it, and may
        match at once. The caller has made sure that the new size is above the filled one. False: no
        such live order.
        """
        order = self.orders.get(order_id)
        if order is None:
            return False
        price = order.price_units if price_units is None else price_units
        size = order.size_units if size_units is None else size_units
        assert size > order.filled_units, f"{order} amended to {size}"
        if take_profit_units is not None:
            order.take_profit_units = take_profit_units
        if stop_loss_units is not None:
            order.stop_loss_units = stop_loss_units
        if order.phase is OrderPhase.ARMED:
            self._triggers.remove(order)
            if trigger_price_units is not None:
                order.trigger_price_units = trigger_price_units
            self._resize(order, size)
            order.price_units = price
            self._triggers.add(order)
            self.events.append(Amended(order, price, size, True, now_ns))
            return True
        if price == order.price_units and size <= order.size_units:
            self._liquidity.remove_own(order.side, price, order.size_units - size)
            self._resize(order, size)
            self.events.append(Amended(order, price, size, True, now_ns))
            return True
        self._pull(order)
        self._resize(order, size)
        order.price_units = price
        self.events.append(Amended(order, price, size, False, now_ns))
        self._enter(order, now_ns)
        self._run_triggers(now_ns)
        return True

    def set_stops(
        self,
        account: int,
        position: int,
        now_ns: int,
        *,
        take_profit_units: int | None = None,
        stop_loss_units: int | None = None,
        take_profit_by: TriggerBy = TriggerBy.LAST,
        stop_loss_by: TriggerBy = TriggerBy.LAST,
    ) -> None:
        """Set the prices that close a whole position at market; 0 removes one, None leaves it.

        The position must be open: its stops end with it.
        """
        held = self.positions.get(position, 0)
        assert held, "a flat position has no stops"
        wanted = (
            (StopKind.TAKE_PROFIT, take_profit_units, take_profit_by),
            (StopKind.STOP_LOSS, stop_loss_units, stop_loss_by),
        )
        for kind, trigger_units, by in wanted:
            if trigger_units is None:
                continue
            for stop in list(self._stops.get(position, ())):
                if stop.stop_kind is kind:
                    self._end(stop, CancelReason.STOPS_CLEARED, now_ns)
            if trigger_units:
                stop = BookOrder(
                    self._new_id(),
                    account,
                    Side.SELL if held > 0 else Side.BUY,
                    min(abs(held), INT64_MAX),
                    0,
                    position=position,
                    is_market=True,
                    closes_position=True,
                    trigger_price_units=trigger_units,
                    trigger_by=by,
                    trigger_rises=(held > 0) is (kind is StopKind.TAKE_PROFIT),
                    stop_kind=kind,
                )
                self.orders[stop.order_id] = stop
                self._arm(stop, now_ns)
        self._tell_stops(account, position, now_ns)

    def take_over(self, position: int) -> None:
        """Forget the size of a position that its venue took over outside the book."""
        assert not self._stops.get(position)
        assert not self._reducing.get(position)
        if position in self.positions:
            self.positions[position] = 0

    # the market moves -------------------------------------------------------------------------

    def on_trade(self, aggressor: Side, price_units: int, size_units: int, now_ns: int) -> None:
        """Let an external trade fill the orders it reached and trigger what waits for it."""
        makers = self._bids if aggressor is Side.SELL else self._asks
        limit = makers.side * price_units
        budget = size_units
        while budget and makers and makers.keys[-1] >= limit:
            queue = makers.best_queue()
            head = queue[0]
            through = makers.keys[-1] > limit
            if through:
                makers.cap(queue, 0)
            elif head.ahead_units:
                passed = min(budget, head.ahead_units)
                makers.advance(queue, passed)
                budget -= passed
                continue
            size = min(budget, head.remaining_units)
            budget -= size
            cause = FillCause.TRADED_THROUGH if through else FillCause.HIT_BY_TRADE
            self._fill_maker(head, size, cause, 0, self._new_id(), now_ns)
        self._print(price_units)
        self._run_triggers(now_ns)

    def on_book_change(self, now_ns: int) -> None:
        """Follow changed external levels: cap places in queues, fill what the market moved onto."""
        if not (self._bids or self._asks):
            return
        liquidity = self._liquidity
        for makers in (self._bids, self._asks):
            for queue in makers.queues.values():
                if queue[-1].ahead_units:
                    makers.cap(queue, liquidity.external_size(makers.side, queue[0].price_units))
        bid, ask = liquidity.best()
        if bid is None or ask is None or bid[0] < ask[0]:
            return
        for makers in (self._bids, self._asks):
            while makers:
                head = makers.best_queue()[0]
                taken = liquidity.take(makers.side, head.remaining_units, head.price_units)
                if not taken:
                    break
                makers.cap(makers.best_queue(), 0)
                self._print(head.price_units)
                size = sum(level[1] for level in taken)
                self._fill_maker(head, size, FillCause.BOOK_CROSSED, 0, self._new_id(), now_ns)
        self._run_triggers(now_ns)

    def on_price(self, by: TriggerBy, price_units: int, now_ns: int) -> None:
        """Trigger what waits for a mark or index price."""
        self._trigger_due(by, price_units, now_ns)
        self._run_triggers(now_ns)

    # what others read -------------------------------------------------------------------------

    def drain(self) -> list[MatchEvent]:
        """Hand over the events since the last call, oldest first."""
        events = self.events
        self.events = []
        return events

    def resting(self, side: Side) -> Iterator[BookOrder]:
        """Yield the resting orders of a side in price-time order."""
        return iter(self._bids if side is Side.BUY else self._asks)

    def stops(self, position: int) -> tuple[int, int]:
        """Return the (take profit, stop loss) prices of a position; 0 is none."""
        take_profit = stop_loss = 0
        for stop in self._stops.get(position, ()):
            if stop.stop_kind is StopKind.TAKE_PROFIT:
                take_profit = stop.trigger_price_units
            else:
                stop_loss = stop.trigger_price_units
        return take_profit, stop_loss

    def waiting_for(self, by: TriggerBy) -> bool:
        """Whether any conditional order waits for this kind of price."""
        return self._triggers.has(by)

    def market_bound(self, side: Side, slippage_units: int | None = None) -> int:
        """Return the worst price a market order entering now may trade at.

        `slippage_units` is counted from the best opposite price; None uses `MARKET_BOUND_PPM`.
        """
        best = self._liquidity.best()[1 if side is Side.BUY else 0]
        reference = best[0] if best is not None else self.last_price_units
        if slippage_units is None:
            slippage_units = reference * MARKET_BOUND_PPM // 1_000_000
        bound = max(self._tick_units, reference + side * slippage_units)
        # On the tick, toward the market: a bound is never looser than asked.
        return side * (side * bound // self._tick_units * self._tick_units)

    # how it works -----------------------------------------------------------------------------

    def _enter(self, order: BookOrder, now_ns: int) -> None:
        """Match an order that arrives at the book, then rest or end it."""
        if order.reduce_only and not self._fit(order, now_ns):
            self._end(order, CancelReason.REDUCE_ONLY, now_ns)
            return
        if order.is_market and not order.price_units:
            order.price_units = self.market_bound(order.side)
        if order.post_only and self._would_take(order):
            self._end(order, CancelReason.POST_ONLY_WOULD_TAKE, now_ns)
            return
        if order.time_in_force is TimeInForce.FOK and not self._can_fill_whole(order):
            self._end(order, CancelReason.NOT_ENOUGH_FOR_FULL, now_ns)
            return
        self._take(order, now_ns)
        if order.is_done:
            return
        if order.quote_units_max and self._quote_lots(order, order.price_units) == 0:
            self._end(order, CancelReason.QUOTE_SPENT, now_ns)
        elif order.time_in_force is not TimeInForce.GTC:
            partly = order.filled_units > 0
            reason = CancelReason.REMAINDER if partly else CancelReason.NO_LIQUIDITY
            self._end(order, reason, now_ns)
        else:
            self._rest(order, now_ns)

    def _take(self, order: BookOrder, now_ns: int) -> None:
        makers = self._asks if order.side is Side.BUY else self._bids
        limit = makers.side * order.price_units
        while not order.is_done:
            if not makers or makers.keys[-1] < limit:
                self._take_external(order, order.price_units, now_ns)
                return
            price = makers.best_price()
            self._take_external(order, price - order.side, now_ns)
            if order.is_done:
                return
            queue = makers.best_queue()
            head = queue[0]
            if head.ahead_units:
                passed = self._take_external(order, price, now_ns, head.ahead_units)
                makers.advance(queue, passed)
                if not passed and not order.is_done:
                    if self._liquidity.external_size(head.side, price):
                        return  # an order by quote amount that can't afford one more lot
                    makers.cap(queue, 0)
                continue
            if head.account == order.account and order.self_trade is not SelfTrade.NONE:
                if order.self_trade is not SelfTrade.CANCEL_TAKER:
                    self._end(head, CancelReason.SELF_TRADE, now_ns)
                if order.self_trade in _ENDS_TAKER:
                    self._end(order, CancelReason.SELF_TRADE, now_ns)
                    return
                continue
            size = min(order.remaining_units, head.remaining_units, self._quote_lots(order, price))
            if size == 0:
                return
            match_id = self._new_id()
            maker_id = head.order_id
            self._print(price)
            self._fill_maker(head, size, FillCause.HIT_BY_ORDER, order.order_id, match_id, now_ns)
            self._fill(order, price, size, False, FillCause.TOOK, maker_id, match_id, now_ns)

    def _take_external(
        self, order: BookOrder, limit_units: int, now_ns: int, size_max_units: int | None = None
    ) -> int:
        """Take external levels up to a price; return the size taken."""
        total = 0
        while not order.is_done:
            wanted = order.remaining_units
            if size_max_units is not None:
                wanted = min(wanted, size_max_units - total)
            bound = limit_units
            if order.quote_units_max:
                # One level at a time: each price affords a different size.
                best = self._liquidity.best()[1 if order.side is Side.BUY else 0]
                if best is None or order.side * best[0] > order.side * limit_units:
                    break
                bound = best[0]
                wanted = min(wanted, self._quote_lots(order, bound))
            if wanted <= 0:
                break
            taken = self._liquidity.take(order.side, wanted, bound)
            for price, size in taken:
                self._print(price)
                total += size
                self._fill(order, price, size, False, FillCause.TOOK, 0, self._new_id(), now_ns)
            if not taken or not order.quote_units_max:
                break
        return total

    def _fill_maker(
        self,
        order: BookOrder,
        size: int,
        cause: FillCause,
        counter: int,
        match_id: int,
        now_ns: int,
    ) -> None:
        self._liquidity.remove_own(order.side, order.price_units, size)
        self._fill(order, order.price_units, size, True, cause, counter, match_id, now_ns)

    def _fill(
        self,
        order: BookOrder,
        price: int,
        size: int,
        is_maker: bool,
        cause: FillCause,
        counter: int,
        match_id: int,
        now_ns: int,
    ) -> None:
        assert 0 < size <= order.remaining_units
        order.remaining_units -= size
        order.filled_units += size
        if order.quote_units_max:
            order.quote_spent += price * size
        held = self.positions.get(order.position, 0)
        now_held = held + order.side * size
        self.positions[order.position] = now_held
        self.events.append(
            Execution(
                order,
                match_id,
                price,
                size,
                order.remaining_units,
                order.filled_units,
                is_maker,
                cause,
                counter,
                now_ns,
            )
        )
        if order.remaining_units == 0:
            self._forget(order)
        self._follow_position(order, held, now_held, now_ns)

    def _follow_position(self, order: BookOrder, held: int, now_held: int, now_ns: int) -> None:
        """Let stops and reduce-only orders follow a position that an order's fill has moved."""
        key = order.position
        if held and (now_held == 0 or (now_held > 0) is not (held > 0)) and self._stops.get(key):
            for stop in list(self._stops[key]):
                self._end(stop, CancelReason.STOPS_CLEARED, now_ns)
            self._tell_stops(order.account, key, now_ns)
        grows = now_held * order.side > 0 and not order.reduce_only
        if grows and (order.take_profit_units or order.stop_loss_units):
            # The bracket belongs to the position from the first fill on, and is set once.
            take_profit, stop_loss = order.take_profit_units, order.stop_loss_units
            order.take_profit_units = order.stop_loss_units = 0
            self.set_stops(
                order.account,
                key,
                now_ns,
                take_profit_units=take_profit or None,
                stop_loss_units=stop_loss or None,
                take_profit_by=order.take_profit_by,
                stop_loss_by=order.stop_loss_by,
            )
        if self._reducing.get(key):
            for reducing in list(self._reducing[key]):
                if not self._fit(reducing, now_ns):
                    self._end(reducing, CancelReason.REDUCE_ONLY, now_ns)

    def _fit(self, order: BookOrder, now_ns: int) -> bool:
        """Trim a reduce-only order to its position; False when there is nothing to reduce."""
        room = -order.side * self.positions.get(order.position, 0)
        if room <= 0:
            return False
        if order.remaining_units > room:
            if order.phase is OrderPhase.RESTING:
                excess = order.remaining_units - room
                self._liquidity.remove_own(order.side, order.price_units, excess)
            self._resize(order, order.filled_units + room)
            self.events.append(Trimmed(order, order.size_units, room, now_ns))
        return True

    def _would_take(self, order: BookOrder) -> bool:
        best = self._liquidity.best()[1 if order.side is Side.BUY else 0]
        return best is not None and order.side * best[0] <= order.side * order.price_units

    def _can_fill_whole(self, order: BookOrder) -> bool:
        """Say whether everything within the limit, as it would really be matched, is enough."""
        makers = self._asks if order.side is Side.BUY else self._bids
        prevents = order.self_trade is not SelfTrade.NONE
        available = 0
        reduced: dict[int, int] = {}
        for price, shown in self._liquidity.levels(makers.side):
            if available >= order.remaining_units or order.side * (price - order.price_units) > 0:
                break
            queue = makers.at(price)
            external = shown - sum(maker.remaining_units for maker in queue)
            before = 0
            for maker in queue:
                if prevents and maker.account == order.account:
                    if order.self_trade in _ENDS_TAKER:
                        available += min(external, maker.ahead_units) + before
                        return available >= order.remaining_units
                    continue
                size = maker.remaining_units
                done = reduced.get(maker.position, 0)
                if maker.reduce_only:
                    held = -maker.side * self.positions.get(maker.position, 0)
                    size = max(0, min(size, held - done))
                reduced[maker.position] = done + size
                before += size
            available += external + before
        return available >= order.remaining_units

    def _quote_lots(self, order: BookOrder, price: int) -> int:
        """Return the size an order by quote amount can afford; for others its remaining size."""
        if not order.quote_units_max:
            return order.remaining_units
        afford = (order.quote_units_max - order.quote_spent) // price
        return min(order.remaining_units, afford // self._lot_units * self._lot_units)

    def _rest(self, order: BookOrder, now_ns: int) -> None:
        self._arrivals += 1
        order.arrival = self._arrivals
        order.ahead_units = self._liquidity.external_size(order.side, order.price_units)
        order.phase = OrderPhase.RESTING
        (self._bids if order.side is Side.BUY else self._asks).add(order)
        self._liquidity.add_own(order.side, order.price_units, order.remaining_units)
        if order.reduce_only:
            self._reducing.setdefault(order.position, []).append(order)
        self.events.append(Working(order, order.remaining_units, order.ahead_units, now_ns))

    def _arm(self, order: BookOrder, now_ns: int) -> None:
        self._arrivals += 1
        order.arrival = self._arrivals
        order.phase = OrderPhase.ARMED
        self._triggers.add(order)
        if order.stop_kind in (StopKind.STOP_LOSS, StopKind.TAKE_PROFIT):
            self._stops.setdefault(order.position, []).append(order)
        self.events.append(Armed(order, now_ns))

    def _print(self, price_units: int) -> None:
        """Note a trade price; what waits for it is triggered when the present match is done."""
        self.last_price_units = price_units
        if self._triggers and (not self._printed or self._printed[-1] != price_units):
            self._printed.append(price_units)

    def _run_triggers(self, now_ns: int) -> None:
        # A triggered order's own fills print prices that may trigger more; each pass takes an order
        # out of the waiting ones, so it ends.
        for price in self._printed:
            self._trigger_due(TriggerBy.LAST, price, now_ns)
        self._printed.clear()

    def _trigger_due(self, by: TriggerBy, price_units: int, now_ns: int) -> None:
        due = []
        while (order := self._triggers.pop_due(by, price_units)) is not None:
            order.phase = OrderPhase.DUE
            due.append(order)
        for order in due:
            if order.phase is OrderPhase.DUE:
                self._activate(order, price_units, now_ns)

    def _activate(self, order: BookOrder, seen_price_units: int, now_ns: int) -> None:
        order.phase = OrderPhase.NEW
        is_position_stop = self._drop_stop(order)
        if order.closes_position:
            held = abs(self.positions.get(order.position, 0))
            self._resize(order, min(max(1, held + order.filled_units), INT64_MAX))
        self.events.append(Triggered(order, seen_price_units, now_ns))
        if is_position_stop:
            self._tell_stops(order.account, order.position, now_ns)
        if self._admit(order, now_ns):
            self._enter(order, now_ns)
        else:
            self._end(order, CancelReason.MARGIN, now_ns)

    def _end(self, order: BookOrder, reason: CancelReason, now_ns: int) -> None:
        was_armed = order.phase in (OrderPhase.ARMED, OrderPhase.DUE)
        if was_armed:
            if order.phase is OrderPhase.ARMED:
                self._triggers.remove(order)
            self._drop_stop(order)
        elif order.phase is OrderPhase.RESTING:
            self._pull(order)
        remaining = order.remaining_units
        self._forget(order)
        self.events.append(
            Cancelled(order, remaining, order.filled_units, reason, was_armed, now_ns)
        )

    def _pull(self, order: BookOrder) -> None:
        """Take a resting order out of the book without ending it."""
        self._liquidity.remove_own(order.side, order.price_units, order.remaining_units)
        self._unqueue(order)

    def _unqueue(self, order: BookOrder) -> None:
        (self._bids if order.side is Side.BUY else self._asks).remove(order)
        if order.reduce_only:
            self._reducing[order.position].remove(order)
        order.phase = OrderPhase.NEW

    def _forget(self, order: BookOrder) -> None:
        if order.phase is OrderPhase.RESTING:
            self._unqueue(order)
        order.phase = OrderPhase.DONE
        del self.orders[order.order_id]

    def _resize(self, order: BookOrder, size_units: int) -> None:
        order.size_units = size_units
        order.remaining_units = size_units - order.filled_units

    def _drop_stop(self, order: BookOrder) -> bool:
        stops = self._stops.get(order.position)
        if stops is None or order not in stops:
            return False
        stops.remove(order)
        return True

    def _tell_stops(self, account: int, position: int, now_ns: int) -> None:
        take_profit, stop_loss = self.stops(position)
        self.events.append(StopsChanged(account, position, take_profit, stop_loss, now_ns))
