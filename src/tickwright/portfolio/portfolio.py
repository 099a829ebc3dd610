"""Owns what every account holds, folded from executions and reports; refuses to count twice.

The table of execution kinds (what a row of the venue's list moves):

| kind | position | cash |
|---|---|---|
| trade, block, ADL, liquidation, move, spread, delivery | yes | realised or both assets, fee |
| funding | no | `cash`, and the fee |
| settle | the entry becomes the settlement price | `cash`, and the fee |
| other | nothing is moved and the instrument is halted: a person must look | |

A row counts once per (account, instrument, execution id). The ids of the last `EXECUTIONS_MAX` rows
of an account are remembered; a row older than every remembered one can't be told from a duplicate
and is dropped and counted in `dropped_count` (the next reconciliation would show it).
"""

from collections import deque
from decimal import Decimal, InvalidOperation

import msgspec

from tickwright.core.errors import ConfigError, InstrumentUnknown
from tickwright.core.events import BalanceReport, PositionReport, SyncReport
from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.portfolio.account import Account, Holding, LegBook
from tickwright.portfolio.ledger import AssetBalance
from tickwright.portfolio.position import Position, split_by_weight
from tickwright.portfolio.valuation import Market, Valuer, unit_value

__all__ = ["EXECUTIONS_MAX", "DayRecord", "FillEffect", "Portfolio", "SyncDifference"]

EXECUTIONS_MAX = 16_384
"""Execution ids remembered per account."""
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS

_FORCED = frozenset({ExecutionKind.ADL, ExecutionKind.LIQUIDATION, ExecutionKind.DELIVERY})


class FillEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution did. `halt_reason` is "" unless the instrument must stop.

    `realised` is in money units of `settle_asset`, without the fee. `is_included` says that a
    report of the venue had held this row already, so that only its owner was booked.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    leg: Leg
    strategy_id: StrategyId | None
    kind: ExecutionKind
    size_before_units: int
    size_after_units: int
    realised: int
    settle_asset: str
    fee: int
    fee_asset: str
    cash: int
    halt_reason: str = ""
    is_included: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether the account's position ended flat by this row."""
        return self.size_before_units != 0 and self.size_after_units == 0


class SyncDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue's report differed and was taken; in size units or money units."""

    account_id: AccountId
    what: str
    ours: int
    venue: int


class DayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an account that must survive a restart."""

    account_id: AccountId
    day_start_ns: int
    day_start_equity: int | None
    peak_equity: int | None


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
        self._accounts: dict[AccountId, Account] = {}
        self._markets: dict[InstrumentId, Market] = {}
        self._seen: dict[AccountId, _Seen] = {}

    # instruments and prices -----------------------------------------------------------------------

    def set_instrument(self, instrument: Instrument) -> None:
        """Take a new or changed instrument; held sizes follow its decimals.

        Raises:
            UnitsError: a held size can't be written in the new decimals; nothing was changed.
        """
        market = self._markets.get(instrument.id)
        if market is None:
            market = self._markets[instrument.id] = Market(instrument)
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
        market.instrument = instrument
        market.unit_value = unit_value(instrument)
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

    def set_mark(self, instrument_id: InstrumentId, price_units: int | None) -> None:
        """Take the price positions are valued at: the venue's mark, or the mid where there is none.

        None (or a price not above zero) means unknown: whatever needs it is unknown too.
        """
        known = price_units if price_units is not None and price_units > 0 else None
        self._market(instrument_id).set_mark(known)

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
        account = self.account(account_id)
        holding = account.holdings.get(instrument_id)
        if holding is None:
            market = self._market(instrument_id)
            holding = Holding(account, market, len(account.holdings))
            account.holdings[instrument_id] = holding
            market.attach(holding)
            for other in self.valuer.routes(market.instrument.quote_asset):
                other.attach(holding)
            if market.instrument.is_spot:
                purse = account.purse(market.instrument.base_asset)
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
        return self.holding(account_id, instrument_id).leg(leg).share(strategy_id)

    def attribution_fault(self, account_id: AccountId, instrument_id: InstrumentId) -> str | None:
        """Say where strategies + unowned differ from the account's position; None when they agree.

        Spot is not summed: what the wallet holds beyond the strategies' shares is the owner's.
        """
        holding = self.holding(account_id, instrument_id)
        if holding.market.instrument.is_spot:
            return None
        for leg, book in holding.legs.items():
            total = sum(share.size_units for share in book.shares.values())
            if total != book.position.size_units:
                return (
                    f"{account_id} {instrument_id} {leg.value}: strategies and unowned hold "
                    f"{total}, the account {book.position.size_units}"
                )
        return None

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
        assert min(buy_units, sell_units, open_orders) >= 0, "totals are counts"
        holding = self.holding(account_id, instrument_id)
        holding.open_orders = open_orders
        holding.unknown_requests = unknown_requests
        if holding.working_buy_units != buy_units or holding.working_sell_units != sell_units:
            holding.working_buy_units = buy_units
            holding.working_sell_units = sell_units
            holding.revalue()

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
        seen = self._seen.get(fill.account_id)
        if seen is None:
            seen = self._seen[fill.account_id] = _Seen()
        verdict = seen.add((holding.index, fill.execution_id), fill.venue_ns)
        if verdict is not None:
            if verdict == "duplicate":
                self.duplicate_count += 1
            else:
                self.dropped_count += 1
            return None
        book = holding.leg(fill.leg)
        before = book.position.size_units
        fault = _fault(fill)
        if fault:
            holding.halt_reason = fault
            return self._effect(fill, strategy_id, book, before, 0, fault)
        realised = 0
        is_included = False
        if fill.kind.moves_position:
            is_included = book.adopted_ns > 0 and fill.venue_ns <= book.adopted_ns
            if holding.market.instrument.is_spot:
                realised = self._trade_spot(fill, holding, book, strategy_id)
                is_included = False
            else:
                realised = self._trade(fill, holding, book, strategy_id, is_included)
        elif fill.kind is ExecutionKind.FUNDING:
            self._cash(holding, holding.market.instrument.settle_asset, fill.cash, fill.venue_ns)
            _share_funding(book, fill.cash)
        else:
            realised = fill.cash
            self._settle(fill, holding, book)
        if not (holding.market.instrument.is_spot and fill.kind.moves_position):
            self._fee(fill, holding, book, strategy_id)
        holding.refresh()
        if fill.leg is Leg.LONG and book.position.size_units < 0:
            fault = "the long leg went below zero"
        elif fill.leg is Leg.SHORT and book.position.size_units > 0:
            fault = "the short leg went above zero"
        holding.halt_reason = fault or holding.halt_reason
        return self._effect(
            fill, strategy_id, book, before, realised, fault, is_included=is_included
        )

    def _effect(
        self,
        fill: Fill,
        strategy_id: StrategyId | None,
        book: LegBook,
        before: int,
        realised: int,
        halt_reason: str,
        *,
        is_included: bool = False,
    ) -> FillEffect:
        return FillEffect(
            account_id=fill.account_id,
            instrument_id=fill.instrument_id,
            leg=fill.leg,
            strategy_id=strategy_id,
            kind=fill.kind,
            size_before_units=before,
            size_after_units=book.position.size_units,
            realised=realised,
            settle_asset=self._market(fill.instrument_id).instrument.settle_asset,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            cash=fill.cash,
            halt_reason=halt_reason,
            is_included=is_included,
        )

    def _trade(
        self,
        fill: Fill,
        holding: Holding,
        book: LegBook,
        strategy_id: StrategyId | None,
        is_included: bool,
    ) -> int:
        instrument = holding.market.instrument
        signed = fill.size_units * fill.side
        now_ns = fill.venue_ns
        if is_included:
            # The size came with a report and was booked as unowned: hand it to its owner.
            if strategy_id is not None:
                book.share(strategy_id).trade(signed, fill.price_units, instrument, now_ns)
                book.share(None).trade(-signed, fill.price_units, instrument, now_ns)
            return 0
        parts = {strategy_id: signed}
        if strategy_id is None and fill.kind in _FORCED:
            parts = _forced_parts(book, signed)
        for owner, part in parts.items():
            if part:
                book.share(owner).trade(part, fill.price_units, instrument, now_ns)
        realised = book.position.trade(signed, fill.price_units, instrument, now_ns)
        if realised:
            self._cash(holding, instrument.settle_asset, realised, now_ns)
        return realised

    def _trade_spot(
        self, fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None
    ) -> int:
        instrument = holding.market.instrument
        signed = fill.size_units * fill.side
        worth = instrument.notional(fill.size_units, fill.price_units)
        amount = fill.size_units * 10 ** (18 - instrument.size_decimals)
        base_fee = fill.fee if fill.fee_asset == instrument.base_asset else 0
        realised = book.position.trade_spot(signed, worth, instrument, fill.venue_ns)
        book.position.pay_spot_fee(base_fee)
        book.position.add_fee(fill.fee_asset, fill.fee)
        share = book.share(strategy_id)
        share.trade_spot(signed, worth, instrument, fill.venue_ns)
        share.pay_spot_fee(base_fee)
        share.add_fee(fill.fee_asset, fill.fee)
        share.set_amount(share.costed, instrument)
        self._cash(holding, instrument.quote_asset, -worth * fill.side, fill.venue_ns)
        self._cash(holding, instrument.base_asset, amount * fill.side - base_fee, fill.venue_ns)
        if fill.fee and not base_fee:
            self._cash(holding, fill.fee_asset, -fill.fee, fill.venue_ns)
        return realised

    def _settle(self, fill: Fill, holding: Holding, book: LegBook) -> None:
        instrument = holding.market.instrument
        whole = book.position.size_units
        shares = [share for share in book.shares.values() if share.size_units]
        worths = [share.unrealised(instrument, fill.price_units) for share in shares]
        for share, worth in zip(shares, worths, strict=True):
            share.settle(worth, fill.price_units, instrument)
        rest = fill.cash - sum(worths)
        if rest:
            book.share(None).realised += rest
        if whole:
            book.position.settle(fill.cash, fill.price_units, instrument)
        else:
            book.position.realised += fill.cash
        self._cash(holding, instrument.settle_asset, fill.cash, fill.venue_ns)

    def _fee(
        self, fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None
    ) -> None:
        if fill.fee:
            self._cash(holding, fill.fee_asset, -fill.fee, fill.venue_ns)
            book.position.add_fee(fill.fee_asset, fill.fee)
            book.share(strategy_id).add_fee(fill.fee_asset, fill.fee)

    def _cash(self, holding: Holding, asset: str, delta: int, venue_ns: int) -> None:
        if not delta:
            return
        purse = holding.account.purse(asset)
        if not purse.balance.move(delta, venue_ns):
            purse.note_unexplained(-delta)
        purse.refresh()

    # reports --------------------------------------------------------------------------------------

    def apply_balance(self, report: BalanceReport) -> bool:
        """Take the venue's balance of one asset; False when it is older than what we hold."""
        account = self.account(report.account_id)
        taken = self._take_balance(account, report)
        account.is_funded = True
        account.observe()
        return taken

    def _take_balance(self, account: Account, report: BalanceReport) -> bool:
        purse = account.purse(report.asset)
        before = purse.balance.unexplained
        venue_ns = report.venue_ns or report.received_ns
        taken = purse.balance.report(report.wallet_balance, report.locked, venue_ns)
        if taken:
            purse.note_unexplained(purse.balance.unexplained - before)
            purse.refresh()
        return taken

    def transfer(self, account_id: AccountId, asset: str, amount: int, venue_ns: int) -> None:
        """Book a transfer in (positive) or out; it changes equity and is no profit or loss.

        When a report brought the change already, telling it here explains it.
        """
        account = self.account(account_id)
        account.is_funded = True
        purse = account.purse(asset)
        before = purse.balance.unexplained
        purse.balance.transfer(amount, venue_ns)
        purse.note_unexplained(purse.balance.unexplained - before)
        account.transferred += self.valuer.value(asset, amount) or 0
        purse.refresh()
        account.observe()

    def apply_sync(self, report: SyncReport) -> tuple[SyncDifference, ...]:
        """Take the venue's positions and balances in place of ours and say where they differed.

        Feed `report.fills` through `apply_fill` first, with their owners; what still differs then
        becomes unowned, and what is gone is taken from the unowned part first and from the
        strategies after.
        """
        account = self.account(report.account_id)
        differences: list[SyncDifference] = []
        told: set[tuple[InstrumentId, Leg]] = set()
        for position in report.positions:
            told.add((position.instrument_id, position.leg))
            differences += self._adopt(position, report.venue_ns)
        for instrument_id, holding in sorted(account.holdings.items()):
            if holding.market.instrument.is_spot:
                continue
            for leg, book in holding.legs.items():
                if (instrument_id, leg) not in told and book.position.size_units:
                    gone = PositionReport(
                        account_id=report.account_id,
                        instrument_id=instrument_id,
                        leg=leg,
                        size_units=0,
                        entry_price="",
                        venue_ns=report.venue_ns,
                        received_ns=report.venue_ns,
                    )
                    differences += self._adopt(gone, report.venue_ns)
        for balance in report.balances:
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
        account.is_funded = True
        account.observe()
        return tuple(differences)

    def _adopt(self, report: PositionReport, sync_ns: int) -> list[SyncDifference]:
        holding = self.holding(report.account_id, report.instrument_id)
        instrument = holding.market.instrument
        if instrument.is_spot:
            return []
        book = holding.leg(report.leg)
        book.adopted_ns = max(book.adopted_ns, report.venue_ns or sync_ns)
        ours = book.position.size_units
        if ours == report.size_units:
            return []
        entry = _entry_price(report.entry_price)
        book.position.adopt(report.size_units, entry, instrument)
        _share_difference(book, report.size_units - ours, entry, instrument)
        holding.refresh()
        return [
            SyncDifference(
                account_id=report.account_id,
                what=f"{report.instrument_id} {report.leg.value}",
                ours=ours,
                venue=report.size_units,
            )
        ]

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

    def equity_in(self, account_id: AccountId, asset: str) -> int | None:
        """Return the equity as money of another asset, such as an instrument's quote asset."""
        equity = self.equity(account_id)
        return None if equity is None else self.valuer.value_in(asset, equity)

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


class _Seen:
    """The execution ids of one account, the last `EXECUTIONS_MAX` of them."""

    __slots__ = ("forgotten_ns", "keys", "order")

    def __init__(self) -> None:
        self.keys: set[tuple[int, str]] = set()
        self.order: deque[tuple[int, tuple[int, str]]] = deque()
        self.forgotten_ns = 0

    def add(self, key: tuple[int, str], venue_ns: int) -> str | None:
        if key in self.keys:
            return "duplicate"
        if venue_ns < self.forgotten_ns:
            return "too old"
        if len(self.order) == EXECUTIONS_MAX:
            gone_ns, gone = self.order.popleft()
            self.keys.discard(gone)
            self.forgotten_ns = max(self.forgotten_ns, gone_ns)
        self.keys.add(key)
        self.order.append((venue_ns, key))
        return None


def _fault(fill: Fill) -> str:
    if fill.kind is ExecutionKind.OTHER:
        return f"execution {fill.execution_id} is of a kind nobody can book"
    if fill.kind.moves_position and (fill.size_units <= 0 or fill.price_units <= 0):
        return f"execution {fill.execution_id} moves a position without a size or price"
    if fill.kind is ExecutionKind.SETTLE and fill.price_units <= 0:
        return f"settlement {fill.execution_id} has no price"
    return ""


def _forced_parts(book: LegBook, signed: int) -> dict[StrategyId | None, int]:
    """Split a forced reduction over the shares on the reduced side; the rest is unowned."""
    direction = 1 if signed > 0 else -1
    against = {k: s for k, s in book.shares.items() if s.size_units * direction < 0}
    owners = sorted(against, key=lambda owner: owner or "")
    weights = [abs(against[owner].size_units) for owner in owners]
    amount = min(abs(signed), sum(weights))
    parts: dict[StrategyId | None, int] = {}
    if amount:
        for owner, part in zip(owners, split_by_weight(amount, weights), strict=True):
            parts[owner] = part * direction
    rest = abs(signed) - amount
    if rest:
        parts[None] = parts.get(None, 0) + rest * direction
    return parts


def _share_funding(book: LegBook, cash: int) -> None:
    """Count funding for each share by its signed size; the remainder is unowned."""
    book.position.funding += cash
    total = book.position.size_units
    left = cash
    if total:
        for owner, share in book.shares.items():
            if owner is not None and share.size_units:
                part = cash * share.size_units // total
                share.funding += part
                left -= part
    if left:
        book.share(None).funding += left


def _share_difference(
    book: LegBook, difference: int, entry: Decimal | None, instrument: Instrument
) -> None:
    """Book a size the venue reported and we did not have, at the entry price it gave."""
    unowned = book.share(None)
    size_before = unowned.size_units
    if book.position.size_units == 0:
        # Flat at the venue: nobody holds anything, whatever we believed.
        for share in book.shares.values():
            share.adopt(0, None, instrument)
        return
    owned = [
        (owner, share)
        for owner, share in sorted(book.shares.items(), key=lambda item: item[0] or "")
        if owner is not None and share.size_units * difference < 0
    ]
    unowned_takes = max(0, -size_before) if difference > 0 else max(0, size_before)
    take = min(max(0, abs(difference) - unowned_takes), sum(abs(s.size_units) for _, s in owned))
    direction = 1 if difference > 0 else -1
    if take:
        parts = split_by_weight(take, [abs(share.size_units) for _, share in owned])
        for (_, share), part in zip(owned, parts, strict=True):
            _shrink(share, part)
    unowned.adopt(size_before + difference - take * direction, entry, instrument)


def _shrink(share: Position, size_units: int) -> None:
    """Take size off a share at its own cost: no price is known, so nothing is realised."""
    held = abs(share.size_units)
    share.cost -= share.cost * size_units // held
    share.size_units += size_units if share.size_units < 0 else -size_units


def _entry_price(text: str) -> Decimal | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None


def signed_units(fill: Fill) -> int:
    """Return the signed size an execution moves."""
    return fill.size_units if fill.side is Side.BUY else -fill.size_units
