"""Owns comparing our ledger with the venue's at the end of a run; refuses to correct either.

Positions are compared size by size. The wallet is compared with what our own fold of executions
makes of the first balance, so that an execution we missed shows although a later report of the
balance was taken over.
"""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from tickwright.core.errors import ConnectionLost, FrameError, VenueError
from tickwright.core.events import AccountState, BalanceReport, PositionReport
from tickwright.core.identity import AccountId, Category
from tickwright.core.units import money_to_decimal
from tickwright.engine.engine import Engine

__all__ = ["LedgerCheck", "LedgerSource", "LedgerWatch"]

TRIES_MAX = 10
PAUSE_S = 0.1
"""Between two tries: a fill may be on its way while the venue answers."""
CHECK_S = 3.0
"""No try begins after so long: a venue that is gone must not hold up the end."""
DIFFERENCES_MAX = 20


class LedgerSource(Protocol):
    """Where the venue's side is read: the part of an account's client that this needs."""

    async def positions(self, category: Category) -> Sequence[PositionReport]:
        """Read all positions of a category."""
        ...

    async def wallet(self) -> Sequence[BalanceReport | AccountState]:
        """Read balances and totals."""
        ...


class LedgerCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison of one account found.

    `is_equal` is None when the venue could not be asked (`fault` says why).
    """

    account: str
    is_equal: bool | None
    positions: int = 0
    assets: int = 0
    differences: tuple[str, ...] = ()
    fault: str = ""


class LedgerWatch:
    """Remembers where the wallet began and compares at the end.

    Call `remember` while the run goes on, as often as convenient: the first call after an account
    is ready counts.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._base: dict[tuple[AccountId, str], int] = {}
        self._ready: set[AccountId] = set()

    def remember(self) -> None:
        """Note what of each balance is not explained by executions when trading begins."""
        state = self._engine.state
        for account_id in state.accounts:
            if account_id in self._ready or account_id not in state.view.ready_accounts:
                continue
            self._ready.add(account_id)
            for asset, purse in state.portfolio.account(account_id).purses.items():
                self._base[account_id, asset] = purse.balance.unexplained

    @property
    def is_complete(self) -> bool:
        """Whether every account's beginning is known."""
        return len(self._ready) == len(self._engine.state.accounts)

    async def check(
        self,
        account_id: AccountId,
        client: LedgerSource,
        categories: Iterable[Category],
        *,
        last_fault: str = "",
    ) -> LedgerCheck:
        """Ask the venue and compare, a few times if need be: equal once is equal.

        `last_fault` is what the account's link met last: why it never got ready.
        """
        kinds = tuple(categories)
        fault = "was never ready, so that nothing was traded"
        if last_fault:
            fault = f"{fault}: {last_fault}; `tickwright doctor CONFIG` looks further"
        found = LedgerCheck(account=str(account_id), is_equal=None, fault=fault)
        if account_id not in self._ready:
            return found
        deadline = asyncio.get_running_loop().time() + CHECK_S
        for attempt in range(TRIES_MAX):
            if attempt and asyncio.get_running_loop().time() > deadline:
                break
            if attempt:
                await asyncio.sleep(PAUSE_S)
            try:
                found = await self._compare(account_id, client, kinds)
            except (ConnectionLost, FrameError, VenueError, OSError) as error:
                found = LedgerCheck(account=str(account_id), is_equal=None, fault=str(error))
                continue
            if found.is_equal:
                break
        return found

    async def _compare(
        self, account_id: AccountId, client: LedgerSource, categories: tuple[Category, ...]
    ) -> LedgerCheck:
        reports = [one for category in categories for one in await client.positions(category)]
        wallet = [one for one in await client.wallet() if isinstance(one, BalanceReport)]
        account = self._engine.state.portfolio.account(account_id)
        theirs = {(one.instrument_id, one.leg): one.size_units for one in reports}
        ours = {
            (instrument_id, leg): book.position.size_units
            for instrument_id, holding in account.holdings.items()
            if not holding.market.instrument.is_spot
            for leg, book in holding.legs.items()
            if book.position.size_units
        }
        differences = []
        for key in sorted(theirs.keys() | ours.keys(), key=lambda held: (held[0], held[1].value)):
            mine, venue = ours.get(key, 0), theirs.get(key, 0)
            if mine != venue:
                instrument = account.holdings[key[0]].market.instrument
                differences.append(
                    f"{key[0].symbol} {key[1].value}: {instrument.quantity(mine)} here, "
                    f"{instrument.quantity(venue)} at the venue"
                )
        for report in wallet:
            balance = account.purse(report.asset).balance
            base = self._base.get((account_id, report.asset), 0)
            folded = balance.amount - (balance.unexplained - base)
            if folded != report.wallet_balance:
                here, there = _plain(folded), _plain(report.wallet_balance)
                differences.append(f"{report.asset}: {here} here, {there} at the venue")
        return LedgerCheck(
            account=str(account_id),
            is_equal=not differences,
            positions=len(theirs.keys() | ours.keys()),
            assets=len(wallet),
            differences=tuple(differences[:DIFFERENCES_MAX]),
        )


def _plain(money: int) -> Decimal:
    value = money_to_decimal(money).normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value
