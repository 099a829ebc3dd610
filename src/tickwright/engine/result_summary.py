"""Owns results for reports and screens: each strategy in each instrument, and whole accounts.

Refuses a figure with a part that has no price: it is None. Everything is in the equity asset, at
the prices of now; rows of an account add up to its own row but for the rounding of conversions.
"""

from decimal import Decimal

import msgspec

from tickwright.core.units import money_to_decimal
from tickwright.portfolio.portfolio import Portfolio
from tickwright.portfolio.results import Result, account_result, figures, result_rows

__all__ = ["ResultFigures", "ResultSummary", "summarise_results"]


class ResultFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Money made or lost in the equity asset. `traded` is the notional of all executions.

    `net` is realised + unrealised + funding - fees; None is unknown, never zero.
    """

    realised: Decimal | None
    unrealised: Decimal | None
    funding: Decimal | None
    fees: Decimal | None
    traded: Decimal | None
    net: Decimal | None
    fills: int


class ResultSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy in one instrument of one account; without an instrument, the whole account.

    `strategy_id` None with an instrument is what no strategy asked for. `gross` is the notional
    held now, `leverage` that by the equity of the account.
    """

    account: str
    strategy_id: str | None
    instrument: str | None
    total: ResultFigures
    day: ResultFigures
    gross: Decimal | None = None
    leverage: Decimal | None = None


def summarise_results(portfolio: Portfolio) -> tuple[ResultSummary, ...]:
    """Return each account's own row, then its strategies by instrument."""
    found: list[ResultSummary] = []
    for account in portfolio.accounts():
        name = str(account.account_id)
        total, day = account_result(account)
        found.append(
            ResultSummary(
                account=name,
                strategy_id=None,
                instrument=None,
                total=_figures(total, portfolio),
                day=_figures(day, portfolio),
                gross=_money(account.held_worth),
                leverage=_leverage(account.held_worth, account.equity),
            )
        )
        found += [
            ResultSummary(
                account=name,
                strategy_id=row.strategy_id,
                instrument=str(row.instrument_id),
                total=_figures(row.total, portfolio),
                day=_figures(row.day, portfolio),
                gross=_money(row.gross),
                leverage=_leverage(row.gross, account.equity),
            )
            for row in result_rows(account)
        ]
    return tuple(found)


def _figures(result: Result, portfolio: Portfolio) -> ResultFigures:
    found = figures(result, portfolio.valuer)
    return ResultFigures(
        realised=_money(found.realised),
        unrealised=_money(found.unrealised),
        funding=_money(found.funding),
        fees=_money(found.fees),
        traded=_money(found.traded),
        net=_money(found.net),
        fills=found.fills,
    )


def _leverage(gross: int | None, equity: int | None) -> Decimal | None:
    if gross is None or equity is None or equity <= 0:
        return None
    return (Decimal(gross) / Decimal(equity)).quantize(Decimal("0.000001"))


def _money(units: int | None) -> Decimal | None:
    return None if units is None else money_to_decimal(units)
