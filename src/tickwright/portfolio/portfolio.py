"""Owns what every account holds, folded from executions and reports; refuses to count twice.

What a row of the venue's executions moves is the table in `portfolio.fold`.
A row counts once per (account, instrument, execution id). The ids of the last `EXECUTIONS_MAX` rows
of an account are remembered; a row older than every remembered one can't be told from a duplicate
and is dropped and counted in `dropped_count` (the next reconciliation would show it).
"""

from collections.abc import Mapping
from types import MappingProxyType

from tickwright.core.errors import ConfigError, InstrumentUnknown
from tickwright.core.events import AccountState, BalanceReport, PositionReport, SyncReport
from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.ledger_state import PortfolioState
from tickwright.core.orders import Fill
from tickwright.core.risk_state import DayRecord
from tickwright.portfolio.account import Account, Holding
from tickwright.portfolio.fold import ExecutionIds, FillEffect, fold
from tickwright.portfolio.ledger import AssetBalance
from tickwright.portfolio.position import Position
from tickwright.portfolio.state import restore_account, restore_ids, write_account
from tickwright.portfolio.sync import SyncDifference, adopt, adopt_spot
from tickwright.portfolio.valuation import Market, Valuer

__all__ = ["DayRecord", "Portfolio"]

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_NO_TIMES: Mapping[AccountId, int] = MappingProxyType({})


class Portfolio:
    """All accounts of this process.

    Instruments must be told by `set_instrument` before anything names them. Money in units of
    10^-18 of `equity_asset` unless said. `day_start_hour_utc` is when a trading day begins.
    """

    def __init__(
        self,
        *,
        equity_asset: str = "USDT",
        parity_assets: frozenset[str] = frozenset({"USD"}),
        ignored_assets: frozenset[str] = frozenset(),
        day_start_hour_utc: int = 0,
    ) -> None:
        if not 0 <= day_start_hour_utc <= 23:
            raise ConfigError(
                f"day_start_hour_utc is {day_start_hour_utc}; choose an hour from 0 to 23"
            )
        self.valuer = Valuer(
            equity_asset, parity_assets=parity_assets, ignored_assets=ignored_assets
        )
        self.day_start_hour_utc = day_start_hour_utc
        self.duplicate_count = 0
        self.dropped_count = 0
        self.version = 0
        """Goes up whenever `state` changes, but for what only prices change."""
        self._accounts: dict[AccountId, Account] = {}
        self._markets: dict[InstrumentId, Market] = {}
        self._ids: dict[AccountId, ExecutionIds] = {}

    # instruments and prices -----------------------------------------------------------------------

    def set_instrument(self, instrument: Instrument) -> None:
        """Take a new or changed instrument; held sizes follow its decimals.

        Raises:
            UnitsError: a held size can't be written in the new decimals; nothing was changed.
        """
        market = self._markets.get(instrument.id)
        if market is None:
            market = self._markets[instrument.id] = Market(instrument, self.valuer.one_to_one)
            self._add_route(market)
            return
        old = market.instrument
        if old == instrument:
            return
        shift = instrument.size_decimals - old.size_decimals
        holdings = [
            a.holdings[instrument.id]
            for a in self._accounts.values()
            if instrument.id in a.holdings
        ]
        if shift:
            self._rescale(holdings, shift, spot=instrument.is_spot)
        market.take(instrument)
        if shift or instrument.price_decimals != old.price_decimals:
            market.mark_units = None
        for holding in holdings:
            if instrument.is_spot:
                amount = holding.leg(Leg.NET).position.amount
                holding.leg(Leg.NET).position.set_amount(amount, instrument)
            holding.refresh()
        for dependant in market.dependants:
            dependant.revalue()

    def _rescale(self, holdings: list[Holding], shift: int, *, spot: bool) -> None:
        positions = [
            position
            for holding in holdings
            for book in holding.legs.values()
            for position in (book.position, *book.shares.values())
        ]
        if not spot:
            before = [position.size_units for position in positions]
            try:
                for position in positions:
                    position.rescale(shift)
            except ValueError:
                for position, size_units in zip(positions, before, strict=True):
                    position.size_units = size_units
                raise
        for holding in holdings:
            # Working totals are the engine's; until it tells them anew the worse rounding stands.
            buys, sells = holding.working_buy_units, holding.working_sell_units
            if shift > 0:
                holding.working_buy_units = buys * 10**shift
                holding.working_sell_units = sells * 10**shift
            else:
                holding.working_buy_units = -(-buys // 10**-shift)
                holding.working_sell_units = -(-sells // 10**-shift)

    def _add_route(self, market: Market) -> None:
        asset = self.valuer.add(market)
        if asset is None:
            return
        for account in self._accounts.values():
            purse = account.purses.get(asset)
            if purse is not None:
                market.attach(purse)
                purse.revalue()
            for holding in account.holdings.values():
                instrument = holding.market.instrument
                if asset in (instrument.quote_asset, instrument.settle_asset):
                    market.attach(holding)
                    holding.revalue()

    def instrument(self, instrument_id: InstrumentId) -> Instrument:
        """Return the instrument as last told.

        Raises:
            InstrumentUnknown: nobody told it.
        """
        return self._market(instrument_id).instrument

    def _market(self, instrument_id: InstrumentId) -> Market:
        market = self._markets.get(instrument_id)
        if market is None:
            raise InstrumentUnknown(f"{instrument_id} was never told to the portfolio")
        return market

    def set_mark(
        self,
        instrument_id: InstrumentId,
        price_units: int | None,
        *,
        now_ns: int = 0,
        mid_twice_units: int | None = None,
    ) -> None:
        """Take the price positions are valued at: the venue's mark, or the mid where there is none.

        None (or a price not above zero) means unknown: whatever needs it is unknown too. `now_ns`
        and the book's mid of the moment tell a mark that froze from one that has no reason to move.
        """
        known = price_units if price_units is not None and price_units > 0 else None
        market = self._market(instrument_id)
        market.mark_ns = now_ns
        market.mark_mid_twice_units = mid_twice_units or 0
        market.set_mark(known)

    def set_funding_time(self, instrument_id: InstrumentId, next_ns: int) -> None:
        """Take when an instrument's funding is paid next, UTC ns."""
        self._market(instrument_id).set_funding_time(next_ns)

    def mark(self, instrument_id: InstrumentId) -> int | None:
        """Return the last mark in price units."""
        return self._market(instrument_id).mark_units

    # accounts -------------------------------------------------------------------------------------

    def account(self, account_id: AccountId) -> Account:
        """Return an account's books, made empty when it is new."""
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = Account(account_id, self.valuer)
        return account

    def accounts(self) -> list[Account]:
        """Return every account known."""
        return list(self._accounts.values())

    def holding(self, account_id: AccountId, instrument_id: InstrumentId) -> Holding:
        """Return position, working totals and exposure of an account in an instrument.

        Raises:
            InstrumentUnknown: nobody told the instrument.
        """
        try:
            return self._accounts[account_id].holdings[instrument_id]
        except KeyError:
            return self._open_holding(self.account(account_id), self._market(instrument_id))

    def _open_holding(self, account: Account, market: Market) -> Holding:
        instrument = market.instrument
        holding = Holding(account, market, len(account.holdings))
        account.holdings[instrument.id] = holding
        market.attach(holding)
        # Exposure is worth its quote asset, profit its settle asset: both follow their prices.
        for asset in dict.fromkeys((instrument.quote_asset, instrument.settle_asset)):
            for other in self.valuer.routes(asset):
                other.attach(holding)
        if instrument.is_spot:
            purse = account.purse(instrument.base_asset)
            purse.spot_holdings.append(holding)
            purse.refresh()
        return holding

    def position(
        self, account_id: AccountId, instrument_id: InstrumentId, leg: Leg = Leg.NET
    ) -> Position:
        """Return the account's position, live: read it, never change it."""
        return self.holding(account_id, instrument_id).leg(leg).position

    def strategy_position(
        self,
        strategy_id: StrategyId | None,
        account_id: AccountId,
        instrument_id: InstrumentId,
        leg: Leg = Leg.NET,
    ) -> Position:
        """Return a strategy's share of a position; of None: what no strategy owns."""
        try:
            return self._accounts[account_id].holdings[instrument_id].legs[leg].shares[strategy_id]
        except KeyError:
            return self.holding(account_id, instrument_id).leg(leg).share(strategy_id)

    def attribution_fault(self, account_id: AccountId, instrument_id: InstrumentId) -> str | None:
        """Say where strategies + unowned differ from the account's position; None when they agree.

        Spot is not summed: what the wallet holds beyond the strategies' shares is the owner's.
        """
        holding = self.holding(account_id, instrument_id)
        if holding.market.instrument.is_spot:
            return None
        for leg, book in holding.legs.items():
            total = 0
            for share in book.shares.values():
                total += share.size_units
            if total != book.position.size_units:
                return (
                    f"{account_id} {instrument_id} {leg.value}: strategies and unowned hold "
                    f"{total}, the account {book.position.size_units}"
                )
        return None

    def lift_halt(self, account_id: AccountId, instrument_id: InstrumentId) -> None:
        """Forget why an instrument was halted; for a person who has looked."""
        self.holding(account_id, instrument_id).halt_reason = ""

    def set_working(
        self,
        account_id: AccountId,
        instrument_id: InstrumentId,
        *,
        buy_units: int,
        sell_units: int,
        open_orders: int,
        unknown_requests: int = 0,
    ) -> None:
        """Take the totals of orders that may still fill; call it whenever an order changes.

        `buy_units` and `sell_units` leave out reduce-only orders and count unknown requests as
        live; `open_orders` counts every unfinished order.
        """
        holding = self.holding(account_id, instrument_id)
        holding.take_working(buy_units, sell_units, open_orders, unknown_requests)

    # executions -----------------------------------------------------------------------------------

    def apply_fill(self, fill: Fill, strategy_id: StrategyId | None) -> FillEffect | None:
        """Fold one row of the venue's executions; None when it was counted before.

        `strategy_id` is the owner of its order; None for what nobody here asked for. Size that the
        venue takes by force (ADL, liquidation, delivery) comes out of all strategies' shares in
        proportion.

        Raises:
            InstrumentUnknown: nobody told the instrument.
        """
        holding = self.holding(fill.account_id, fill.instrument_id)
        ids = self._ids.get(fill.account_id)
        if ids is None:
            ids = self._ids[fill.account_id] = ExecutionIds()
        repeated = ids.add((holding.index, fill.execution_id), fill.venue_ns)
        if repeated is None:
            self.version += 1
            effect = fold(fill, strategy_id, holding)
            if not effect.is_booked:
                ids.forget_last()
            return effect
        if repeated == "duplicate":
            self.duplicate_count += 1
        else:
            self.dropped_count += 1
        return None

    # reports --------------------------------------------------------------------------------------

    def apply_balance(self, report: BalanceReport) -> bool:
        """Take the venue's balance of one asset; False when it is older than what we hold."""
        account = self.account(report.account_id)
        taken = self._take_balance(account, report)
        account.is_funded = True
        account.observe()
        return taken

    def _take_balance(self, account: Account, report: BalanceReport) -> bool:
        purse = account.purses.get(report.asset) or account.purse(report.asset)
        balance = purse.balance
        amount, unexplained = balance.amount, balance.unexplained
        venue_ns = report.venue_ns or report.received_ns
        taken = balance.report(report.wallet_balance, report.locked, venue_ns)
        if taken:
            self.version += 1
            if balance.unexplained != unexplained:
                purse.note_unexplained(balance.unexplained - unexplained)
            if balance.amount != amount or purse.pending_flow or purse.spot_holdings:
                purse.refresh()
        return taken

    def transfer(self, account_id: AccountId, asset: str, amount: int, venue_ns: int) -> None:
        """Book a transfer in (positive) or out; it changes equity and is no profit or loss.

        When a report brought the change already, telling it here explains it.
        """
        self.version += 1
        account = self.account(account_id)
        account.is_funded = True
        purse = account.purse(asset)
        before = purse.balance.unexplained
        purse.balance.transfer(amount, venue_ns)
        purse.note_unexplained(purse.balance.unexplained - before)
        account.transferred += self.valuer.value(asset, amount) or 0
        account.base_version += 1
        purse.refresh()
        account.observe()

    def apply_sync(self, report: SyncReport) -> tuple[SyncDifference, ...]:
        """Take the venue's positions and balances in place of ours and say where they differed.

        Feed `report.fills` through `apply_fill` first, with their owners; what still differs then
        becomes unowned, and what is gone is taken from the unowned part first and from the
        strategies after.
        """
        self.version += 1
        account = self.account(report.account_id)
        differences: list[SyncDifference] = []
        reports = list(report.positions)
        told = {(position.instrument_id, position.leg) for position in reports}
        for instrument_id, holding in sorted(account.holdings.items()):
            for leg, book in holding.legs.items():
                if (instrument_id, leg) not in told and book.position.size_units:
                    reports.append(_flat(report, instrument_id, leg))
        for position in reports:
            holding = self.holding(report.account_id, position.instrument_id)
            difference = adopt(position, holding)
            if difference is not None:
                differences.append(difference)
        for balance in (*report.balances, *_emptied(report, account)):
            before = account.purse(balance.asset).balance.amount
            if self._take_balance(account, balance):
                after = account.purse(balance.asset).balance.amount
                if before != after:
                    differences.append(
                        SyncDifference(
                            account_id=account.account_id,
                            what=balance.asset,
                            ours=before,
                            venue=after,
                        )
                    )
        if report.totals is not None:
            account.totals = report.totals
        for holding in account.holdings.values():
            if holding.market.is_spot and (difference := adopt_spot(holding)) is not None:
                differences.append(difference)
        account.is_funded = True
        account.observe()
        return tuple(differences)

    def adopt_position(self, report: PositionReport) -> SyncDifference | None:
        """Take the venue's size of one position in place of ours; say what differed."""
        self.version += 1
        return adopt(report, self.holding(report.account_id, report.instrument_id))

    def note_position(self, report: PositionReport) -> None:
        """Keep what the venue says of a position's margin; its size is left to fills and syncs."""
        if report.instrument_id in self._markets:
            book = self.holding(report.account_id, report.instrument_id).legs.get(report.leg)
            if book is not None and (book.told is None or book.told.venue_ns <= report.venue_ns):
                book.told = report

    def note_totals(self, report: AccountState) -> None:
        """Keep what the venue says of an account's equity and margins."""
        account = self.account(report.account_id)
        if account.totals is None or account.totals.venue_ns <= report.venue_ns:
            account.totals = report

    # money ----------------------------------------------------------------------------------------

    def balance(self, account_id: AccountId, asset: str) -> AssetBalance:
        """Return the balance of an asset, in money units of it."""
        return self.account(account_id).purse(asset).balance

    def sellable_units(self, account_id: AccountId, instrument_id: InstrumentId) -> int:
        """Return what a spot exit may still sell: holdings less working sells, down to the lot."""
        holding = self.holding(account_id, instrument_id)
        lot = holding.market.instrument.lot_units
        free = holding.legs[Leg.NET].position.size_units - holding.working_sell_units
        return max(0, free) // lot * lot

    def equity(self, account_id: AccountId) -> int | None:
        """Return balances + unrealised PnL in the equity asset; None when anything has no price."""
        return self.account(account_id).equity

    def exposure(self, account_id: AccountId) -> int | None:
        """Return gross exposure incl. working orders; None when anything has no price."""
        return self.account(account_id).exposure

    def unrealised(
        self, account_id: AccountId, instrument_id: InstrumentId, leg: Leg = Leg.NET
    ) -> int | None:
        """Return the profit at the mark in the settle asset; None when the mark is missing."""
        holding = self.holding(account_id, instrument_id)
        position = holding.leg(leg).position
        if position.size_units == 0:
            return 0
        mark = holding.market.mark_units
        return None if mark is None else position.unrealised(holding.market.instrument, mark)

    def day_start_equity(self, account_id: AccountId) -> int | None:
        """Return the equity the day began with; None while it is unknown."""
        return self.account(account_id).day_start_equity

    def peak_equity(self, account_id: AccountId) -> int | None:
        """Return the highest equity observed, with the transfers since; None while unknown."""
        return self.account(account_id).peak_base

    def start_day(self, now_ns: int) -> bool:
        """Begin the day `now_ns` lies in, for every account not in it yet; call it often.

        Returns:
            Whether a day began for any account.
        """
        started = False
        for account in self._accounts.values():
            if not account.day_start_ns <= now_ns < account.day_end_ns:
                start_ns = self._day_of(now_ns)
                account.start_day(start_ns, start_ns + DAY_NS)
                self.version += 1
                started = True
            else:
                account.observe()
        return started

    def _day_of(self, now_ns: int) -> int:
        shift = self.day_start_hour_utc * HOUR_NS
        return (now_ns - shift) // DAY_NS * DAY_NS + shift

    def day_records(self) -> tuple[DayRecord, ...]:
        """Return what a restart must know to go on with the same day and peak."""
        return tuple(
            DayRecord(
                account_id=account.account_id,
                day_start_ns=account.day_start_ns,
                day_start_equity=account.day_base,
                peak_equity=account.peak_base,
            )
            for account in self._accounts.values()
        )

    def state(self, *, ids_since_ns: Mapping[AccountId, int] = _NO_TIMES) -> PortfolioState:
        """Return the whole ledger as a record for `restore`; marks are left out.

        Of an account named in `ids_since_ns` only the executions since that venue time are listed
        by id: all older ones are then known to be counted by their time.
        """
        return PortfolioState(
            accounts=tuple(
                write_account(
                    account, self._ids.get(account_id), since_ns=ids_since_ns.get(account_id, 0)
                )
                for account_id, account in sorted(self._accounts.items())
            ),
            duplicate_count=self.duplicate_count,
            dropped_count=self.dropped_count,
        )

    def restore(self, state: PortfolioState) -> tuple[InstrumentId, ...]:
        """Go on with a recorded ledger; call it once, after `set_instrument`, before any row.

        Returns:
            Instruments it held that nobody told: their rows are left out.

        Raises:
            UnitsError: a recorded size doesn't fit its instrument's decimals any more.
        """
        unknown: list[InstrumentId] = []
        for record in state.accounts:
            account = self.account(record.account_id)
            for written in record.holdings:
                if written.instrument_id in self._markets:
                    self.holding(record.account_id, written.instrument_id)
                else:
                    unknown.append(written.instrument_id)
            restore_account(account, record)
            self._ids[record.account_id] = restore_ids(account, record)
        self.duplicate_count = state.duplicate_count
        self.dropped_count = state.dropped_count
        return tuple(unknown)

    def restore_days(self, records: tuple[DayRecord, ...]) -> None:
        """Go on with recorded days; call it after `apply_sync`: its balances are no transfers."""
        for record in records:
            account = self.account(record.account_id)
            account.peak_equity = record.peak_equity
            account.peak_transferred = account.transferred
            account.peak_unexplained = account.unexplained
            account.day_start_ns = record.day_start_ns
            account.day_end_ns = record.day_start_ns + DAY_NS
            account.day_start_equity = record.day_start_equity
            account.day_start_transferred = account.transferred
            account.day_start_unexplained = account.unexplained
            account.base_version += 1


def _emptied(report: SyncReport, account: Account) -> list[BalanceReport]:
    """Return reports of nothing for assets that a wallet which lists others no longer lists."""
    told = {balance.asset for balance in report.balances}
    return [
        BalanceReport(
            account_id=report.account_id,
            asset=asset,
            wallet_balance=0,
            locked=0,
            venue_ns=report.venue_ns,
            received_ns=report.venue_ns,
        )
        for asset, purse in sorted(account.purses.items())
        if told and asset not in told and purse.balance.amount
    ]


def _flat(report: SyncReport, instrument_id: InstrumentId, leg: Leg) -> PositionReport:
    """Return the report of a position that the venue did not list: there is none."""
    return PositionReport(
        account_id=report.account_id,
        instrument_id=instrument_id,
        leg=leg,
        size_units=0,
        entry_price="",
        venue_ns=report.venue_ns,
        received_ns=report.venue_ns,
    )
