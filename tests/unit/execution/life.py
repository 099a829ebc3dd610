"""One order in a blotter, and short words for what the venue says of it."""

from typing import Any

from tickwright.core.events import OrderReport, Outcome, Reply
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId, VenueOrderId
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    Order,
    OrderIntent,
    OrderState,
    RequestKind,
    Side,
)
from tickwright.execution.blotter import Blotter, Change, Working
from tickwright.execution.client_ids import ClientIds

ACCOUNT = AccountId("venue", "main")
ID = InstrumentId("venue", Category.LINEAR, "BTCUSDT")
ONE = StrategyId("one")


def blotter_of() -> Blotter:
    ids = ClientIds(7)
    ids.register(ONE)
    return Blotter(ids, evidence_delay_ns=1_000)


class Life:
    """One buy order in flight."""

    def __init__(self, *, size_units: int, blotter: Blotter | None = None) -> None:
        self.blotter = blotter or blotter_of()
        intent = OrderIntent(
            instrument_id=ID, side=Side.BUY, size_units=size_units, price_units=100
        )
        self.order = Order(
            client_id=self.blotter.client_ids.next(ONE),
            strategy_id=ONE,
            account_id=ACCOUNT,
            intent=intent,
            instrument_id=intent.instrument_id,
            price_units=intent.price_units,
            size_units=size_units,
            cause_event_id=1,
            created_ns=0,
        )
        self.record = self.blotter.open(self.order, 0)
        self.venue_id = VenueOrderId(f"v-{self.order.client_id}")

    @property
    def working(self) -> Working:
        return self.blotter.working(ACCOUNT, ID)

    @property
    def buys(self) -> int:
        return self.working.buy_units

    def ack(self, outcome: Outcome = Outcome.ACCEPTED) -> Change | None:
        return self.answer(RequestKind.CREATE, outcome)

    def answer(self, request: RequestKind, outcome: Outcome) -> Change | None:
        is_taken = outcome is Outcome.ACCEPTED
        reply = Reply(
            account_id=ACCOUNT,
            client_id=self.order.client_id,
            request=request,
            outcome=outcome,
            code=0 if is_taken else 1,
            text="" if is_taken else "refused",
            venue_id=self.venue_id if is_taken else None,
        )
        return self.blotter.on_reply(reply, 1)

    def lose(self) -> Change:
        return self.blotter.lose(self.record, RequestKind.CREATE, "no answer")

    def make_report(self, state: OrderState, filled: int, **changes: Any) -> OrderReport:
        values: dict[str, Any] = {
            "account_id": ACCOUNT,
            "instrument_id": ID,
            "client_id": self.order.client_id,
            "venue_id": self.venue_id,
            "side": Side.BUY,
            "order_type": self.order.intent.order_type,
            "state": state,
            "price_units": 100,
            "size_units": self.order.size_units,
            "filled_units": filled,
            "reason": "",
            "venue_ns": 1,
            "received_ns": 1,
        }
        return OrderReport(**{**values, **changes})

    def report(self, state: OrderState, filled: int, **changes: Any) -> Change | None:
        return self.blotter.on_report(self.make_report(state, filled, **changes), 1)

    def make_fill(self, execution_id: str, size_units: int, **changes: Any) -> Fill:
        values: dict[str, Any] = {
            "account_id": ACCOUNT,
            "instrument_id": ID,
            "execution_id": execution_id,
            "kind": ExecutionKind.TRADE,
            "side": Side.BUY,
            "price_units": 100,
            "size_units": size_units,
            "fee": 0,
            "fee_asset": "USDT",
            "is_maker": False,
            "venue_ns": 1,
            "received_ns": 1,
            "client_id": self.order.client_id,
            "venue_id": self.venue_id,
        }
        return Fill(**{**values, **changes})

    def fill(self, execution_id: str, size_units: int, **changes: Any) -> Any:
        """Give the fill to the blotter as the engine does: once per execution id."""
        fill = self.make_fill(execution_id, size_units, **changes)
        return self.blotter.on_fill(fill, 1) if self.blotter.is_new_fill(fill) else None
