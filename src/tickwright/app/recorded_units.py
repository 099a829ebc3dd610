"""Owns how many decimals a recording's numbers need; refuses to guess from a name or a list.

Where there is no instrument beside a recording, its own texts say: the most decimals printed for a
symbol's prices and for its sizes, trailing zeros included, so that levels come out as they were
written. Numbers of more digits than the core holds are left to the decoder, which refuses them.
"""

import re

from tickwright.core.errors import UnitsError
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument

__all__ = ["UnitsSurvey"]

DIGITS_MAX = 18
"""Most digits of one number in units: int64."""
PRICE_DECIMALS_MAX = 10
SIZE_DECIMALS_MAX = 8

_PRICE = rb'\[\s*"'
_SIZE = rb'"\s*,\s*"'


class _Digits:
    """The widest of the numbers seen on one side of the levels' pairs."""

    __slots__ = ("_before", "_decimals_max", "_wider", "printed", "significant", "whole")

    def __init__(self, before: bytes, decimals_max: int) -> None:
        self._before = before
        self._decimals_max = decimals_max
        self.whole = 1
        self.printed = 0
        self.significant = 0
        self._wider = self._pattern()

    def see(self, frame: bytes) -> None:
        at = 0
        while found := self._wider.search(frame, at):
            at = found.end()
            whole, _, fraction = found[1].partition(b".")
            exact = len(fraction.rstrip(b"0"))
            if len(whole) + exact > DIGITS_MAX or exact > self._decimals_max:
                continue
            self.whole = max(self.whole, len(whole))
            self.significant = max(self.significant, exact)
            if len(fraction) <= self._decimals_max:
                self.printed = max(self.printed, len(fraction))
            self._wider = self._pattern()

    def _pattern(self) -> re.Pattern[bytes]:
        longer = rb"\d{%d,}(?:\.\d+)?" % (self.whole + 1)
        printed = rb"\d+\.\d{%d,}" % (self.printed + 1)
        exact = rb"\d+\.\d{%d}\d*[1-9]\d*" % self.significant
        return re.compile(rb"%b(%b|%b|%b)\"" % (self._before, longer, printed, exact))

    @property
    def decimals(self) -> int:
        """As printed, or if that doesn't fit the core's digits, without trailing zeros."""
        if self.whole + self.printed <= DIGITS_MAX:
            return self.printed
        return min(self.significant, DIGITS_MAX - self.whole)


class UnitsSurvey:
    """Looks at the level pairs of one symbol's frames, `["price","size"]`."""

    __slots__ = ("_prices", "_sizes")

    def __init__(self) -> None:
        self._prices = _Digits(_PRICE, PRICE_DECIMALS_MAX)
        self._sizes = _Digits(_SIZE, SIZE_DECIMALS_MAX)

    def see(self, frame: bytes) -> None:
        """Take note of a frame's numbers."""
        self._prices.see(frame)
        self._sizes.see(frame)

    def instrument(self, instrument_id: InstrumentId) -> Instrument:
        """Return an instrument whose units hold every number seen; it is good for reading alone.

        Raises:
            UnitsError: no units can hold them.
        """
        price_decimals, size_decimals = self._prices.decimals, self._sizes.decimals
        if price_decimals < 0 or size_decimals < 0:
            raise UnitsError(f"{instrument_id}: numbers of more than {DIGITS_MAX} digits")
        return Instrument(
            id=instrument_id,
            base_asset="",
            quote_asset="",
            settle_asset="",
            price_decimals=price_decimals,
            size_decimals=size_decimals,
            tick_units=1,
            lot_units=1,
            size_min_units=1,
            size_max_units=2**63 - 1,
            market_size_max_units=2**63 - 1,
        )
