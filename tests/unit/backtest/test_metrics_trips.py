"""Round trips on columns beside a plain queue of lots, for any history of fills."""

from collections import defaultdict, deque

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.backtest.made_runs import MadeRun, near
from tickwright.backtest.metrics import make_metrics
from tickwright.backtest.metrics_columns import make_columns
from tickwright.backtest.metrics_trips import make_trips

Trip = tuple[str, int, int, float, float]

FILLS = st.lists(
    st.tuples(
        st.sampled_from([1, -1]),
        st.integers(1, 5),
        st.integers(90, 110),
        st.integers(-3, 9),
        st.sampled_from(["lean", "fade"]),
        # Several fills of one order; -1 is none of ours.
        st.integers(-1, 6),
    ),
    max_size=40,
)


def plain(rows: list[tuple[int, int, int, int, str, int]]) -> list[Trip]:
    """Match lots one by one: strategy, direction, size, gross and fees of each round trip."""
    lots: dict[str, deque[list[float]]] = defaultdict(deque)
    held: dict[str, int] = defaultdict(int)
    found: dict[tuple[object, ...], list[float]] = {}
    for index, (side, size, price, fee, strategy, order) in enumerate(rows):
        left = size
        while left and held[strategy] * side < 0:
            lot = lots[strategy][0]
            matched = min(left, int(lot[0]))
            direction = -side
            key = (strategy, direction, f"{strategy}{order}" if order >= 0 else index)
            trip = found.setdefault(key, [0, 0.0, 0.0, 0])
            trip[0] += matched
            trip[1] += direction * matched * (price - lot[1])
            trip[2] += matched * (lot[2] + fee / size)
            trip[3] = index
            lot[0] -= matched
            left -= matched
            held[strategy] += side * matched
            if not lot[0]:
                lots[strategy].popleft()
        if left:
            lots[strategy].append([left, price, fee / size])
            held[strategy] += side * left
    ranked = sorted(found.items(), key=lambda item: item[1][3])
    return [
        (str(key[0]), int(str(key[1])), int(trip[0]) * 1000, trip[1], trip[2])
        for key, trip in ranked
    ]


@settings(deadline=None, max_examples=80)
@given(FILLS)
def test_trips_when_fills_are_any_then_equal_a_plain_queue_of_lots(
    rows: list[tuple[int, int, int, int, str, int]],
):
    run = MadeRun(seconds=len(rows) + 1)
    for order in range(7):
        for strategy in ("lean", "fade"):
            run.order(f"{strategy}{order}", 1, 1, strategy=strategy)
    for index, (side, size, price, fee, strategy, order) in enumerate(rows):
        run.fill(
            index,
            side,
            size,
            price,
            fee=str(fee),
            strategy=strategy,
            order=f"{strategy}{order}" if order >= 0 else "",
        )

    record = run.record()
    columns = make_columns(record)
    trips = make_trips(columns)

    names = columns.fills.strategies
    told = [
        (names[int(strategy)], int(direction), int(size), near(gross), near(fees))
        for strategy, direction, size, gross, fees in zip(
            trips.strategy, trips.direction, trips.size, trips.gross, trips.fees, strict=True
        )
    ]
    assert told == plain(rows)


@settings(deadline=None, max_examples=50)
@given(FILLS, st.integers(90, 110))
def test_money_when_fills_are_any_then_net_is_closed_and_open_less_fees(
    rows: list[tuple[int, int, int, int, str, int]], mark: int
):
    run = MadeRun(seconds=len(rows) + 1)
    cash = held = 0
    for index, (side, size, price, fee, strategy, _) in enumerate(rows):
        run.fill(index, side, size, price, fee=str(fee), strategy=strategy)
        cash -= side * size * price + fee
        held += side * size
    run.sample(len(rows), 1000 + cash + held * mark)

    money = make_metrics(run.record()).money

    # What is open, lot by lot, first in first out.
    open_result = 0.0
    for strategy in ("lean", "fade"):
        lots: deque[list[int]] = deque()
        for side, size, price, _, owner, _ in rows:
            if owner != strategy:
                continue
            left = size
            while left and lots and lots[0][0] * side < 0:
                matched = min(left, abs(lots[0][0]))
                lots[0][0] += side * matched
                left -= matched
                if not lots[0][0]:
                    lots.popleft()
            if left:
                lots.append([side * left, price])
        open_result += sum(size * (mark - price) for size, price in lots)
    assert near(open_result, abs=1e-6) == money.open_result
