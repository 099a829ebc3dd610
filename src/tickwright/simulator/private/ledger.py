"""Owns the money of the venue's accounts, exact to 10^-18; refuses averages and wire words.

Wallets, positions and fees are whole money units (`core.units`). A position keeps its size and its
signed cost, never an average: what a closing fill releases of the cost is rounded half-even once,
and the rest stays, so that nothing is created or lost. `Ledger.faults` proves it. The other side of
a match with external liquidity is the house, whose wallet may go below zero.
"""

from dataclasses import dataclass, field

import msgspec

from tickwright.core.orders import Side
from tickwright.core.units import MONEY_DECIMALS
from tickwright.simulator.instruments import VenueInstrument

__all__ = ["AccountLedger", "Booked", "Ledger", "Position", "PositionKey", "money_of", "share_of"]

PositionKey = tuple[str, int]
"""(symbol, position index: 0 one-way, 1 long leg, 2 short leg)."""

PPM = 1_000_000


def money_of(instrument: VenueInstrument, price_units: int, size_units: int) -> int:
    """Return price x size in money units of the quote asset, exactly."""
    return price_units * size_units * instrument.money_scale


def share_of(amount: int, numerator: int, denominator: int) -> int:
    """Return amount x numerator / denominator, rounded half-even at one money unit."""
    quotient, rest = divmod(amount * numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient & 1):
        quotient += 1
    return quotient


@dataclass(slots=True)
class Position:
    """One leg of a linear position: signed size, signed cost, and what it has realised.

    `realised` is since it was opened, `realised_total` for ever; both after fees and funding.
    `flow` is the sum of side x value of its fills: the proof that cost and gross profit are right.
    """

    size_units: int = 0
    cost: int = 0
    realised: int = 0
    realised_total: int = 0
    gross_total: int = 0
    flow: int = 0
    opened_ms: int = 0
    updated_ms: int = 0


class Booked(msgspec.Struct, frozen=True, gc=False):
    """What a fill did to an account, in money units. `gross` is the profit before the fee."""

    fee: int
    fee_asset: str
    gross: int = 0
    closed_units: int = 0


@dataclass(slots=True)
class AccountLedger:
    """Wallet and positions of one account, with the sums that explain every balance.

    `revision` rises with every booking: what was computed under one of them holds until the next.
    """

    wallet: dict[str, int] = field(default_factory=dict)
    deposits: dict[str, int] = field(default_factory=dict)
    realised: dict[str, int] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    funding: dict[str, int] = field(default_factory=dict)
    traded: dict[str, int] = field(default_factory=dict)
    transfers: dict[str, int] = field(default_factory=dict)
    insurance: dict[str, int] = field(default_factory=dict)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    revision: int = 0

    def deposit(self, asset: str, amount: int) -> None:
        """Put money in."""
        self._move(self.deposits, asset, amount)

    def transfer(self, asset: str, amount: int) -> None:
        """Move money in (positive) or out; the other account books the opposite."""
        self._move(self.transfers, asset, amount)

    def insure(self, asset: str, amount: int) -> None:
        """Let the insurance fund pay (positive) what a liquidation lost beyond the account's money.

        The house books the opposite.
        """
        self._move(self.insurance, asset, amount)

    def position(self, key: PositionKey) -> Position:
        """Return a position, made flat on first use."""
        known = self.positions.get(key)
        if known is None:
            known = self.positions[key] = Position()
        return known

    def book_linear(
        self,
        instrument: VenueInstrument,
        index: int,
        side: Side,
        price_units: int,
        size_units: int,
        fee_ppm: int,
        at_ms: int,
    ) -> Booked:
        """Book one fill of a linear perpetual: open, grow, shrink, close or flip the position."""
        asset = instrument.quote
        position = self.position((instrument.symbol, index))
        value = money_of(instrument, price_units, size_units)
        position.flow += side * value
        fee = share_of(value, fee_ppm, PPM)
        held = position.size_units
        closed = min(size_units, abs(held)) if held * side < 0 else 0
        gross = 0
        if closed:
            released = share_of(position.cost, closed, abs(held))
            gross = -side * money_of(instrument, price_units, closed) - released
            position.cost -= released
            position.size_units += side * closed
        opened = size_units - closed
        if opened:
            if position.size_units == 0:
                position.realised = 0
                position.opened_ms = at_ms
            position.cost += side * money_of(instrument, price_units, opened)
            position.size_units += side * opened
        position.gross_total += gross
        position.realised += gross - fee
        position.realised_total += gross - fee
        position.updated_ms = at_ms
        self._move(self.realised, asset, gross)
        self._pay_fee(asset, fee)
        return Booked(fee, asset, gross, closed)

    def book_spot(
        self,
        instrument: VenueInstrument,
        side: Side,
        price_units: int,
        size_units: int,
        fee_ppm: int,
    ) -> Booked:
        """Book one fill of a spot pair: a buy pays its fee in base, a sell in quote."""
        value = money_of(instrument, price_units, size_units)
        quantity = size_units * 10 ** (MONEY_DECIMALS - instrument.size_decimals)
        self._move(self.traded, instrument.quote, -side * value)
        self._move(self.traded, instrument.base, side * quantity)
        is_buy = side is Side.BUY
        asset = instrument.base if is_buy else instrument.quote
        fee = share_of(quantity if is_buy else value, fee_ppm, PPM)
        self._pay_fee(asset, fee)
        return Booked(fee, asset)

    def book_funding(self, instrument: VenueInstrument, index: int, paid: int, at_ms: int) -> None:
        """Book a funding payment; positive is paid by the account."""
        position = self.position((instrument.symbol, index))
        position.realised -= paid
        position.realised_total -= paid
        position.updated_ms = at_ms
        self._move(self.funding, instrument.quote, -paid)

    def _pay_fee(self, asset: str, fee: int) -> None:
        self.revision += 1
        self.wallet[asset] = self.wallet.get(asset, 0) - fee
        self.fees[asset] = self.fees.get(asset, 0) + fee

    def _move(self, sums: dict[str, int], asset: str, amount: int) -> None:
        self.revision += 1
        self.wallet[asset] = self.wallet.get(asset, 0) + amount
        sums[asset] = sums.get(asset, 0) + amount

    def faults(self) -> list[str]:
        """Say where a balance isn't the sum of its causes, or a position not that of its fills."""
        found = []
        for asset, balance in self.wallet.items():
            explained = (
                self.deposits.get(asset, 0)
                + self.realised.get(asset, 0)
                + self.funding.get(asset, 0)
                + self.traded.get(asset, 0)
                + self.transfers.get(asset, 0)
                + self.insurance.get(asset, 0)
                - self.fees.get(asset, 0)
            )
            if balance != explained:
                found.append(f"{asset}: balance {balance} is explained as {explained}")
        for key, position in self.positions.items():
            if position.flow != position.cost - position.gross_total:
                found.append(f"{key}: fills {position.flow}, cost {position.cost}")
            if position.size_units == 0 and position.cost:
                found.append(f"{key}: flat with a cost of {position.cost}")
        return found


class Ledger:
    """All accounts and the house."""

    def __init__(self) -> None:
        self.accounts: dict[int, AccountLedger] = {}
        self.house = AccountLedger()

    def open(self, uid: int) -> AccountLedger:
        """Open an account's ledger."""
        assert uid not in self.accounts
        self.accounts[uid] = AccountLedger()
        return self.accounts[uid]

    def totals(self) -> dict[str, int]:
        """Return what each asset's books are off by: zero for every asset, always.

        Wallets of all accounts and the house, plus fees kept by the venue, less deposits and less
        the cost of open positions, whose profit is still to be realised.
        """
        off: dict[str, int] = {}
        for ledger in (*self.accounts.values(), self.house):
            for asset, balance in ledger.wallet.items():
                off[asset] = off.get(asset, 0) + balance
            for asset, fee in ledger.fees.items():
                off[asset] = off.get(asset, 0) + fee
            for asset, amount in ledger.deposits.items():
                off[asset] = off.get(asset, 0) - amount
            for position in ledger.positions.values():
                # Every linear contract here settles in USDT.
                off["USDT"] = off.get("USDT", 0) - position.cost
        return off

    def faults(self) -> list[str]:
        """Say everything that doesn't balance; empty when all is well."""
        found = [
            f"account {uid}: {fault}"
            for uid, ledger in self.accounts.items()
            for fault in ledger.faults()
        ]
        found += [f"house: {fault}" for fault in self.house.faults()]
        found += [f"{asset}: off by {amount}" for asset, amount in self.totals().items() if amount]
        sizes: dict[str, int] = {}
        for ledger in (*self.accounts.values(), self.house):
            for (symbol, _), position in ledger.positions.items():
                sizes[symbol] = sizes.get(symbol, 0) + position.size_units
        return found + [
            f"{symbol}: positions sum to {size}" for symbol, size in sizes.items() if size
        ]
