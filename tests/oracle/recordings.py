"""Books of recorded frames by the venues' own rules, in decimal text: nothing of ours is used.

Bybit: a snapshot replaces, `u` rises by one. Binance spot: events overlap a REST snapshot; USD-M:
each event names the previous one. Sizes of zero remove.
"""

import gzip
import json
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

__all__ = ["RecordedOracle", "bybit_frames", "binance_frames"]

Text = list[list[str]]


class RecordedOracle:
    """Sizes by price on two sides."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.last_id = -1
        self.waiting: list[dict[str, Any]] = []

    def replace(self, bids: Text, asks: Text, last_id: int) -> None:
        self.bids, self.asks = {}, {}
        self._change(bids, asks)
        self.last_id = last_id

    def best(self, count: int | None = None) -> tuple[list[tuple[Decimal, Decimal]], ...]:
        return (
            sorted(self.bids.items(), reverse=True)[:count],
            sorted(self.asks.items())[:count],
        )

    def take_bybit(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.replace(data["b"], data["a"], data["u"])
            return
        assert data["u"] == self.last_id + 1, "the recording has a gap"
        self._change(data["b"], data["a"])
        self.last_id = data["u"]

    def take_binance(self, frame: dict[str, Any]) -> None:
        if "lastUpdateId" in frame:
            self.replace(frame["bids"], frame["asks"], frame["lastUpdateId"])
            waiting, self.waiting = self.waiting, []
            for event in waiting:
                self._take_event(event)
        elif frame.get("data", frame).get("e") == "depthUpdate":
            event = frame.get("data", frame)
            if self.last_id < 0:
                self.waiting.append(event)
            else:
                self._take_event(event)

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["u"] <= self.last_id:
            return
        if "pu" in event:
            covers = event["pu"] <= self.last_id <= event["u"]
            assert covers, "the recording has a gap"
        else:
            assert event["U"] <= self.last_id + 1, "the recording has a gap"
        self._change(event["b"], event["a"])
        self.last_id = event["u"]

    def _change(self, bids: Text, asks: Text) -> None:
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for price_text, size_text in rows:
                price, size = Decimal(price_text), Decimal(size_text)
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)


def bybit_frames(path: Path) -> Iterator[bytes]:
    """Yield the frames of a daily archive."""
    with zipfile.ZipFile(path) as archive:
        for line in archive.read(archive.namelist()[0]).splitlines():
            yield line.strip()


def binance_frames(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield (receive time, frame, document) of the depth lines: events and the REST snapshot."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            received, _, frame = line.strip().partition(b" ")
            if b"depthUpdate" in frame or b"lastUpdateId" in frame:
                yield int(received), frame, json.loads(frame)
