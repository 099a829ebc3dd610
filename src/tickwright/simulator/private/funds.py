"""Owns whether an account may have an order: margin, fee, risk tier, asset; moves no money."""

from collections.abc import Mapping

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE
from tickwright.matching import BookOrder
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import PPM, money_of, share_of
from tickwright.simulator.private.margin import (
    SETTLE_ASSET,
    Claims,
    MarketOf,
    locked,
    margin_of,
)
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.refusals import VenueRefusal, insufficient_balance, risk_limit
from tickwright.simulator.private.store import OrderStore
from tickwright.simulator.tiers import leverage_for, value_limit

__all__ = ["Funds"]

_LINEAR = Category.LINEAR
_SELL = Side.SELL


class Funds:
    """Checks orders against what their accounts have left."""

    def __init__(self, stores: Mapping[int, OrderStore], market_of: MarketOf) -> None:
        self._stores = stores
        self._market_of = market_of

    def check_again(self, order: VenueOrder) -> None:
        """Refuse an order at the book's door whose money went since it was accepted.

        Without a position only a booking can take it: the orders since then counted this one.
        """
        ledger = order.account.ledger
        is_flat = not any(position.size_units for position in ledger.positions.values())
        if not (is_flat and order.seen_revision == ledger.revision):
            self.check_order(order)

    def check_order(self, order: VenueOrder) -> None:
        """Refuse an order the account can't pay: margin and fee on contracts, the asset on spot."""
        account, instrument = order.account, order.instrument
        if instrument.category is not _LINEAR:
            asset, needed = locked(order)
            if not needed:
                return
            if needed > self.free(account, asset, but=order):
                raise insufficient_balance(is_spot=True)
            return
        if order.reduce_only or (order.trigger_price_units > 0 and order.status != "Triggered"):
            return
        order.seen_revision = account.ledger.revision
        symbol = instrument.symbol
        notional, key = self._notional(order), (symbol, order.position_index)
        others = Claims(self._stores[account.uid].live.values(), but=order)
        held = account.holdings(self._market_of)
        leg = held.legs.get(key)
        value = 0 if leg is None else leg.value
        before, exposure = others.exposures(key, value, order.side, notional)
        if exposure <= before:
            return  # it binds nothing more
        self.check_tier(account, instrument, exposure)
        leverage = account.leverage(symbol)
        added = margin_of(exposure, leverage) - margin_of(before, leverage)
        fee = share_of(notional, account.fees_ppm[_LINEAR][1], PPM)
        if added > 0 and added + fee > others.worth(account, held).available:
            raise insufficient_balance(is_spot=False)

    def _notional(self, order: VenueOrder) -> int:
        """Return what an order on a contract may come to cost.

        A buy costs its limit, which for a market order is its bound. A sell below the mark will be
        filled no worse than where the market is, so that it costs the mark.
        """
        price = order.price_units or order.trigger_price_units
        if order.side is _SELL:
            price = max(price, self._market_of(order.instrument.symbol).mark_units)
        return money_of(order.instrument, price, order.size_units - order.filled_units)

    def check_tier(self, account: Account, instrument: VenueInstrument, exposure: int) -> None:
        """Refuse a leg worth more than its risk tier allows at the account's leverage."""
        leverage, most = account.leverage(instrument.symbol), instrument.leverage_max
        if exposure <= value_limit(leverage, most) * MONEY_ONE:
            return
        better = leverage_for(-(-exposure // MONEY_ONE), most)
        raise risk_limit("" if better is None else format(better.normalize(), "f"))

    def free(self, account: Account, asset: str, *, but: VenueOrder | None = None) -> int:
        """Return what an account may spend of an asset, as if the order `but` were not there."""
        others = Claims(self._stores[account.uid].live.values(), but=but)
        free = account.ledger.wallet.get(asset, 0) - others.locks.get(asset, 0)
        if asset == SETTLE_ASSET:
            # Margin of contracts and spot locks come out of one pot.
            held = account.holdings(self._market_of)
            free = min(free, others.worth(account, held).available)
        return free

    def check_amend(self, order: VenueOrder, size: int | None, price: int | None) -> None:
        """Refuse new terms of an order that the account can't pay for."""
        size_before, price_before = order.size_units, order.price_units
        size = size_before if size is None else size
        price = price_before if price is None else price
        if size <= size_before and price == price_before:
            return  # it doesn't grow
        if order.status == "Untriggered" and order.is_conditional:
            return
        order.size_units, order.price_units = size, price
        try:
            self.check_order(order)
        finally:
            order.size_units, order.price_units = size_before, price_before

    def admit(self, made: BookOrder, bound_units: int) -> bool:
        """Answer the engine whether a triggered order's account can pay for it.

        A market order costs the bound it would enter with.
        """
        order = self._stores[made.account].live.get(made.order_id)
        if order is None or made.reduce_only:
            return True
        order.status = "Triggered"
        if made.is_market:
            order.price_units = bound_units
        try:
            self.check_order(order)
        except VenueRefusal:
            return False
        return True
