"""Owns the plain-Python client the simulator is judged by: it knows only what the frames say."""

import json
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from tickwright.core.identity import Category
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.sources.operations import MarketSource
from tickwright.simulator.sources.synthetic import SyntheticSource, SyntheticStyle
from tickwright.simulator.venue import SimulatedVenue

START_NS = 1_790_134_712_000_000_000
SECOND = 1_000_000_000

Levels = list[list[str]]


class ClientBook:
    """A book kept by the documented rules, from JSON alone."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.u = 0
        self.seq = 0

    def apply(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.bids = dict(data["b"])
            self.asks = dict(data["a"])
        else:
            assert self.u + 1 == data["u"]
            for side, changes in ((self.bids, data["b"]), (self.asks, data["a"])):
                prices = [price for price, _ in changes]
                assert len(set(prices)) == len(prices)
                for price, size in changes:
                    if size == "0":
                        del side[price]  # deleting an unknown level is a fault of the venue
                    else:
                        side[price] = size
        assert data["seq"] >= self.seq
        self.u, self.seq = data["u"], data["seq"]

    def levels(self) -> tuple[Levels, Levels]:
        bids = sorted(self.bids.items(), key=lambda level: Decimal(level[0]), reverse=True)
        asks = sorted(self.asks.items(), key=lambda level: Decimal(level[0]))
        return [list(level) for level in bids], [list(level) for level in asks]


class Recorder:
    """A subscriber that keeps every frame with the venue time it came at."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self.venue = venue
        self.frames: list[tuple[int, str, bytes]] = []

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        assert is_delta == (b'"type":"delta"' in payload[:120])
        self.frames.append((self.venue.now_ns, topic, payload))

    def subscribe(self, category: Category, *topics: str) -> None:
        for topic in topics:
            stream = self.venue.stream(category, topic)
            assert stream is not None, topic
            stream.subscribe(self)
        self.venue.subscriptions_changed()

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, name, payload in self.frames if name == topic]

    def drain(self) -> Iterator[tuple[str, dict[str, Any]]]:
        frames, self.frames = self.frames, []
        for _, topic, payload in frames:
            yield topic, json.loads(payload)


def window_texts(
    venue: SimulatedVenue, category: Category, symbol: str, depth: int
) -> tuple[Levels, Levels]:
    """The best levels of the venue's book itself, straight from its ladders, in wire text."""
    market = venue.markets[category, symbol]
    price, size = market.instrument.price_text, market.instrument.size_text
    sides = []
    for ladder in (market.book.bids, market.book.asks):
        keys = sorted(set(ladder.external) | set(ladder.own), reverse=True)[:depth]
        sides.append([[price[abs(key)], size[ladder.size_at(key)]] for key in keys])
    return sides[0], sides[1]


def synthetic_venue(
    *symbols: str,
    category: Category = Category.LINEAR,
    seed: int = 7,
    events_per_s: float = 0.0,
    levels: int = 1_100,
    frames_per_s: float = 0.0,
) -> SimulatedVenue:
    """A venue with a synthetic market of the given symbols."""
    instruments = [instrument_for(category, symbol) for symbol in symbols]
    style = SyntheticStyle(events_per_s=events_per_s, levels=levels)
    source: MarketSource = SyntheticSource(instruments, Random(seed), style)
    return SimulatedVenue(
        instruments,
        [source],
        rng=Random(seed),
        start_ns=START_NS,
        frames_per_s=frames_per_s,
    )
