"""Owns turning what an account is told into the engine's inputs, without rows in between.

It refuses to know better than the way over the wire: a test holds every input equal to what
`RowReader` makes of the row that a stream would carry.
"""

from functools import lru_cache

from tickwright.core.account_reports import AccountState, PositionReport
from tickwright.core.events import BalanceReport, OrderReport
from tickwright.core.identity import AccountId, Category, ClientId, VenueOrderId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, OrderType, Side
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.margin import SETTLE_ASSET
from tickwright.simulator.private.records import ExecutionRecord, VenueOrder
from tickwright.simulator.private.told import (
    Announcement,
    PositionFacts,
    WalletFacts,
    decimal_text,
    entry_text,
    usd_total,
)
from tickwright.venues.bybit.private_decode import (
    EXECUTION_KINDS,
    LEGS,
    ORDER_STATES,
    ORDER_TYPES,
    POSITION_STOPS,
    is_said,
    reason_of,
)

__all__ = ["InputMaker", "Told"]

Told = OrderReport | Fill | PositionReport | BalanceReport | AccountState
"""What private streams can tell."""

_MS = 1_000_000
_MARKET = OrderType.MARKET
_FUNDING = ExecutionKind.FUNDING
_BUY = Side.BUY

_reason = lru_cache(maxsize=1_024)(reason_of)
_leverage_text = lru_cache(maxsize=1_024)(decimal_text)


class InputMaker:
    """Makes the inputs of one account; all of them say they were received at 0."""

    def __init__(
        self, account_id: AccountId, instruments: dict[tuple[Category, str], Instrument]
    ) -> None:
        self.account_id = account_id
        self._instruments = instruments
        self._last: tuple[PositionFacts | None, PositionReport | None] = (None, None)

    def messages(self, told: Announcement, venue_ns: int) -> list[tuple[Told, ...]]:
        """Return what is told, one tuple for each message that a stream would carry."""
        found: list[tuple[Told, ...]] = []
        account = told.account
        if told.orders:
            found.append(tuple(map(self.order, told.orders)))
        if told.executions:
            found.append(tuple(map(self.fill, told.executions)))
        if told.positions:
            found.append(tuple([self.position(account, one) for one in told.positions]))
        if told.wallet is not None:
            found.append(self.wallet(account, told.wallet, venue_ns))
        return found

    def order(self, order: VenueOrder) -> OrderReport:
        """Return an order as it is now."""
        instrument = self._instruments[order.instrument.key]
        order_type = ORDER_TYPES[order.order_type]
        filled, trigger = order.filled_units, order.trigger_price_units
        is_market = order_type is _MARKET
        # A spot market order may count its size in quote money: its size is what it filled.
        is_quote = (
            is_market
            and order.is_spot
            and (order.market_unit == "quoteCoin" or (not order.market_unit and order.side is _BUY))
        )
        return OrderReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_id=ClientId(order.link_id) if order.link_id else None,
            venue_id=VenueOrderId(order.order_id),
            side=order.side,
            order_type=order_type,
            state=ORDER_STATES[order.status],
            price_units=None if is_market else order.price_units or None,
            size_units=filled if is_quote else order.size_units,
            filled_units=filled,
            reason=_reason(
                order.status, order.stop_order_type, order.reject_reason, order.cancel_type
            ),
            venue_ns=order.updated_ms * _MS,
            received_ns=0,
            reduce_only=order.reduce_only,
            is_conditional=trigger > 0 or is_said(order.stop_order_type),
            leg=LEGS[order.position_index],
            trigger_price_units=trigger or None,
        )

    def fill(self, execution: ExecutionRecord) -> Fill:
        """Return an execution; funding moves cash and has no fee."""
        order = execution.order
        kind, fee, cash = EXECUTION_KINDS[execution.kind], execution.fee, 0
        if kind is _FUNDING:
            fee, cash = 0, -fee
        link_id, stop = ("", "") if order is None else (order.link_id, order.stop_order_type)
        return Fill(
            account_id=self.account_id,
            instrument_id=self._instruments[execution.instrument.key].id,
            execution_id=execution.execution_id,
            kind=kind,
            side=execution.side,
            price_units=execution.price_units,
            size_units=execution.size_units,
            fee=fee,
            fee_asset=execution.fee_asset,
            is_maker=execution.is_maker,
            venue_ns=execution.at_ms * _MS,
            received_ns=0,
            client_id=ClientId(link_id) if link_id else None,
            venue_id=None if order is None else VenueOrderId(order.order_id),
            cash=cash,
            is_of_stop=stop in POSITION_STOPS,
        )

    def position(self, account: Account, facts: PositionFacts) -> PositionReport:
        """Return a leg as it is now."""
        known, report = self._last
        if known is facts and report is not None:
            return report
        listing, position = facts.market.instrument, facts.position
        held = position.size_units
        take_profit, stop_loss = facts.stops
        report = PositionReport(
            account_id=self.account_id,
            instrument_id=self._instruments[listing.key].id,
            leg=LEGS[facts.index],
            size_units=held,
            entry_price=entry_text(held, position.cost, listing.size_decimals),
            venue_ns=(position.updated_ms or account.created_ms) * _MS,
            received_ns=0,
            stop_units=stop_loss,
            take_units=take_profit,
            trailing_distance_units=facts.trailing[0] if held else 0,
            leverage=_leverage_text(account.leverage(listing.symbol)),
            initial_margin=facts.margin,
            maintenance_margin=facts.maintenance,
            liquidation_price_units=facts.liquidation_units or None,
        )
        self._last = facts, report
        return report

    def wallet(
        self, account: Account, facts: WalletFacts, venue_ns: int
    ) -> tuple[BalanceReport | AccountState, ...]:
        """Return each coin as it is now, and the totals."""
        worth, balances, account_id = facts.worth, account.ledger.wallet, self.account_id
        available, locks = worth.available, facts.locks
        told: list[BalanceReport | AccountState] = []
        for asset in balances if len(balances) == 1 else sorted(balances):
            told.append(
                BalanceReport(
                    account_id=account_id,
                    asset=asset,
                    wallet_balance=balances[asset],
                    locked=locks.get(asset, 0) if locks else 0,
                    venue_ns=venue_ns,
                    received_ns=0,
                )
            )
        totals = AccountState(
            account_id=account_id,
            equity=usd_total(balances, facts, SETTLE_ASSET),
            available=available if available > 0 else 0,
            initial_margin=worth.position_margin + worth.order_margin,
            maintenance_margin=worth.maintenance_margin,
            venue_ns=venue_ns,
            received_ns=0,
        )
        return (*told, totals)
