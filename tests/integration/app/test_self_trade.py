"""An account's rule for meeting its own orders, as the venue hears it of a whole trader."""

from pathlib import Path

import msgspec
import pytest

from tests.integration.app.test_trader_under_fault import ledger
from tests.integration.app.trading import settings_for, simulator, trading, until
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import OrderIntent, SelfTradeRule, Side
from tickwright.core.signals import Decision
from tickwright.strategy.base import Strategy

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
SYMBOLS = ("BTCUSDT",)


class Bidder(Strategy):
    """Rests one bid far from the market; asks again while the gate isn't open."""

    def on_start(self) -> Decision:
        self.again_ns = 0
        return None

    def on_book(self, book: OrderBook) -> Decision:
        context = self.context
        if context.now_ns < self.again_ns or book.best_bid is None or context.orders():
            return None
        self.again_ns = context.now_ns + 100_000_000
        tick = book.instrument.tick_units
        return OrderIntent(
            instrument_id=BTC,
            side=Side.BUY,
            size_units=book.instrument.size_min_units,
            price_units=book.best_bid - 200 * tick,
            post_only=True,
        )


@pytest.mark.parametrize("by_rest", [False, True], ids=["socket", "rest"])
@pytest.mark.parametrize(
    ("rule", "word"), [(SelfTradeRule.NONE, "None"), (SelfTradeRule.CANCEL_BOTH, "CancelBoth")]
)
async def test_order_when_the_account_has_a_rule_then_the_venue_holds_the_order_to_it(
    tmp_path: Path, by_rest: bool, rule: SelfTradeRule, word: str
):
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, tmp_path, SYMBOLS)
        (account,) = settings.accounts
        plan = msgspec.structs.replace(
            settings.plan,
            strategies=(
                msgspec.structs.replace(
                    settings.plan.strategies[0], strategy_id="bidder", parameters={}
                ),
            ),
        )
        settings = msgspec.structs.replace(
            settings,
            plan=plan,
            classes={plan.strategies[0].source: Bidder},
            accounts=(msgspec.structs.replace(account, self_trade=rule, orders_by_rest=by_rest),),
        )
        async with trading(settings) as trader:
            summary = trader.engine.summary
            await until(lambda: summary().orders_live == 1, "the bid rests")
            (held,) = (await ledger(running))["accounts"]
            assert [word] == [row["smpType"] for row in held["open_orders"]]
