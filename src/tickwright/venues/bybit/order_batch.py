"""Owns several order requests in one message of Bybit's: their text, and each one's own verdict.

The outer code of an answer says only that the batch was read; what became of an item stands in
`retExtInfo`, in the order of the request. A row under another's name, or a verdict that is missing,
proves nothing about its item.
"""

from collections.abc import Sequence

import msgspec

from tickwright.core.events import Outcome
from tickwright.core.identity import ClientId
from tickwright.core.orders import RequestKind
from tickwright.venues.bybit.errors import outcome_of
from tickwright.venues.bybit.order_encode import OrderForm, PlainRow
from tickwright.venues.bybit.private_wire import BatchRows, BatchVerdicts

__all__ = ["BATCH_MAX", "BATCH_OPS", "BATCH_PATHS", "ItemVerdict", "batch_text", "verdicts_of"]

BATCH_MAX = 10
"""Items of one batch. The venue's order pages allow 20 contracts, its page of limits 10."""
BATCH_OPS = {
    RequestKind.CREATE: "order.create-batch",
    RequestKind.AMEND: "order.amend-batch",
    RequestKind.CANCEL: "order.cancel-batch",
}
BATCH_PATHS = {
    RequestKind.CREATE: "/v5/order/create-batch",
    RequestKind.AMEND: "/v5/order/amend-batch",
    RequestKind.CANCEL: "/v5/order/cancel-batch",
}

_encode = msgspec.json.Encoder().encode


class ItemVerdict(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of one item; `code` 0 with an unknown outcome says nothing."""

    outcome: Outcome
    code: int
    text: str
    venue_id: str = ""


def batch_text(rows: Sequence[PlainRow | OrderForm]) -> str:
    """Return the JSON of a batch; all rows are of one product line, which is named once."""
    category = rows[0].category
    items = ",".join(_item_text(row) for row in rows)
    return f'{{"category":"{category}","request":[{items}]}}'


def _item_text(row: PlainRow | OrderForm) -> str:
    if isinstance(row, OrderForm):
        return _encode(msgspec.structs.replace(row, category="")).decode()
    head = f'{{"category":"{row.category}",'
    assert row.text.startswith(head), "a plain row begins with its product line"
    return "{" + row.text[len(head) :]


def verdicts_of(
    client_ids: Sequence[ClientId],
    kind: RequestKind,
    code: int,
    text: str,
    rows: BatchRows,
    verdicts: BatchVerdicts,
) -> list[ItemVerdict]:
    """Return what an answer proves about each item of a batch, in the order of the items.

    `client_ids` are the items as they were sent; an outer code other than 0 is every item's.
    """
    if code != 0:
        return [ItemVerdict(outcome_of(code, kind), code, text) for _ in client_ids]
    if not len(client_ids) == len(rows.rows) == len(verdicts.verdicts):
        told = f"{len(rows.rows)} rows and {len(verdicts.verdicts)} verdicts"
        doubt = f"{told} for {len(client_ids)} orders"
        return [ItemVerdict(Outcome.UNKNOWN, 0, doubt) for _ in client_ids]
    found = []
    for client_id, row, said in zip(client_ids, rows.rows, verdicts.verdicts, strict=True):
        outcome = outcome_of(said.code, kind)
        if row.orderLinkId and row.orderLinkId != client_id:
            # The right place with somebody else's name proves nothing.
            outcome = Outcome.UNKNOWN
        venue_id = row.orderId if outcome is Outcome.ACCEPTED else ""
        found.append(ItemVerdict(outcome, said.code, said.msg, venue_id))
    return found
