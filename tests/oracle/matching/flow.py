"""Order flow made of plain numbers, driven through the compiled engine and the plain one at once.

A step is ten small numbers, so that a property test can shrink a failing flow and a bulk driver can
draw millions of them. After each step every event and everything readable must be equal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from tests.oracle import matching as plain
from tickwright import matching as compiled
from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.core.units import INT64_MAX
from tickwright.matching import CancelReason, OrderIds, SelfTrade, StopKind

__all__ = ["FIELDS", "SCALES", "STEP_NUMBERS", "Scale", "Step", "Twins", "random_step"]

BUY, SELL = Side.BUY, Side.SELL
Step = tuple[int, ...]
STEP_NUMBERS = 10
_STEP_MAX = 99

FIELDS = {
    "Working": ("remaining_units", "ahead_units"),
    "Armed": (),
    "Triggered": ("seen_price_units",),
    "Execution": (
        "match_id",
        "price_units",
        "size_units",
        "remaining_units",
        "filled_units",
        "is_maker",
        "cause",
        "counter_order_id",
    ),
    "Amended": ("price_units", "size_units", "kept_priority"),
    "Trimmed": ("size_units", "remaining_units"),
    "Cancelled": ("remaining_units", "filled_units", "reason", "was_armed"),
    "StopsChanged": ("account", "position", "take_profit_units", "stop_loss_units"),
}
_ORDER_FIELDS = (
    "order_id account position side size_units remaining_units filled_units price_units "
    "time_in_force is_market post_only reduce_only closes_position self_trade quote_units_max "
    "quote_spent trigger_price_units trigger_by trigger_rises stop_kind take_profit_units "
    "take_profit_by stop_loss_units stop_loss_by ahead_units arrival phase is_done"
).split()


@dataclass(frozen=True)
class Scale:
    """What the small numbers stand for: prices lie around `mid`, sizes are whole multiples."""

    name: str
    mid: int
    size: int
    lot: int = 1
    tick: int = 1


SCALES = (
    Scale("small", 100, 1),
    Scale("lots", 10_000, 10, lot=10, tick=5),
    # Money passes int64 at every fill, positions after a few.
    Scale("huge", 4 * 10**18, 10**18, lot=10**18, tick=10**15),
)


@dataclass
class _World:
    """One engine with its levels; `engine` is the module that makes both."""

    engine: Any
    levels: Any
    scale: Scale
    new_id: Callable[[], int]
    refused: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = self.engine.MatchingBook(
            self.levels,
            new_id=self.new_id,
            lot_units=self.scale.lot,
            tick_units=self.scale.tick,
            admit=self._admit,
        )

    def _admit(self, order: Any, now_ns: int) -> bool:
        if order.order_id % 5 == 0 and not order.closes_position:
            self.refused.append((order.order_id, now_ns))
            return False
        return True

    def seen(self) -> dict[str, Any]:
        """Return everything that can be read, as plain values."""
        book, levels, scale = self.book, self.levels, self.scale
        prices = [scale.mid + n * scale.tick for n in (-3, -1, 0, 1, 3)]
        orders = sorted(book.orders.items())
        return {
            "orders": [[key, *(getattr(order, f) for f in _ORDER_FIELDS)] for key, order in orders],
            "resting": [[order.order_id for order in book.resting(side)] for side in (BUY, SELL)],
            "positions": dict(book.positions),
            "stops": [book.stops(position) for position in range(1, 5)],
            "waiting": [book.waiting_for(by) for by in TriggerBy],
            "bounds": [book.market_bound(side, gap) for side in (BUY, SELL) for gap in (None, 3)],
            "last": book.last_price_units,
            "best": levels.best(),
            "levels": [levels.levels(side, limit) for side in (BUY, SELL) for limit in (None, 2)],
            "external": [levels.external_size(side, p) for side in (BUY, SELL) for p in prices],
            "refused": self.refused,
        }


def _told(event: Any) -> tuple[Any, ...]:
    name = type(event).__name__
    order = () if name == "StopsChanged" else (event.order.order_id,)
    return (name, event.now_ns, *order, *(getattr(event, f) for f in FIELDS[name]))


class Twins:
    """The plain engine, the compiled one, and the compiled one on levels written in Python."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.mid = 0
        self.now = 0
        self.events = 0
        self.worlds = [
            _World(plain, plain.ExternalLevels(), scale, count(1).__next__),
            _World(compiled, compiled.ExternalLevels(), scale, OrderIds()),
            _World(compiled, plain.ExternalLevels(), scale, count(1).__next__),
        ]
        self._lay(3)
        self._tell_levels()

    def apply(self, step: Step) -> None:
        """Carry out one step everywhere and compare; raises AssertionError on any difference."""
        kind = step[0]
        self.now += 1
        if kind < 45:
            self._submit(step)
        elif kind < 55:
            self._everywhere(
                lambda w: w.book.on_trade(
                    self._side(step), self._price(step[2]), self._size(step[3]), self.now
                )
            )
        elif kind < 65:
            side = self._side(step)
            price = self._price(self.mid + 50 - side * (1 + step[2] % 4))
            size = self.scale.size * (step[3] % 9)
            self._everywhere(lambda w: w.levels.set_level(side, price, size))
            self._tell_levels()
        elif kind < 71:
            self.mid = step[2] % 11 - 5
            self._lay(step[3] % 5)
            self._tell_levels()
            by = TriggerBy.MARK if step[4] % 2 else TriggerBy.INDEX
            self._everywhere(lambda w: w.book.on_price(by, self._price(self.mid + 50), self.now))
        elif kind < 83:
            self._cancel(step)
        elif kind < 95:
            self._amend(step)
        else:
            self._set_stops(step)
        self._compare()

    def _submit(self, step: Step) -> None:
        _, side, at, size, account, tif, flags, guard, stop, extra = step
        is_market = at % 7 == 0
        by_quote = flags % 11 == 1 and side % 2 == 0
        terms: dict[str, Any] = {
            "position": account % 3 + 1 + (1 if flags % 7 == 3 else 0),
            "time_in_force": list(TimeInForce)[max(0, tif % 8 - 5)],
            "is_market": is_market,
            "post_only": flags % 6 == 1,
            "reduce_only": flags % 5 == 2,
            "closes_position": flags % 13 == 4,
            "self_trade": SelfTrade(guard % 4),
        }
        if by_quote:
            terms["quote_units_max"] = self._price(50) * self._size(size) + extra * self.scale.size
            terms["time_in_force"] = TimeInForce.FOK if tif % 8 == 7 else TimeInForce.IOC
        if stop % 6 == 1:
            terms["trigger_price_units"] = self._price(stop)
            terms["trigger_by"] = list(TriggerBy)[extra % 3]
            terms["trigger_rises"] = extra % 2 == 0
            terms["stop_kind"] = StopKind.STOP
        elif stop % 6 == 2:
            sign = 1 if side % 2 == 0 else -1
            terms["take_profit_units"] = self._price(50 + 4 * sign)
            terms["stop_loss_units"] = self._price(50 - 4 * sign) if extra % 3 else 0
            terms["take_profit_by"] = list(TriggerBy)[extra % 3]
        units = INT64_MAX if by_quote else self._size(size)
        price = 0 if is_market else self._price(at)

        def submit(world: _World) -> None:
            order = world.engine.BookOrder(
                world.new_id(), account % 3 + 1, self._side(step), units, price, **terms
            )
            world.book.submit(order, self.now)

        self._everywhere(submit)

    def _cancel(self, step: Step) -> None:
        ids = sorted(self.worlds[0].book.orders) or [0]
        which = ids[step[2] % len(ids)] if step[3] % 9 else 10**9
        reason = list(CancelReason)[step[4] % len(CancelReason)]
        said = self._everywhere(lambda w: w.book.cancel(which, self.now, reason))
        assert said[0] == said[1] == said[2]

    def _amend(self, step: Step) -> None:
        orders = [order for _, order in sorted(self.worlds[0].book.orders.items())]
        if not orders:
            return
        order = orders[step[2] % len(orders)]
        terms: dict[str, int] = {}
        if step[3] % 3:
            terms["size_units"] = min(order.filled_units + self._size(step[4]), INT64_MAX)
        if step[5] % 2:
            terms["price_units"] = self._price(step[6])
        if step[7] % 3 == 1 and order.trigger_price_units:
            terms["trigger_price_units"] = self._price(step[8])
        if step[7] % 3 == 2:
            terms["take_profit_units"] = self._price(58)
            terms["stop_loss_units"] = 0
        which = order.order_id
        said = self._everywhere(lambda w: w.book.amend(which, self.now, **terms))
        assert said == [True, True, True]

    def _set_stops(self, step: Step) -> None:
        open_positions = sorted(k for k, held in self.worlds[0].book.positions.items() if held)
        if not open_positions:
            return
        position = open_positions[step[2] % len(open_positions)]
        if step[9] % 4 == 3:
            self._take_over(position)
            return
        terms: dict[str, Any] = {"take_profit_by": list(TriggerBy)[step[6] % 3]}
        if step[3] % 3:
            terms["take_profit_units"] = self._price(step[4]) if step[3] % 3 == 1 else 0
        if step[5] % 3:
            terms["stop_loss_units"] = self._price(step[7]) if step[5] % 3 == 1 else 0
        self._everywhere(lambda w: w.book.set_stops(1, position, self.now, **terms))

    def _take_over(self, position: int) -> None:
        orders = list(self.worlds[0].book.orders.values())
        for which in [order.order_id for order in orders if order.position == position]:
            self._everywhere(lambda w: w.book.cancel(which, self.now))  # noqa: B023 - called at once
        self._everywhere(lambda w: w.book.take_over(position))

    # what the numbers stand for

    @staticmethod
    def _side(step: Step) -> Side:
        return BUY if step[1] % 2 == 0 else SELL

    def _price(self, number: int) -> int:
        """Return a price at most five ticks away from the middle; 50 is the middle."""
        return self.scale.mid + ((number + 5 - 50) % 11 - 5) * self.scale.tick

    def _size(self, number: int) -> int:
        return self.scale.size * (1 + number % 9)

    def _lay(self, size: int) -> None:
        """Set the external market around the middle, and nothing elsewhere."""
        for world in self.worlds:
            for side in (BUY, SELL):
                for n in range(-12, 13):
                    depth = (self.mid - n) * side
                    shown = size * self.scale.size if 0 < depth < 4 else 0
                    world.levels.set_level(side, self.scale.mid + n * self.scale.tick, shown)

    def _tell_levels(self) -> None:
        self._everywhere(lambda w: w.book.on_book_change(self.now))

    def _everywhere(self, act: Callable[[_World], Any]) -> list[Any]:
        return [act(world) for world in self.worlds]

    def _compare(self) -> None:
        expected, *others = [
            ([_told(event) for event in world.book.drain()], world.seen()) for world in self.worlds
        ]
        self.events += len(expected[0])
        for told, seen in others:
            assert expected[0] == told
            for what, value in expected[1].items():
                assert value == seen[what], f"{what}: {value} != {seen[what]}"


def random_step(rng: Random) -> Step:
    """Return a step whose numbers are all equally likely."""
    return tuple(rng.randrange(_STEP_MAX + 1) for _ in range(STEP_NUMBERS))
