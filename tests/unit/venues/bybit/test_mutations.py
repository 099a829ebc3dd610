"""Whatever bytes arrive, the lenient decoders answer with events or FrameError, nothing else."""

import random
from collections.abc import Callable

import pytest

from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.errors import FrameError
from tickwright.core.instrument import Instrument
from tickwright.venues.bybit.control import classify
from tickwright.venues.bybit.market import (
    Tickers,
    decode_candles,
    decode_liquidations,
)


@pytest.mark.parametrize("seed", range(4))
def test_market_decoders_when_frames_are_mutated_then_only_frame_error(
    linear: Callable[[str], Instrument], seed: int
):
    chance = random.Random(seed)
    names = ("ws-tickers-*", "ws-kline", "ws-all-liquidation", "ws-price-limit", "ws-pong-*")
    frames = [path.read_bytes() for name in names for path in SAMPLES.glob(f"{name}.json")]
    frames.sort()
    outcomes = {True: 0, False: 0}
    for _ in range(1500):
        frame = bytearray(chance.choice(frames))
        at = chance.randrange(len(frame))
        if chance.random() < 0.7:
            frame[at] = chance.choice(b'{}[]",:.-+0123456789eE \x00\xffabc')
        else:
            del frame[at : at + chance.randint(1, 8)]
        text = bytes(frame)
        for decode in (
            classify,
            lambda raw: Tickers(linear).decode(raw),
            lambda raw: decode_candles(raw, linear),
            lambda raw: decode_liquidations(raw, linear),
        ):
            try:
                decode(text)
                outcomes[True] += 1
            except FrameError:
                outcomes[False] += 1
    assert outcomes[True] > 500
    assert outcomes[False] > 2000
