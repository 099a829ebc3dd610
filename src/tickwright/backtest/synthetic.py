"""Owns making tapes out of nothing: a seeded market for benchmarks and trials, never for a claim.

The shape is the one the strongest peer's figures were taken on: a depth message every 20 ms with
about eight level changes, fourteen trades to ten depth messages, a touch that moves at two of three
messages, receive times a little after the venue's. Prices follow a mean-reverting random walk of
the mid; sizes are log-normal. It refuses to look like a particular market.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from tickwright.backtest.tape import MESSAGE, MessageKind, Tape, TapeWriter
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument

__all__ = ["SyntheticTape", "sample_instrument", "write_synthetic"]

_START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
_BATCH = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticTape:
    """How a tape is made. `depth` levels a side; the mid moves by `step_ticks` (deviation)."""

    messages: int = 862_000
    seed: int = 7
    depth: int = 20
    interval_ms: float = 20.0
    trades_per_message: float = 1.39
    changes_per_message: int = 9
    step_ticks: float = 0.9
    mid_ticks: int = 600_000
    feed_ms: tuple[float, float] = (0.6, 2.4)


def sample_instrument(symbol: str = "BTCUSDT") -> Instrument:
    """Return a contract with the rules of the venue's largest one."""
    return Instrument(
        id=InstrumentId("sim", Category.LINEAR, symbol),
        base_asset="BTC",
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=1,
        size_decimals=3,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=1_190_000,
        market_size_max_units=500_000,
        notional_min=Decimal(5),
        leverage_max=Decimal(100),
        funding_interval_minutes=480,
    )


def write_synthetic(folder: Path, options: SyntheticTape | None = None) -> Tape:
    """Make a tape; the same options make the same bytes.

    Raises:
        StorageError: the folder is there already.
    """
    options = options or SyntheticTape()
    instrument = sample_instrument()
    with TapeWriter(
        folder, [instrument], depths=[0], source=f"synthetic, seed {options.seed}"
    ) as writer:
        maker = _Maker(options)
        maker.snapshot(writer)
        left = options.messages - 1
        while left > 0:
            maker.batch(writer, min(_BATCH, left))
            left -= _BATCH
    return Tape(folder)


class _Maker:
    """The walk, batch by batch."""

    def __init__(self, options: SyntheticTape) -> None:
        self._options = options
        self._rng = np.random.default_rng(options.seed)
        self._at_ns = _START_NS
        self._received_ns = _START_NS
        self._mark_ns = _START_NS
        self._update_id = 1
        self._mid = float(options.mid_ticks)
        self._bid = int(self._mid)
        # What rests, by distance from nowhere: {price: size} would be slow and isn't needed, the
        # book itself is rebuilt by whoever reads the tape.
        self._sizes: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def _size(self) -> int:
        return max(1, int(self._rng.lognormal(5.5, 1.1)))

    def snapshot(self, writer: TapeWriter) -> None:
        """Begin with a whole book."""
        depth = self._options.depth
        bids = [(self._bid - i, self._size()) for i in range(depth)]
        asks = [(self._bid + 1 + i, self._size()) for i in range(depth)]
        self._sizes = {1: dict(bids), -1: dict(asks)}
        messages = np.zeros(1, dtype=MESSAGE)
        messages["kind"] = MessageKind.SNAPSHOT
        messages["bids"] = messages["asks"] = depth
        messages["second"] = self._update_id
        messages["sequence"] = self._update_id * 10
        times = np.array([self._at_ns], dtype=np.int64)
        self._received_ns = self._at_ns + 1_000_000
        levels = np.array(bids + asks, dtype=np.int64)
        writer.append(messages, times, np.array([self._received_ns], dtype=np.int64), levels)

    def batch(self, writer: TapeWriter, count: int) -> None:
        """Append `count` depth messages with their trades."""
        options, rng = self._options, self._rng
        gaps = rng.exponential(options.interval_ms * 1e6, size=count).astype(np.int64) + 1
        steps = rng.normal(0.0, options.step_ticks, size=count)
        latency = rng.uniform(*options.feed_ms, size=count) * 1e6
        trade_counts = rng.poisson(options.trades_per_message, size=count)
        records: list[tuple[int, int, int, int, int, int, int, int, int]] = []
        venue: list[int] = []
        received: list[int] = []
        levels: list[tuple[int, int]] = []
        for gap, step, late, trades in zip(
            gaps.tolist(), steps.tolist(), latency.astype(np.int64).tolist(),
            trade_counts.tolist(), strict=True,
        ):  # fmt: skip
            self._at_ns += gap
            self._received_ns = max(self._received_ns, self._at_ns + late)
            self._update_id += 1
            sequence = self._update_id * 10
            for number in range(trades):
                side = 1 if rng.random() < 0.5 else -1
                price = self._bid + 1 if side > 0 else self._bid
                resting = self._sizes[-side].get(price, 0)
                size = min(max(1, int(rng.exponential(60.0))), max(1, resting))
                records.append(
                    (price, size, sequence - 9 + min(number, 8), 0, 0, 0, MessageKind.TRADE,
                     0 if side > 0 else 1, 0)
                )  # fmt: skip
                venue.append(self._at_ns - 1)
                received.append(self._received_ns)
                if resting:
                    self._sizes[-side][price] = max(1, resting - size)
            if self._at_ns >= self._mark_ns:
                # The venue tells its fair price once a second.
                self._mark_ns += 1_000_000_000
                records.append((self._bid, 0, 0, 0, 0, 0, MessageKind.MARK, 0, 0))
                venue.append(self._at_ns - 1)
                received.append(self._received_ns)
            bids, asks = self._move(step)
            records.append(
                (len(levels), self._update_id, sequence, len(bids), len(asks), 0,
                 MessageKind.DELTA, 0, 0)
            )  # fmt: skip
            levels += bids
            levels += asks
            venue.append(self._at_ns)
            received.append(self._received_ns)
        writer.append(
            np.array(records, dtype=MESSAGE),
            np.array(venue, dtype=np.int64),
            np.array(received, dtype=np.int64),
            np.array(levels, dtype=np.int64).reshape(-1, 2),
        )

    def _move(self, step: float) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Move the mid and return the level changes that show it."""
        options, rng = self._options, self._rng
        self._mid += step - (self._mid - options.mid_ticks) * 1e-5
        bid = int(self._mid)
        changed: dict[int, dict[int, int]] = {1: {}, -1: {}}
        for side, best in ((1, bid), (-1, bid + 1)):
            sizes = self._sizes[side]
            old_best = self._bid if side > 0 else self._bid + 1
            # Levels the market has moved across are gone, new ones stand before the old touch.
            for price in range(old_best, best, -side):
                if sizes.pop(price, None) is not None:
                    changed[side][price] = 0
            for price in range(best, old_best, -side):
                sizes[price] = changed[side][price] = self._size()
            for price in [p for p in sizes if side * (best - p) >= options.depth]:
                del sizes[price]
                changed[side][price] = 0
            worst = min(sizes, key=lambda p: side * p, default=best)
            for price in range(worst - side, best - side * options.depth, -side):
                sizes[price] = changed[side][price] = self._size()
        self._bid = bid
        wanted = options.changes_per_message - len(changed[1]) - len(changed[-1])
        for _ in range(max(1, wanted)):
            side = 1 if rng.random() < 0.5 else -1
            best = bid if side > 0 else bid + 1
            price = best - side * min(int(rng.exponential(4.0)), options.depth - 1)
            self._sizes[side][price] = changed[side][price] = self._size()
        bids = sorted(changed[1].items(), reverse=True)
        return bids, sorted(changed[-1].items())
