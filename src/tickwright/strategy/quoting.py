"""Owns keeping resting quotes where a strategy wants them; refuses to take, and to remember orders.

What is there is read from the strategy's own live orders at every pass, so that a restart, a lost
order or a refusal needs no case of its own. An order is amended where the venue can, else withdrawn
and placed anew once it is gone. Never are more orders out on a side than are wished for.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from tickwright.core.identity import ClientId, InstrumentId
from tickwright.core.instrument import AmendKind, Instrument, Payoff
from tickwright.core.orders import Order, OrderIntent, OrderState, OrderType, Purpose, Side
from tickwright.core.signals import Action, AmendIntent, CancelIntent
from tickwright.strategy.context import StrategyContext

__all__ = ["Quote", "Quoter", "ask_units", "bid_units", "size_units_for"]

RETRY_NS = 1_000_000_000
"""What was asked for and did not show (refused, answer lost) is asked for again after this."""
_AMENDABLE = (OrderState.WORKING, OrderState.PARTLY_FILLED)


class Quote(NamedTuple):
    """One resting order a strategy wants: price and size in units."""

    side: Side
    price_units: int
    size_units: int


class _Asked(NamedTuple):
    """What was last asked of an order; no price: to be withdrawn."""

    at_ns: int
    price_units: int | None
    size_units: int | None = None
    """None leaves the size."""


class Quoter:
    """Makes the orders of one instrument those that are wished for.

    Args:
        context: the strategy's window.
        instrument_id: whose orders they are; the strategy has no other opening orders there.
        reprice_ticks: an order this many ticks or less beside its quote stays where it is.
        fills_up: give an order of which less than half is left its whole size again.
    """

    __slots__ = (
        "_asked",
        "_context",
        "_fills_up",
        "_instrument_id",
        "_placed",
        "_reprice_ticks",
        "_seen",
    )

    def __init__(
        self,
        context: StrategyContext,
        instrument_id: InstrumentId,
        *,
        reprice_ticks: int = 0,
        fills_up: bool = False,
    ) -> None:
        self._context = context
        self._instrument_id = instrument_id
        self._reprice_ticks = reprice_ticks
        self._fills_up = fills_up
        self._asked: dict[ClientId, _Asked] = {}
        """Bounded by the live orders."""
        self._placed: tuple[int, int] = (0, 0)
        """When orders were last wished for, and how many."""
        self._seen: set[ClientId] = set()
        """Those of them that were heard of."""

    def on_order(self, order: Order) -> None:
        """Take note that a wish became an order; call it for every own order."""
        if order.created_ns == self._placed[0] and order.instrument_id == self._instrument_id:
            self._seen.add(order.client_id)

    def actions(self, wished: Iterable[Quote], *, reason: str = "") -> list[Action]:
        """Return what makes the orders those `wished` for; nothing wished withdraws all."""
        live = self._live()
        now_ns = self._context.now_ns
        known = {order.client_id for order in live}
        self._asked = {
            key: asked
            for key, asked in self._asked.items()
            if key in known and now_ns - asked.at_ns < RETRY_NS
        }
        quotes = list(wished)
        withdrawn: list[Action] = []
        moved: list[tuple[int, Action]] = []
        missing: list[Quote] = []
        for side in (Side.BUY, Side.SELL):
            mine = [order for order in live if order.side is side]
            wanted = [quote for quote in quotes if quote.side is side]
            missing += self._side(side, mine, wanted, withdrawn, moved)
        # What steps back from the market leaves before what steps forward: a quote must not meet
        # an order of its own.
        moved.sort(key=lambda pair: pair[0])
        return [*withdrawn, *(move for _, move in moved), *self._places(missing, live, reason)]

    def _live(self) -> list[Order]:
        return [
            order
            for order in self._context.orders()
            if order.instrument_id == self._instrument_id
            and order.intent.purpose is Purpose.OPEN
            and order.parent_id is None
        ]

    def _side(
        self,
        side: Side,
        mine: list[Order],
        wanted: Sequence[Quote],
        withdrawn: list[Action],
        moved: list[tuple[int, Action]],
    ) -> list[Quote]:
        """Pair orders with quotes; return the quotes that may be placed."""
        room = len(wanted) - len(mine)
        standing = sorted(
            (order for order in mine if not self._is_leaving(order)),
            key=lambda order: -side * self._price(order),
        )
        left = sorted(wanted, key=lambda quote: -side * quote.price_units)
        left, standing = self._keep(left, standing, moved)
        for order, quote in zip(standing, left, strict=False):
            self._move(order, quote, withdrawn, moved)
        for order in standing[len(left) :]:
            self._withdraw(order, withdrawn)
        missing = [quote for quote in left[len(standing) :] if not self._would_take(quote)]
        return missing[: max(room, 0)]

    def _keep(
        self, left: list[Quote], standing: list[Order], moved: list[tuple[int, Action]]
    ) -> tuple[list[Quote], list[Order]]:
        """Leave the orders that stand right where they are."""
        tick = self._context.instrument(self._instrument_id).tick_units
        slack = self._reprice_ticks * tick
        for reach in (0, slack) if slack else (0,):
            rest: list[Order] = []
            for order in standing:
                price = self._price(order)
                found = next((q for q in left if abs(q.price_units - price) <= reach), None)
                if found is None:
                    rest.append(order)
                    continue
                left = [quote for quote in left if quote is not found]
                self._fill_up(order, found, moved)
            standing = rest
        return left, standing

    def _fill_up(self, order: Order, quote: Quote, moved: list[tuple[int, Action]]) -> None:
        is_low = 2 * order.remaining_units < quote.size_units
        if self._fills_up and is_low and self._can_amend(order):
            whole = order.filled_units + quote.size_units
            self._asked[order.client_id] = _Asked(self._context.now_ns, order.price_units, whole)
            moved.append((0, AmendIntent(client_id=order.client_id, size_units=whole)))

    def _move(
        self,
        order: Order,
        quote: Quote,
        withdrawn: list[Action],
        moved: list[tuple[int, Action]],
    ) -> None:
        if self._would_take(quote):
            return
        if self._can_amend(order):
            assert order.price_units is not None
            step = (quote.price_units - order.price_units) * quote.side
            whole = order.filled_units + quote.size_units
            size = whole if self._fills_up and whole != order.size_units else None
            self._asked[order.client_id] = _Asked(self._context.now_ns, quote.price_units, size)
            wish = AmendIntent(
                client_id=order.client_id, price_units=quote.price_units, size_units=size
            )
            moved.append((1 if step > 0 else 0, wish))
        elif order.state in _AMENDABLE and order.client_id not in self._asked:
            self._withdraw(order, withdrawn)

    def _withdraw(self, order: Order, withdrawn: list[Action]) -> None:
        self._asked[order.client_id] = _Asked(self._context.now_ns, None)
        withdrawn.append(CancelIntent(client_id=order.client_id, reason="no longer wished for"))

    def _places(self, missing: list[Quote], live: list[Order], reason: str) -> list[Action]:
        now_ns = self._context.now_ns
        placed_ns, count = self._placed
        if count:
            heard = self._seen | {o.client_id for o in live if o.created_ns == placed_ns}
            if len(heard) < count and now_ns - placed_ns < RETRY_NS:
                # Refused: the same a moment later would be refused again.
                return []
            self._placed = (0, 0)
        if missing:
            self._placed = (now_ns, len(missing))
            self._seen = set()
        return [
            OrderIntent(
                instrument_id=self._instrument_id,
                side=quote.side,
                size_units=quote.size_units,
                price_units=quote.price_units,
                post_only=True,
                reason=reason,
            )
            for quote in missing
        ]

    def _would_take(self, quote: Quote) -> bool:
        """Whether the market is at the price already: post-only, it would be refused."""
        book = self._context.book(self._instrument_id)
        touch = book.best_ask if quote.side is Side.BUY else book.best_bid
        return touch is None or (touch - quote.price_units) * quote.side <= 0

    def _price(self, order: Order) -> int:
        """Return where an order stands, or will when what was asked is done."""
        asked = self._asked.get(order.client_id)
        if asked is not None and asked.price_units is not None:
            return asked.price_units
        return order.price_units or 0

    def _is_leaving(self, order: Order) -> bool:
        asked = self._asked.get(order.client_id)
        return asked is not None and asked.price_units is None

    def _can_amend(self, order: Order) -> bool:
        if order.intent.order_type is not OrderType.LIMIT or order.state not in _AMENDABLE:
            return False
        instrument = self._context.instrument(self._instrument_id)
        if instrument.capabilities.amend is not AmendKind.IN_PLACE:
            return False
        asked = self._asked.get(order.client_id)
        # One amend at a time: until the order shows what was asked, another would be refused.
        return asked is None or (
            asked.price_units == order.price_units and asked.size_units in (None, order.size_units)
        )


def bid_units(price_units: float, instrument: Instrument) -> int:
    """Return the highest valid price at or below a computed one."""
    tick = instrument.tick_units
    return max(math.floor(price_units / tick) * tick, 0)


def ask_units(price_units: float, instrument: Instrument) -> int:
    """Return the lowest valid price at or above a computed one."""
    tick = instrument.tick_units
    return max(math.ceil(price_units / tick) * tick, 0)


def size_units_for(instrument: Instrument, notional: float, price_units: float) -> int:
    """Return the largest valid size worth at most `notional` (quote asset); 0 below the least."""
    quantity = notional / float(instrument.multiplier)
    if instrument.payoff is Payoff.LINEAR:
        quantity /= price_units / 10**instrument.price_decimals
    size_units = instrument.size_units_floor(Decimal(repr(quantity)))
    lots_max = instrument.size_max_units // instrument.lot_units
    size_units = min(size_units, lots_max * instrument.lot_units)
    return size_units if size_units >= instrument.size_min_units else 0
