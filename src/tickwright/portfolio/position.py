"""Owns one position as a fold of executions: size, cost and what was realised; refuses averages.

Money is in units of 10^-18 of the settle asset. The cost of what is held is kept as a sum, so that
nothing is lost between fills. Closing a part takes its share of that sum, rounded half-even at
10^-18; the rest of the sum stays, so that realised + unrealised is always what the fills really
moved.
"""

from decimal import Decimal
from functools import lru_cache

from tickwright.core.errors import UnitsError
from tickwright.core.identity import AccountId, InstrumentId, Leg
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.ledger_state import DayBase
from tickwright.core.units import MONEY_DECIMALS, decimal_from_units, money_to_decimal

__all__ = ["Position", "divide_half_even", "split_by_weight"]

# Looking a member up in its class is a Python call, and every fill asks.
_LINEAR = Payoff.LINEAR


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return numerator / denominator as the nearest whole number, ties to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def split_by_weight(amount: int, weights: list[int]) -> list[int]:
    """Split an amount by weights, nothing lost: the last ones get the remainder.

    No part exceeds its weight when the amount does not exceed their sum.
    """
    parts = []
    left, weight_left = amount, sum(weights)
    for weight in weights:
        # Dividing what is left by the weight that is left keeps every part within its own weight.
        part = left * weight // weight_left if weight_left else 0
        parts.append(part)
        left -= part
        weight_left -= weight
    if left:
        parts[-1] += left
    return parts


@lru_cache(maxsize=4_096)
def _average(
    cost: int,
    size_units: int,
    size_decimals: int,
    multiplier: Decimal,
    is_linear: bool,  # noqa: FBT001 - one caller; a position asked again and again is told at once
) -> Decimal:
    base = decimal_from_units(abs(size_units), size_decimals) * multiplier
    paid = money_to_decimal(abs(cost))
    return paid / base if is_linear else base / paid


class Position:
    """A signed size with its cost. Read it anywhere; only `portfolio` changes it.

    `size_units` is positive when long. `cost` is the money paid for what is held (negative for a
    short: received), in the settle asset. `realised` is without fees and funding, which have their
    own sums; `fees` is positive when paid, by asset. `traded` sums the notional of the executions
    that moved it, in money units of the quote asset. `base` is what the day began with. For spot,
    `amount` is the holding in money units of the base asset, finer than a size unit because fees in
    base leave dust, and `costed` is the part of it whose cost is known.
    """

    __slots__ = (
        "account_id",
        "amount",
        "base",
        "cost",
        "costed",
        "fees",
        "fill_count",
        "funding",
        "instrument_id",
        "leg",
        "opened_ns",
        "realised",
        "size_units",
        "traded",
        "updated_ns",
    )

    def __init__(self, account_id: AccountId, instrument_id: InstrumentId, leg: Leg) -> None:
        self.account_id = account_id
        self.instrument_id = instrument_id
        self.leg = leg
        self.size_units = 0
        self.cost = 0
        self.realised = 0
        self.funding = 0
        self.fees: dict[str, int] = {}
        self.traded = 0
        self.base = DayBase()
        self.amount = 0
        self.costed = 0
        self.fill_count = 0
        self.opened_ns = 0
        self.updated_ns = 0

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return self.size_units == 0

    def entry_price(self, instrument: Instrument) -> Decimal | None:
        """Return the average entry price for display, or None when flat or its cost is unknown."""
        if instrument.is_spot:
            if self.costed <= 0 or self.size_units == 0:
                return None
            return Decimal(self.cost) / Decimal(self.costed)
        if self.size_units == 0 or self.cost == 0:
            return None
        return _average(
            self.cost,
            self.size_units,
            instrument.size_decimals,
            instrument.multiplier,
            instrument.payoff is _LINEAR,
        )

    def entry_units(self, instrument: Instrument) -> int | None:
        """Return the average entry price to the nearest price unit, None where there is none."""
        if (
            self.size_units
            and self.cost
            and instrument.payoff is _LINEAR
            and instrument.multiplier == 1
            and not instrument.is_spot
        ):
            # Whole numbers all the way: a Decimal takes five times as long, and every fill waits.
            decimals = MONEY_DECIMALS - instrument.price_decimals - instrument.size_decimals
            return divide_half_even(abs(self.cost), abs(self.size_units) * int(10**decimals))
        price = self.entry_price(instrument)
        return None if price is None else round(price.scaleb(instrument.price_decimals))

    def unrealised(self, instrument: Instrument, price_units: int) -> int:
        """Return the profit if closed at a price, in the settle asset, fees left out."""
        if instrument.is_spot:
            if self.costed <= 0:
                return 0
            worth = divide_half_even(self.costed * price_units, 10**instrument.price_decimals)
            return worth - self.cost
        if self.size_units == 0:
            return 0
        worth = instrument.notional(self.size_units, price_units)
        signed = worth if self.size_units > 0 else -worth
        return signed - self.cost if instrument.payoff is _LINEAR else self.cost - signed

    # changes: for the portfolio alone -------------------------------------------------------------

    def trade(
        self, signed_units: int, price_units: int, instrument: Instrument, now_ns: int
    ) -> int:
        """Fold one execution of a contract; the part that closes realises, the rest opens.

        Returns:
            What was realised, in money units of the settle asset.
        """
        assert signed_units != 0 and price_units > 0, "an execution has a size and a price"
        self.fill_count += 1
        self.updated_ns = now_ns
        held = self.size_units
        if held == 0 or (held > 0) == (signed_units > 0):
            self._open(signed_units, price_units, instrument, now_ns)
            return 0
        closing = min(abs(held), abs(signed_units))
        gone = (
            self.cost if closing == abs(held) else divide_half_even(self.cost * closing, abs(held))
        )
        worth = instrument.notional(closing, price_units)
        worth = worth if held > 0 else -worth
        realised = worth - gone if instrument.payoff is _LINEAR else gone - worth
        self.cost -= gone
        self.realised += realised
        self.size_units += closing if held < 0 else -closing
        opening = abs(signed_units) - closing
        if opening:
            self._open(opening if signed_units > 0 else -opening, price_units, instrument, now_ns)
        return realised

    def _open(
        self, signed_units: int, price_units: int, instrument: Instrument, now_ns: int
    ) -> None:
        if self.size_units == 0:
            self.opened_ns = now_ns
        worth = instrument.notional(signed_units, price_units)
        self.cost += worth if signed_units > 0 else -worth
        self.size_units += signed_units

    def trade_spot(self, signed_units: int, worth: int, instrument: Instrument, now_ns: int) -> int:
        """Fold the cost side of one spot execution of `worth` quote money.

        What is sold beyond the part whose cost is known (held before we looked, bought elsewhere)
        realises nothing.

        Returns:
            What was realised, in money units of the quote asset.
        """
        amount = abs(signed_units) * spot_scale(instrument)
        self.fill_count += 1
        self.updated_ns = now_ns
        if signed_units > 0:
            if self.costed == 0:
                self.opened_ns = now_ns
            self.costed += amount
            self.cost += worth
            return 0
        closing = min(amount, self.costed)
        if closing == 0:
            return 0
        gone = (
            self.cost
            if closing == self.costed
            else divide_half_even(self.cost * closing, self.costed)
        )
        back = worth if closing == amount else divide_half_even(worth * closing, amount)
        self.cost -= gone
        self.costed -= closing
        self.realised += back - gone
        return back - gone

    def pay_spot_fee(self, fee: int) -> None:
        """Take a fee paid in base (negative: a rebate) from the part whose cost is known."""
        self.costed = max(0, self.costed - fee)
        if self.costed == 0:
            self.realised -= self.cost
            self.cost = 0

    def release_spot(self, amount: int) -> None:
        """Forget the cost of an amount that left without a sale: no price, so nothing realised."""
        assert 0 <= amount <= self.costed, "only what is costed can be released"
        self.cost -= divide_half_even(self.cost * amount, self.costed) if self.costed else 0
        self.costed -= amount
        if self.costed == 0:
            self.cost = 0

    def set_amount(self, amount: int, instrument: Instrument) -> None:
        """Set the spot holding (money units of base); the size is its floor, never negative."""
        self.amount = amount
        self.size_units = max(0, amount) // spot_scale(instrument)

    def add_fee(self, asset: str, fee: int) -> None:
        """Count a reported fee."""
        if fee:
            self.fees[asset] = self.fees.get(asset, 0) + fee

    def settle(self, cash: int, price_units: int, instrument: Instrument) -> None:
        """Book a session settlement: cash is realised, the entry becomes its price."""
        worth = instrument.notional(self.size_units, price_units)
        self.cost = worth if self.size_units > 0 else -worth
        self.realised += cash

    def adopt(self, size_units: int, entry_price: Decimal | None, instrument: Instrument) -> None:
        """Take the venue's size (and its entry price, when it gave one) in place of ours."""
        self.size_units = size_units
        self.cost = 0
        if size_units and entry_price is not None and entry_price > 0:
            base = instrument.quantity(abs(size_units)) * instrument.multiplier
            numerator, denominator = (
                base * entry_price if instrument.payoff is _LINEAR else base / entry_price
            ).as_integer_ratio()
            worth = divide_half_even(numerator * 10**MONEY_DECIMALS, denominator)
            self.cost = worth if size_units > 0 else -worth

    def start_day(self, unrealised: int | None) -> None:
        """Begin a day with these sums."""
        self.base = DayBase(
            self.realised,
            self.funding,
            self.traded,
            self.fill_count,
            dict(self.fees),
            unrealised,
        )

    def rescale(self, shift: int) -> None:
        """Follow a change of the instrument's size decimals by `shift`.

        Raises:
            UnitsError: the held size has digits the new decimals can't write.
        """
        if shift >= 0:
            self.size_units *= 10**shift
            return
        size, rest = divmod(abs(self.size_units), 10**-shift)
        if rest:
            raise UnitsError(f"{self.instrument_id}: the size held doesn't fit the new decimals")
        self.size_units = size if self.size_units > 0 else -size

    def __repr__(self) -> str:
        return (
            f"Position({self.account_id} {self.instrument_id} {self.leg.value} {self.size_units})"
        )


def spot_scale(instrument: Instrument) -> int:
    """Return how many money units of base one size unit is."""
    scale: int = 10 ** (MONEY_DECIMALS - instrument.size_decimals)
    return scale
