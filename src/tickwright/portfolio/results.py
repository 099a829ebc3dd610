"""Owns what was made and lost, by share of a position: sums by asset, whole and of the day.

Refuses averages, and a sum that has a part without a price: then the figure is None. A day's
figures are what a sum has grown by since the day began, so that no fill is ever counted for a day
by a clock of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.portfolio.account import Account, Holding
from tickwright.portfolio.position import Position
from tickwright.portfolio.valuation import Valuer

__all__ = ["Figures", "Result", "ResultRow", "account_result", "figures", "merged", "result_rows"]


@dataclass(slots=True)
class Result:
    """Money by asset, in money units: what one or many shares made.

    `realised` is without fees and funding. `unrealised` of a day is what it has changed by;
    `unpriced` names instruments whose mark is missing, which it leaves out. `traded` is the
    notional of every execution that moved a position, in quote assets.
    """

    realised: dict[str, int] = field(default_factory=dict)
    unrealised: dict[str, int] = field(default_factory=dict)
    funding: dict[str, int] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    traded: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One strategy's result in one instrument of one account; None owns what nobody asked for.

    `gross` is the notional it holds now, in the equity asset; None without a price.
    """

    account_id: AccountId
    strategy_id: StrategyId | None
    instrument_id: InstrumentId
    total: Result
    day: Result
    gross: int | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A result in the equity asset; None where a price is missing. `fees` are paid when positive.

    `net` is realised + unrealised + funding - fees.
    """

    realised: int | None
    unrealised: int | None
    funding: int | None
    fees: int | None
    traded: int | None
    net: int | None
    fills: int


def result_rows(account: Account) -> tuple[ResultRow, ...]:
    """Return every strategy's result in every instrument of an account; the legs together."""
    rows = []
    for instrument_id, holding in sorted(account.holdings.items()):
        owners: dict[StrategyId | None, list[Position]] = {}
        for book in holding.legs.values():
            for owner, share in book.shares.items():
                if not _is_blank(share):
                    owners.setdefault(owner, []).append(share)
        for owner, shares in sorted(owners.items(), key=lambda item: item[0] or ""):
            total, day = _results(holding, shares)
            gross = holding.worth_of(sum(abs(share.size_units) for share in shares))
            rows.append(ResultRow(account.account_id, owner, instrument_id, total, day, gross))
    return tuple(rows)


def account_result(account: Account) -> tuple[Result, Result]:
    """Return an account's whole result and the day's, from its own positions, not from shares."""
    totals, days = [], []
    for _, holding in sorted(account.holdings.items()):
        positions = [book.position for book in holding.legs.values()]
        total, day = _results(holding, positions)
        totals.append(total)
        days.append(day)
    return merged(totals), merged(days)


def merged(results: Iterable[Result]) -> Result:
    """Return the sum of results."""
    whole = Result()
    for one in results:
        for name in ("realised", "unrealised", "funding", "fees", "traded"):
            sums: dict[str, int] = getattr(whole, name)
            for asset, amount in getattr(one, name).items():
                sums[asset] = sums.get(asset, 0) + amount
        whole.fills += one.fills
        whole.unpriced += tuple(name for name in one.unpriced if name not in whole.unpriced)
    return whole


def figures(result: Result, valuer: Valuer) -> Figures:
    """Return a result in the equity asset, at the prices of now."""
    realised = _worth(result.realised, valuer)
    unrealised = None if result.unpriced else _worth(result.unrealised, valuer)
    funding = _worth(result.funding, valuer)
    fees = _worth(result.fees, valuer)
    net = None
    if realised is not None and unrealised is not None and funding is not None and fees is not None:
        net = realised + unrealised + funding - fees
    return Figures(
        realised=realised,
        unrealised=unrealised,
        funding=funding,
        fees=fees,
        traded=_worth(result.traded, valuer),
        net=net,
        fills=result.fills,
    )


def _worth(amounts: dict[str, int], valuer: Valuer) -> int | None:
    total = 0
    for asset, amount in amounts.items():
        worth = valuer.value(asset, amount)
        if worth is None:
            return None
        total += worth
    return total


def _results(holding: Holding, positions: Iterable[Position]) -> tuple[Result, Result]:
    instrument = holding.market.instrument
    settle, quote = instrument.settle_asset, instrument.quote_asset
    total, day = Result(), Result()
    for one in positions:
        base = one.base
        unrealised = holding.profit(one)
        _add(total.realised, settle, one.realised)
        _add(total.funding, settle, one.funding)
        _add(total.traded, quote, one.traded)
        _add(day.realised, settle, one.realised - base.realised)
        _add(day.funding, settle, one.funding - base.funding)
        _add(day.traded, quote, one.traded - base.traded)
        for asset, fee in one.fees.items():
            _add(total.fees, asset, fee)
            _add(day.fees, asset, fee - base.fees.get(asset, 0))
        total.fills += one.fill_count
        day.fills += one.fill_count - base.fill_count
        name = str(instrument.id)
        if unrealised is None:
            total.unpriced = (name,)
        else:
            _add(total.unrealised, settle, unrealised)
        if unrealised is None or base.unrealised is None:
            day.unpriced = (name,)
        else:
            _add(day.unrealised, settle, unrealised - base.unrealised)
    return total, day


def _add(sums: dict[str, int], asset: str, amount: int) -> None:
    if amount:
        sums[asset] = sums.get(asset, 0) + amount


def _is_blank(share: Position) -> bool:
    return not (share.size_units or share.fill_count or share.realised or share.fees) and not (
        share.funding or share.cost
    )
