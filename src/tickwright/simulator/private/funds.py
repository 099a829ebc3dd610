"""Owns whether an account can pay for an order: margin and fee, or the asset; moves no money."""

from collections.abc import Mapping

from tickwright.core.identity import Category
from tickwright.matching import BookOrder
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import PPM, money_of, share_of
from tickwright.simulator.private.margin import SETTLE_ASSET, Claim, MarketOf, locked, worth
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.refusals import VenueRefusal, insufficient_balance
from tickwright.simulator.private.settlement import FEES_PPM
from tickwright.simulator.private.store import OrderStore

__all__ = ["Funds"]


class Funds:
    """Checks orders against what their accounts have left."""

    def __init__(self, stores: Mapping[int, OrderStore], market_of: MarketOf) -> None:
        self._stores = stores
        self._market_of = market_of

    def check_order(self, order: VenueOrder) -> None:
        """Refuse an order the account can't pay: margin and fee on contracts, the asset on spot."""
        account, market_of = order.account, self._market_of
        live = self._stores[account.uid].live.values()
        if order.is_spot:
            asset, needed = locked(order)
            if not needed:
                return
            if needed > self.free(account, asset, but=order):
                raise insufficient_balance(is_spot=True)
            return
        if order.reduce_only or (order.is_conditional and order.status != "Triggered"):
            return
        others = [other for other in live if other is not order]
        now = worth(account, others, market_of)
        price = order.price_units or order.trigger_price_units
        notional = money_of(order.instrument, price, order.leaves_units)
        claim = Claim((order.instrument.symbol, order.position_index), order.side, notional)
        then = worth(account, others, market_of, more=claim)
        added = then.order_margin - now.order_margin
        fee = share_of(notional, FEES_PPM[Category.LINEAR][1], PPM)
        if added > 0 and added + fee > now.available:
            raise insufficient_balance(is_spot=False)

    def free(self, account: Account, asset: str, *, but: VenueOrder | None = None) -> int:
        """Return what an account may spend of an asset, as if the order `but` were not there."""
        others = [order for order in self._stores[account.uid].live.values() if order is not but]
        bound = sum(
            amount
            for other in others
            if other.is_spot
            for held, amount in [locked(other)]
            if held == asset
        )
        free = account.ledger.wallet.get(asset, 0) - bound
        if asset == SETTLE_ASSET:
            # Margin of contracts and spot locks come out of one pot.
            free = min(free, worth(account, others, self._market_of).available)
        return free

    def check_amend(self, order: VenueOrder, size: int | None, price: int | None) -> None:
        """Refuse new terms of an order that the account can't pay for."""
        before = order.size_units, order.price_units
        order.size_units = size if size is not None else order.size_units
        order.price_units = price if price is not None else order.price_units
        try:
            grows = order.size_units > before[0] or order.price_units != before[1]
            if grows and not (order.is_conditional and order.status == "Untriggered"):
                self.check_order(order)
        finally:
            order.size_units, order.price_units = before

    def admit(self, made: BookOrder, now_ns: int) -> bool:
        """Answer the engine whether a triggered order's account can pay for it."""
        order = self._stores[made.account].live.get(made.order_id)
        if order is None or made.reduce_only:
            return True
        order.status = "Triggered"
        try:
            self.check_order(order)
        except VenueRefusal:
            return False
        return True
