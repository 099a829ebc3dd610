"""Owns the end of accounts whose margin is gone; refuses to judge orders.

When equity falls to the maintenance margin, every contract order of the account is cancelled
(`CancelAllBeforeLiq`) and each position is taken over by the house at its bankruptcy price: the
price at which the account's equity, shared among its positions by their maintenance margin, is
spent. So a liquidated account keeps nothing, and what the fee or a jump of the market leaves below
zero the insurance fund pays. The venue itself would shrink large positions tier by tier first; here
everything goes at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.matching import CancelReason
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import PPM, AccountLedger, money_of, share_of
from tickwright.simulator.private.margin import SETTLE_ASSET, maintenance_of, standing
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.settlement import Settlement, SymbolDesk, account_of, position_key
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["Liquidator"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Leeway:
    """Marks, by symbol, between which an account is safe while its ledger stays as it is."""

    ledger: AccountLedger
    revision: int
    marks: dict[str, tuple[int, int]]

    def holds(self, account: Account, symbol: str, mark: int) -> bool:
        """Whether the account is safe with this mark."""
        ledger = account.ledger
        if self.ledger is not ledger or self.revision != ledger.revision:
            return False
        lowest, highest = self.marks.get(symbol, (1, 0))
        return lowest <= mark <= highest


class Liquidator:
    """Watches accounts with positions. `count` says how many it has ended."""

    def __init__(
        self,
        venue: SimulatedVenue,
        settlement: Settlement,
        desk_of: Callable[[SymbolMarket], SymbolDesk],
        new_id: Callable[[], int],
    ) -> None:
        self._venue = venue
        self._settlement = settlement
        self._desk_of = desk_of
        self._new_id = new_id
        self._marks: dict[SymbolDesk, int] = {}
        self._leeways: dict[int, _Leeway] = {}
        self.count = 0

    def watch(self, desk: SymbolDesk, accounts: dict[int, Account], *, always: bool) -> None:
        """Check everyone who holds the instrument, if its mark has moved or `always`."""
        mark = desk.market.mark_units
        if not always and self._marks.get(desk) == mark:
            return
        holders = {account_of(key) for key, size in desk.matching.positions.items() if size}
        if not holders:
            return
        self._marks[desk] = mark
        symbol = desk.market.instrument.symbol
        for uid in sorted(holders):
            leeway = self._leeways.get(uid)
            if leeway is None or not leeway.holds(accounts[uid], symbol, mark):
                self.check(accounts[uid])

    def bounds(self, account: Account, symbol: str) -> tuple[int, int]:
        """Return the marks between which an account needn't be looked at; (1, 0): look always."""
        leeway = self._leeways.get(account.uid)
        if leeway is None or leeway.revision != account.ledger.revision:
            return 1, 0
        return leeway.marks.get(symbol, (1, 0))

    def check(self, account: Account) -> bool:
        """Liquidate an account if its equity is at or below its maintenance margin."""
        equity, maintenance = standing(account, self._settlement.linear_market)
        if not maintenance or equity > maintenance:
            self._leeways[account.uid] = self._leeway(account, equity - maintenance)
            return False
        self.count += 1
        self._cancel_orders(account)
        self._take_over(account)
        self._insure(account)
        self._settlement.announce()
        return True

    def _leeway(self, account: Account, spare: int) -> _Leeway:
        """Return how far each mark may go before the account has to be looked at again.

        Every symbol gets an equal part of what is to spare. A step of the mark costs a position its
        value and moves its maintenance margin by less than that again, so the double is on the safe
        side.
        """
        ledger, market_of = account.ledger, self._settlement.linear_market
        steps: dict[str, int] = {}
        for (symbol, _), position in ledger.positions.items():
            if position.size_units:
                step = abs(money_of(market_of(symbol).instrument, 1, position.size_units))
                steps[symbol] = steps.get(symbol, 0) + step
        marks = {}
        for symbol, step in steps.items():
            mark = market_of(symbol).mark_units
            far = spare // (2 * step * len(steps))
            marks[symbol] = (mark - far, mark + far)
        return _Leeway(ledger, ledger.revision, marks)

    def _cancel_orders(self, account: Account) -> None:
        live = self._settlement.stores[account.uid].live.values()
        for order in [order for order in live if not order.is_spot]:
            order.cancel_as = "CancelAllBeforeLiq"
            desk = self._desk_of(self._settlement.linear_market(order.instrument.symbol))
            if order.number in desk.orders:
                desk.matching.cancel(order.number, self._venue.now_ns, CancelReason.BY_USER)
                self._settlement.apply_events(desk)

    def _take_over(self, account: Account) -> None:
        settlement = self._settlement
        equity, maintenance = standing(account, settlement.linear_market)
        for (symbol, index), position in sorted(account.ledger.positions.items()):
            held = position.size_units
            if not held:
                continue
            market = settlement.linear_market(symbol)
            instrument, mark = market.instrument, market.mark_units
            value = abs(money_of(instrument, mark, held))
            # What closing costs comes out of the share first.
            fee = share_of(value, account.fees_ppm[Category.LINEAR][1], PPM)
            share = equity * maintenance_of(value) // maintenance - fee
            step = money_of(instrument, 1, abs(held)) * instrument.tick_units
            # Away from the mark by whole ticks, never beyond the share.
            ticks = share // step
            side = Side.SELL if held > 0 else Side.BUY
            price = max(instrument.tick_units, mark + side * ticks * instrument.tick_units)
            price -= price % instrument.tick_units
            desk = self._desk_of(market)
            order = self._order(account, desk, index, side, abs(held), price)
            settlement.take_over(desk, order, price)
            desk.matching.take_over(position_key(account.uid, index))
            self._tell_public(market, order, price)

    def _order(
        self,
        account: Account,
        desk: SymbolDesk,
        index: int,
        side: Side,
        size: int,
        price: int,
    ) -> VenueOrder:
        now_ms = self._venue.now_ns // 1_000_000
        order = VenueOrder(
            number=self._new_id(),
            order_id=self._settlement.new_order_id(Category.LINEAR),
            link_id="",
            account=account,
            instrument=desk.market.instrument,
            side=side,
            order_type="Market",
            size_units=size,
            price_units=price,
            time_in_force="IOC",
            created_ms=now_ms,
            updated_ms=now_ms,
            position_index=index,
            reduce_only=True,
            close_on_trigger=True,
            create_type="CreateByLiq",
            last_price_on_created=desk.market.last_or_mid_units(),
        )
        desk.orders[order.number] = order
        self._settlement.stores[account.uid].add(order)
        return order

    def _insure(self, account: Account) -> None:
        missing = -account.ledger.wallet.get(SETTLE_ASSET, 0)
        if missing > 0:
            self._settlement.insure(account, SETTLE_ASSET, missing)

    def _tell_public(self, market: SymbolMarket, order: VenueOrder, price: int) -> None:
        """Put the liquidation on `allLiquidation`: `S` is the side of the lost position."""
        instrument = market.instrument
        topic = f"allLiquidation.{instrument.symbol}"
        stream = self._venue.stream(Category.LINEAR, topic)
        if stream is None or not stream.subscribers:
            return
        now_ms = stream.stamp(self._venue.now_ns // 1_000_000)
        row = {
            "T": now_ms,
            "s": instrument.symbol,
            "S": "Buy" if order.side is Side.SELL else "Sell",
            "v": instrument.size_text[order.size_units],
            "p": instrument.price_text[price],
        }
        frame = {"topic": topic, "type": "snapshot", "ts": now_ms, "data": [row]}
        stream.send(_encode(frame), is_delta=False)
