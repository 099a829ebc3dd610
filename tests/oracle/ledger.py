"""A ledger that shares no code with ours: Decimals and Fractions, one line of book-keeping each.

It knows the rules by their words: an average-cost book per share and per leg, 10^-18 half-even
where a division can't be exact, forced reductions shared in proportion. `flows` counts every
execution as if it had been paid in full, with no rule about cost at all: what the identity
"cash + positions x mark - fees = equity" is checked against.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction

__all__ = ["Book", "Contract", "OracleLedger", "half_even"]

E18 = 10**18


def half_even(value: Fraction) -> Fraction:
    """Round to 10^-18, ties to the even digit: `round` of a Fraction does it."""
    return Fraction(round(value * E18), E18)


@dataclass(frozen=True)
class Contract:
    """What is traded; `kind` is linear, inverse or spot."""

    name: str
    kind: str
    base: str
    quote: str
    settle: str
    multiplier: Fraction = Fraction(1)
    size_step: Fraction = Fraction(1)

    def worth(self, size: Fraction, price: Fraction) -> Fraction:
        """Return the notional of a size, in the settle asset."""
        if self.kind == "inverse":
            return half_even(abs(size) * self.multiplier / price)
        return half_even(abs(size) * self.multiplier * price)

    def traded(self, size: Fraction, price: Fraction) -> Fraction:
        """Return the notional in the quote asset."""
        if self.kind == "inverse":
            return half_even(abs(size) * self.multiplier)
        return self.worth(size, price)


@dataclass
class Book:
    """Sums of one leg or of one share of it."""

    size: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)
    traded: Fraction = Fraction(0)
    costed: Fraction = Fraction(0)
    fills: int = 0
    fees: dict[str, Fraction] = field(default_factory=dict)

    def trade(self, one: Contract, signed: Fraction, price: Fraction) -> Fraction:
        """Close, then open; return what was realised."""
        self.fills += 1
        self.traded += one.traded(signed, price)
        gain = Fraction(0)
        closing = min(abs(self.size), abs(signed)) if self.size * signed < 0 else Fraction(0)
        if closing:
            gone = half_even(self.cost * closing / abs(self.size))
            out = one.worth(closing, price) * (1 if self.size > 0 else -1)
            gain = gone - out if one.kind == "inverse" else out - gone
            self.cost -= gone
            self.realised += gain
        opening = abs(signed) - closing
        sign = 1 if signed > 0 else -1
        if opening:
            self.cost += sign * one.worth(opening, price)
        self.size += signed
        return gain

    def trade_spot(self, one: Contract, signed: Fraction, price: Fraction, base_fee: Fraction):
        """Count cost for what has one; a base fee shrinks it at no price."""
        worth = one.worth(signed, price)
        self.fills += 1
        self.traded += worth
        if signed > 0:
            self.costed += signed
            self.cost += worth
        elif self.costed:
            closing = min(-signed, self.costed)
            gone = half_even(self.cost * closing / self.costed)
            self.realised += half_even(worth * closing / -signed) - gone
            self.cost -= gone
            self.costed -= closing
        self.costed = max(Fraction(0), self.costed - base_fee)
        if self.costed == 0:
            self.realised -= self.cost
            self.cost = Fraction(0)

    def unrealised(self, one: Contract, mark: Fraction) -> Fraction:
        """Return the profit at a price, in the settle asset."""
        if one.kind == "spot":
            return half_even(self.costed * mark) - self.cost if self.costed else Fraction(0)
        if not self.size:
            return Fraction(0)
        worth = one.worth(self.size, mark) * (1 if self.size > 0 else -1)
        return self.cost - worth if one.kind == "inverse" else worth - self.cost

    def entry(self, one: Contract) -> Fraction | None:
        """Return the average entry price."""
        if one.kind == "spot":
            return self.cost / self.costed if self.costed else None
        if not self.size or not self.cost:
            return None
        size, cost = abs(self.size) * one.multiplier, abs(self.cost)
        return size / cost if one.kind == "inverse" else cost / size


Key = tuple[str, str]
ShareKey = tuple[str, str, str | None]


class OracleLedger:
    """One account. Legs are named net, long, short; owners by strategy, None is nobody."""

    def __init__(self, contracts: list[Contract], *, day_start_hour: int) -> None:
        self.contracts = {one.name: one for one in contracts}
        self.hour = day_start_hour
        self.legs: dict[Key, Book] = {}
        self.shares: dict[ShareKey, Book] = {}
        self.cash: dict[str, Fraction] = {}
        self.flows: dict[str, Fraction] = {}
        self.given: dict[str, Fraction] = {}
        self.marks: dict[str, Fraction] = {}
        self.halted: set[str] = set()
        self.day: int | None = None
        self.day_shares: dict[ShareKey, Book] = {}

    def leg(self, name: str, leg: str) -> Book:
        return self.legs.setdefault((name, leg), Book())

    def share(self, name: str, leg: str, owner: str | None) -> Book:
        return self.shares.setdefault((name, leg, owner), Book())

    def pay(self, asset: str, amount: Fraction) -> None:
        self.cash[asset] = self.cash.get(asset, Fraction(0)) + amount

    def flow(self, asset: str, amount: Fraction) -> None:
        self.flows[asset] = self.flows.get(asset, Fraction(0)) + amount

    # events ---------------------------------------------------------------------------------------

    def transfer(self, asset: str, amount: Fraction) -> None:
        self.pay(asset, amount)
        self.flow(asset, amount)
        self.given[asset] = self.given.get(asset, Fraction(0)) + amount

    def trade(
        self,
        name: str,
        leg: str,
        signed: Fraction,
        price: Fraction,
        owner: str | None,
        forced: bool,
    ) -> None:
        one = self.contracts[name]
        whole = self.leg(name, leg)
        # Valued in the parts that close and open, as every ledger must that rounds each of them.
        for part in _parts(whole.size, signed):
            worth = one.worth(part, price) * (1 if part > 0 else -1)
            self.flow(one.settle, worth if one.kind == "inverse" else -worth)
        owed = {owner: signed}
        if forced and owner is None:
            owed = self._forced(name, leg, signed)
        for who, part in owed.items():
            if part:
                self.share(name, leg, who).trade(one, part, price)
        self.pay(one.settle, whole.trade(one, signed, price))

    def trade_spot(
        self, name: str, signed: Fraction, price: Fraction, owner: str | None, base_fee: Fraction
    ) -> None:
        one = self.contracts[name]
        worth = one.worth(signed, price) * (1 if signed > 0 else -1)
        for book in (self.leg(name, "net"), self.share(name, "net", owner)):
            book.trade_spot(one, signed, price, base_fee)
        for asset, amount in ((one.quote, -worth), (one.base, signed - base_fee)):
            self.pay(asset, amount)
            self.flow(asset, amount)

    def fee(self, name: str, leg: str, owner: str | None, asset: str, fee: Fraction) -> None:
        for book in (self.leg(name, leg), self.share(name, leg, owner)):
            book.fees[asset] = book.fees.get(asset, Fraction(0)) + fee
        one = self.contracts[name]
        if one.kind != "spot" or asset != one.base:
            self.pay(asset, -fee)
            self.flow(asset, -fee)

    def fund(self, name: str, leg: str, cash: Fraction) -> None:
        one, whole = self.contracts[name], self.leg(name, leg)
        self.pay(one.settle, cash)
        self.flow(one.settle, cash)
        whole.funding += cash
        left = cash
        for (of, where, owner), share in self.shares.items():
            if (of, where) == (name, leg) and owner is not None and whole.size:
                part = _floor(cash * share.size / whole.size)
                share.funding += part
                left -= part
        if left:
            self.share(name, leg, None).funding += left

    def settle(self, name: str, leg: str, cash: Fraction, price: Fraction) -> None:
        one, whole = self.contracts[name], self.leg(name, leg)
        expected = whole.unrealised(one, price)
        left = cash
        for (of, where, _), share in list(self.shares.items()):
            if (of, where) == (name, leg) and share.size:
                profit = share.unrealised(one, price)
                share.realised += profit
                share.cost = one.worth(share.size, price) * (1 if share.size > 0 else -1)
                left -= profit
        if left:
            self.share(name, leg, None).realised += left
        whole.cost = one.worth(whole.size, price) * (1 if whole.size > 0 else -1)
        whole.realised += cash
        self.pay(one.settle, cash)
        self.flow(one.settle, cash - expected)

    def _forced(self, name: str, leg: str, signed: Fraction) -> dict[str | None, Fraction]:
        against = {
            owner: abs(share.size) / self.contracts[name].size_step
            for (of, where, owner), share in self.shares.items()
            if (of, where) == (name, leg) and share.size * signed < 0
        }
        step, sign = self.contracts[name].size_step, 1 if signed > 0 else -1
        steps = abs(signed) / step
        take = min(steps, sum(against.values(), Fraction(0)))
        rest, weights = steps - take, sum(against.values(), Fraction(0))
        parts: dict[str | None, Fraction] = {}
        for owner in sorted(against, key=lambda one: one or ""):
            part = Fraction(take * against[owner] // weights) if weights else Fraction(0)
            parts[owner] = sign * part * step
            take -= part
            weights -= against[owner]
        if rest:
            parts[None] = parts.get(None, Fraction(0)) + sign * rest * step
        return parts

    def begin_day(self, hours: int) -> None:
        """Take the time in hours; a day begins at the configured one."""
        day = (hours - self.hour) // 24
        if day != self.day:
            self.day = day
            self.day_shares = deepcopy(self.shares)

    # sums -----------------------------------------------------------------------------------------

    def spot_held(self, one: Contract) -> Fraction:
        """Return a spot holding down to what its size can say, never below nothing."""
        return (
            max(Fraction(0), self.cash.get(one.base, Fraction(0))) // one.size_step * one.size_step
        )

    def value(self, asset: str, amount: Fraction) -> Fraction | None:
        """Return money in USDT, by the marks there are: spot first, then linear, then inverse."""
        if asset in ("USDT", "USD"):
            return amount
        if not amount:
            return Fraction(0)
        for kind in ("spot", "linear", "inverse"):
            for one in self.contracts.values():
                fits = one.base == asset and one.kind == kind and one.multiplier == 1
                if fits and one.name in self.marks:
                    return half_even(amount * self.marks[one.name])
        return None

    def equity(self) -> Fraction | None:
        """Return cash and unrealised profit in USDT; None when a price is missing."""
        total = Fraction(0)
        for asset, amount in self.cash.items():
            worth = self.value(asset, amount)
            if worth is None:
                return None
            total += worth
        for name, one in self.contracts.items():
            books = [book for (of, _), book in self.legs.items() if of == name]
            if one.kind == "spot" or not any(book.size for book in books):
                continue
            if name not in self.marks:
                return None
            profit = sum((b.unrealised(one, self.marks[name]) for b in books), Fraction(0))
            worth = self.value(one.settle, profit)
            if worth is None:
                return None
            total += worth
        return total

    def exposure(self) -> Fraction | None:
        """Return the gross worth of what is held, in USDT; legs of a hedge don't net."""
        total = Fraction(0)
        for name, one in self.contracts.items():
            if one.kind == "spot":
                size = self.spot_held(one)
            else:
                size = sum(
                    (abs(b.size) for (of, _), b in self.legs.items() if of == name), Fraction(0)
                )
            if size and name not in self.marks:
                return None
            worth = self.value(one.quote, one.traded(size, self.marks[name])) if size else size
            if worth is None:
                return None
            total += worth
        return total

    def identity(self, asset: str) -> Fraction | None:
        """Return cash + positions x mark - fees of one asset, by flows alone; None unpriced."""
        total = self.flows.get(asset, Fraction(0))
        for (name, _), book in self.legs.items():
            one = self.contracts[name]
            if one.kind == "spot" or one.settle != asset or not book.size:
                continue
            if name not in self.marks:
                return None
            worth = one.worth(book.size, self.marks[name]) * (1 if book.size > 0 else -1)
            total += -worth if one.kind == "inverse" else worth
        return total


def _parts(held: Fraction, signed: Fraction) -> list[Fraction]:
    if held * signed >= 0 or abs(signed) <= abs(held):
        return [signed]
    return [-held, signed + held]


def _floor(value: Fraction) -> Fraction:
    return Fraction(value * E18 // 1, E18)
