"""Owns each account's orders and executions, by id and in time; refuses to grow without bound."""

from collections import deque
from collections.abc import Iterator

from tickwright.simulator.private.records import ExecutionRecord, LogRecord, VenueOrder
from tickwright.simulator.private.refusals import duplicate_link_id

__all__ = ["EXECUTIONS_KEPT", "FINAL_ORDERS_KEPT", "LOG_KEPT", "OrderStore"]

FINAL_ORDERS_KEPT = 10_000
"""Finished orders an account can still ask for; older ones are forgotten with their orderLinkId."""
EXECUTIONS_KEPT = 50_000
"""Executions an account can still ask for."""
LOG_KEPT = 50_000
"""Rows of the transaction log an account can still ask for."""


class OrderStore:
    """Orders and executions of one account."""

    __slots__ = (
        "_by_id",
        "_by_link",
        "_final",
        "executions",
        "executions_forgotten",
        "live",
        "log",
    )

    def __init__(self) -> None:
        self.live: dict[int, VenueOrder] = {}
        self.executions: deque[ExecutionRecord] = deque(maxlen=EXECUTIONS_KEPT)
        self.log: deque[LogRecord] = deque(maxlen=LOG_KEPT)
        self.executions_forgotten = 0
        self._final: deque[VenueOrder] = deque()
        self._by_id: dict[str, VenueOrder] = {}
        self._by_link: dict[str, VenueOrder] = {}

    def add(self, order: VenueOrder) -> None:
        """Take an order in; refuses an orderLinkId that is known."""
        if order.link_id:
            self.check_link(order.link_id, is_spot=order.is_spot)
            self._by_link[order.link_id] = order
        self._by_id[order.order_id] = order
        self.live[order.number] = order

    def check_link(self, link_id: str, *, is_spot: bool) -> None:
        """Refuse an orderLinkId that is known."""
        if link_id in self._by_link:
            raise duplicate_link_id(is_spot=is_spot)

    def finish(self, order: VenueOrder) -> None:
        """Move an order that has ended to the finished ones; the oldest beyond the bound goes."""
        if self.live.pop(order.number, None) is None:
            return
        self._final.append(order)
        if len(self._final) > FINAL_ORDERS_KEPT:
            old = self._final.popleft()
            del self._by_id[old.order_id]
            if old.link_id:
                del self._by_link[old.link_id]

    def add_execution(self, execution: ExecutionRecord) -> None:
        """Remember an execution."""
        self.executions_forgotten += len(self.executions) == EXECUTIONS_KEPT
        self.executions.append(execution)

    def find(self, order_id: str, link_id: str) -> VenueOrder | None:
        """Return an order by the venue's id, which wins, or the client's."""
        return self._by_id.get(order_id) if order_id else self._by_link.get(link_id)

    def since_ms(self, order_id: str, link_id: str) -> int:
        """Return the time before which no execution is of this order; 0 when that isn't known.

        Once an order was forgotten its orderLinkId may come again.
        """
        if not order_id and len(self._final) >= FINAL_ORDERS_KEPT:
            return 0
        order = self.find(order_id, link_id)
        return 0 if order is None else order.created_ms

    def finals(self) -> Iterator[VenueOrder]:
        """Yield finished orders, the one created last first."""
        return iter(sorted(self._final, key=lambda order: order.number, reverse=True))
