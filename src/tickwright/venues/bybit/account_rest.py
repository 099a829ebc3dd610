"""Owns Bybit's private REST: start-up reads, evidence about orders, orders where no socket serves.

A query that failed raises: it is never an empty answer. An order request is sent once; what its
failure proves is in the outcome. Rows of instruments we don't hold are counted and left out.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from tickwright.core.commands import CancelAll, QueryOrder, SetPositionStops
from tickwright.core.errors import (
    ConnectionLost,
    FrameError,
    InstrumentUnknown,
    VenueError,
)
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    FeesChanged,
    OrderAbsent,
    OrderReport,
    Outcome,
    PositionReport,
    RateLimitReport,
    Reply,
    SendOutcome,
    StopsReply,
    SyncReport,
)
from tickwright.core.identity import AccountId, Category, ClientId, InstrumentId, VenueOrderId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.orders import Fill, RequestKind, SelfTradeRule
from tickwright.net.http import NeverSent
from tickwright.venues.bybit.account_calls import (
    CANCEL_ALL_PATH,
    SETTLE_ASSETS,
    cancel_in_turns,
    pages,
    row_of,
    scopes_of,
)
from tickwright.venues.bybit.errors import Reaction, outcome_of, reaction_of
from tickwright.venues.bybit.order_batch import (
    BATCH_MAX,
    BATCH_PATHS,
    ItemVerdict,
    batch_text,
    verdicts_of,
)
from tickwright.venues.bybit.order_encode import OrderEncoder, OrderForm, request_kind_of
from tickwright.venues.bybit.private_decode import InstrumentOf, RowReader
from tickwright.venues.bybit.private_wire import (
    AccountInfo,
    BatchRows,
    BatchVerdicts,
    DisconnectInfo,
    FeeRateRow,
    KeyRow,
    LimitHeader,
    Listing,
    OrderIds,
    PositionRow,
)
from tickwright.venues.bybit.rest_call import Pairs, RestAnswered, RestCaller
from tickwright.venues.bybit.stops_rest import send_stops
from tickwright.venues.bybit.trade import limit_report
from tickwright.venues.bybit.wire import InstrumentUnlisted, shortened
from tickwright.venues.port import (
    AccountTerms,
    KeyRights,
    OrderRequest,
    PricedRequest,
    Unsendable,
)

__all__ = ["BybitAccountClient"]

_DAY_NS = 24 * 3_600_000_000_000
_WEEK_NS = 7 * _DAY_NS
_WEEKS_MAX = 104
_PATHS = {
    RequestKind.CREATE: "/v5/order/create",
    RequestKind.AMEND: "/v5/order/amend",
    RequestKind.CANCEL: "/v5/order/cancel",
}


class BybitAccountClient:
    """Private queries and order requests of one account; see `port.AccountClient`.

    Args:
        instrument_of: looks instruments up by category and symbol.
        settle_assets: whose linear contracts are read; Bybit wants one named.
        on_limit: gets what answers say of request budgets.
        batched: product lines that take several orders in one request.
    """

    def __init__(
        self,
        account_id: AccountId,
        caller: RestCaller,
        instrument_of: InstrumentOf,
        *,
        settle_assets: Iterable[str] = SETTLE_ASSETS,
        on_limit: Callable[[RateLimitReport], None] | None = None,
        batched: Iterable[Category] = (Category.LINEAR, Category.SPOT),
        self_trade: SelfTradeRule = SelfTradeRule.NONE,
    ) -> None:
        self.account_id = account_id
        self.unlisted_rows = 0
        """Rows of instruments we don't hold, left out so far."""
        self._caller = caller
        self._instrument_of = instrument_of
        self._rows = RowReader(account_id, instrument_of)
        self._encoder = OrderEncoder(self._instrument, self_trade=self_trade)
        self._settle_assets = tuple(settle_assets)
        self._on_limit = on_limit
        self._batched = frozenset(batched)

    # reads ----------------------------------------------------------------------------------------

    async def key_rights(self) -> KeyRights:
        """Read what the key may do."""
        answer = await self._get("/v5/user/query-api", (), "query-api")
        row = answer.read(KeyRow)
        held = tuple(
            f"{area}.{right}" for area, rights in row.permissions.items() for right in rights
        )
        return KeyRights(
            can_withdraw="Withdraw" in row.permissions.get("Wallet", []),
            is_read_only=row.readOnly != 0,
            is_bound_to_address=bool(row.ips) and "*" not in (row.ips or ()),
            permissions=held,
            expires=row.expiredAt,
        )

    async def terms(self) -> AccountTerms:
        """Read how the account is set up."""
        mode = (await self._get("/v5/account/info", (), "account-info")).read(AccountInfo)
        answer = await self._get("/v5/account/query-dcp-info", (), "dcp-info")
        armed = tuple(
            (one.product, int(one.timeWindow))
            for one in answer.read(DisconnectInfo).dcpInfos or ()
            if one.dcpStatus == "ON" and one.timeWindow.isascii() and one.timeWindow.isdigit()
        )
        return AccountTerms(mode.marginMode, armed)

    async def holds_legs(self, instrument_id: InstrumentId) -> bool | None:
        """Say whether a contract's long and short are held apart; None when it can't be told."""
        scope = (("category", instrument_id.category.value), ("symbol", instrument_id.symbol))
        answer = await self._get("/v5/position/list", scope, "position/list")
        rows = [row_of(raw, PositionRow) for raw in answer.read(Listing).list]
        return any(row.positionIdx for row in rows) if rows else None

    async def open_orders(self, category: Category) -> tuple[OrderReport, ...]:
        """Read all open orders of a category."""
        reports: dict[str, OrderReport] = {}
        for scope in scopes_of(category, self._settle_assets):
            pairs = (*scope, ("openOnly", "0"), ("limit", "50"))
            async for raw, received_ns in pages(
                self._caller, "/v5/order/realtime", pairs, "order/realtime"
            ):
                try:
                    report = self._rows.order(
                        raw, received_ns=received_ns, category=category, is_from_query=True
                    )
                except InstrumentUnlisted:
                    self.unlisted_rows += 1
                    continue
                # A page boundary may show an order twice.
                reports[report.venue_id] = report
        return tuple(reports.values())

    async def fills(self, category: Category, *, since_ns: int) -> tuple[Fill, ...]:
        """Read all executions of a category since a venue time, oldest first, each once.

        0 means that nothing was seen before: then the last day counts. The venue keeps two years.
        """
        now_ns = self._caller.now() + self._caller.clock.offset_ns
        start_ns = max(since_ns or now_ns - _DAY_NS, now_ns - _WEEKS_MAX * _WEEK_NS)
        found: dict[str, Fill] = {}
        while start_ns <= now_ns:
            end_ns = min(start_ns + _WEEK_NS, now_ns + _WEEK_NS)
            window = (
                ("category", category.value),
                ("startTime", str(start_ns // 1_000_000)),
                ("endTime", str(end_ns // 1_000_000)),
                ("limit", "100"),
            )
            for fill in await self._fills(window, category):
                found[fill.execution_id] = fill
            start_ns = end_ns + 1
        return tuple(sorted(found.values(), key=lambda fill: fill.venue_ns))

    async def positions(self, category: Category) -> tuple[PositionReport, ...]:
        """Read all positions of a contract category that aren't flat; spot has none."""
        if category is Category.SPOT:
            return ()
        reports = []
        for scope in scopes_of(category, self._settle_assets):
            pairs = (*scope, ("limit", "200"))
            async for raw, received_ns in pages(
                self._caller, "/v5/position/list", pairs, "position/list"
            ):
                try:
                    reports.append(
                        self._rows.position(
                            raw, received_ns=received_ns, category=category, is_from_query=True
                        )
                    )
                except InstrumentUnlisted:
                    self.unlisted_rows += 1
        return tuple(reports)

    async def wallet(self) -> tuple[BalanceReport | AccountState, ...]:
        """Read balances and totals of the unified account."""
        answer = await self._get(
            "/v5/account/wallet-balance", (("accountType", "UNIFIED"),), "wallet-balance"
        )
        reports: list[BalanceReport | AccountState] = []
        for raw in answer.read(Listing).list:
            reports += self._rows.wallet(
                raw, venue_ns=answer.venue_ns, received_ns=self._caller.now()
            )
        return tuple(reports)

    async def fees(
        self, category: Category, *, symbols: Iterable[str] = ()
    ) -> tuple[FeesChanged, ...]:
        """Read the fee rates of the account, of all symbols or of the given ones."""
        wanted = tuple(symbols)
        events = []
        for symbol in wanted if 0 < len(wanted) <= 3 else ("",):
            answer = await self._get(
                "/v5/account/fee-rate",
                (("category", category.value), ("symbol", symbol)),
                "fee-rate",
            )
            for raw in answer.read(Listing).list:
                row = row_of(raw, FeeRateRow)
                if wanted and row.symbol not in wanted:
                    continue
                try:
                    instrument = self._instrument_of(category, row.symbol)
                except InstrumentUnknown:
                    continue
                rates = FeeRates(_rate(row.makerFeeRate), _rate(row.takerFeeRate))
                events.append(FeesChanged(self.account_id, instrument.id, rates))
        return tuple(events)

    async def sync(self, categories: Iterable[Category], *, since_ns: int) -> SyncReport:
        """Read the whole private state; its `venue_ns` is the time of the first answer."""
        balances = await self.wallet()
        venue_ns = min((report.venue_ns for report in balances), default=0)
        orders: list[OrderReport] = []
        positions: list[PositionReport] = []
        fills: list[Fill] = []
        for category in categories:
            orders += await self.open_orders(category)
            positions += await self.positions(category)
            fills += await self.fills(category, since_ns=since_ns)
        return SyncReport(
            account_id=self.account_id,
            orders=tuple(orders),
            positions=tuple(positions),
            balances=tuple(report for report in balances if isinstance(report, BalanceReport)),
            fills=tuple(fills),
            venue_ns=venue_ns,
            totals=next((one for one in balances if isinstance(one, AccountState)), None),
        )

    async def query_order(self, query: QueryOrder) -> tuple[OrderReport | Fill | OrderAbsent, ...]:
        """Look for an order by its client id in open orders, history and executions.

        Absence is told only when all three answered and none knows it.
        """
        asked_ns = self._caller.now()
        category = query.instrument_id.category
        scope = (
            ("category", category.value),
            ("symbol", query.instrument_id.symbol),
            ("orderLinkId", query.client_id),
        )
        evidence: list[OrderReport | Fill | OrderAbsent] = []
        for path in ("/v5/order/realtime", "/v5/order/history"):
            answer = await self._get(path, scope, path.removeprefix("/v5/"))
            for raw in answer.read(Listing).list:
                evidence.append(
                    self._rows.order(
                        raw,
                        received_ns=self._caller.now(),
                        category=category,
                        is_from_query=True,
                    )
                )
            if evidence:
                break
        evidence += await self._fills((*scope, ("limit", "100")), category)
        evidence = [found for found in evidence if _is_of(found, query.client_id)]
        if evidence:
            return tuple(evidence)
        return (
            OrderAbsent(
                account_id=self.account_id,
                instrument_id=query.instrument_id,
                client_id=query.client_id,
                asked_ns=asked_ns,
            ),
        )

    # writes ---------------------------------------------------------------------------------------

    async def send(
        self, request: OrderRequest, *, last_price_units: int | None = None
    ) -> tuple[SendOutcome, Reply | None]:
        """Send one order request, once.

        Returns what became of its bytes and, when they left, the venue's answer; an answer that
        didn't come or can't be read is `UNKNOWN`.
        """
        now_ns = self._caller.now()
        kind = request_kind_of(request)
        row = self._encoder.row(request, now_ns, last_price_units=last_price_units)
        if isinstance(row, Unsendable):
            return self._unsent(row.client_id, kind, row.reason), None
        group = f"{kind.value}.{row.category}"
        try:
            answer = await self._caller.post(
                _PATHS[kind],
                msgspec.json.encode(row),
                group=group,
                is_urgent=kind is RequestKind.CANCEL,
            )
        except NeverSent as error:
            return self._unsent(request.client_id, kind, str(error)), None
        except (ConnectionLost, FrameError) as error:
            reply = self._reply(request.client_id, kind, Outcome.UNKNOWN, 0, str(error)[:200])
            return self._sent(request.client_id, kind, now_ns), reply
        self._report_limit(group, answer)
        venue_id = ""
        if answer.code == 0:
            try:
                venue_id = answer.read(OrderIds).orderId
            except FrameError:
                venue_id = ""
        reply = self._reply(
            request.client_id,
            kind,
            outcome_of(answer.code, kind),
            answer.code,
            answer.text,
            venue_id=venue_id,
            venue_ns=answer.venue_ns,
        )
        return self._sent(request.client_id, kind, now_ns), reply

    def batch_max(self, category: Category) -> int:
        """Return how many requests one message may hold; 1 where there are no batches."""
        return BATCH_MAX if category in self._batched else 1

    async def send_batch(
        self, requests: Sequence[PricedRequest]
    ) -> Sequence[tuple[SendOutcome, Reply | None]]:
        """Send requests of one kind and product line in one, once.

        Returns for each, in their order, what `send` would.
        """
        now_ns = self._caller.now()
        kind = request_kind_of(requests[0][0])
        rows: dict[int, OrderForm] = {}
        found: dict[int, tuple[SendOutcome, Reply | None]] = {}
        for place, (request, last_price_units) in enumerate(requests):
            row = self._encoder.row(request, now_ns, last_price_units=last_price_units)
            if isinstance(row, Unsendable):
                found[place] = self._unsent(row.client_id, kind, row.reason), None
            else:
                rows[place] = row
        client_ids = [requests[place][0].client_id for place in rows]
        if rows:
            try:
                verdicts, venue_ns = await self._post_batch(list(rows.values()), client_ids, kind)
            except NeverSent as error:
                for place, client_id in zip(rows, client_ids, strict=True):
                    found[place] = self._unsent(client_id, kind, str(error)), None
            else:
                for place, client_id, said in zip(rows, client_ids, verdicts, strict=True):
                    reply = self._reply(
                        client_id,
                        kind,
                        said.outcome,
                        said.code,
                        said.text[:200],
                        venue_id=said.venue_id,
                        venue_ns=venue_ns,
                    )
                    found[place] = self._sent(client_id, kind, now_ns), reply
        return [found[place] for place in range(len(requests))]

    async def _post_batch(
        self, rows: Sequence[OrderForm], client_ids: Sequence[ClientId], kind: RequestKind
    ) -> tuple[Sequence[ItemVerdict], int]:
        """Send a batch; return each item's verdict and the venue's time. Raises NeverSent."""
        category = rows[0].category
        try:
            answer = await self._caller.post(
                BATCH_PATHS[kind],
                batch_text(rows).encode(),
                group=f"{kind.value}-batch.{category}",
                is_urgent=kind is RequestKind.CANCEL,
                units=len(rows),
            )
        except NeverSent:
            raise
        except (ConnectionLost, FrameError) as error:
            return [ItemVerdict(Outcome.UNKNOWN, 0, str(error)) for _ in rows], 0
        # Batches have a budget of their own at the venue; ours counts every order in one.
        self._report_limit(f"{kind.value}.{category}", answer)
        try:
            listed = answer.read(BatchRows) if answer.code == 0 else BatchRows()
            said = answer.read_extra(BatchVerdicts) if answer.code == 0 else BatchVerdicts()
        except FrameError as error:
            return [ItemVerdict(Outcome.UNKNOWN, 0, str(error)) for _ in rows], answer.venue_ns
        verdicts = verdicts_of(client_ids, kind, answer.code, answer.text, listed, said)
        return verdicts, answer.venue_ns

    async def cancel_all(self, command: CancelAll, *, category: Category) -> int:
        """Cancel all plain orders of a category or instrument; conditional ones stay.

        Returns how many orders the venue named. A call cancels at most 500, so it is repeated.

        Raises:
            ConnectionLost, FrameError, VenueError: it may have cancelled some.
        """
        scopes = scopes_of(category, self._settle_assets)
        if command.instrument_id is not None:
            category = command.instrument_id.category
            scopes = [(("category", category.value), ("symbol", command.instrument_id.symbol))]

        async def post(body: dict[str, str]) -> RestAnswered:
            return await self._post(CANCEL_ALL_PATH, body, f"cancel-all.{category.value}")

        # Without the filter the venue would also take the protective stops away.
        return await cancel_in_turns(post, scopes, "Order")

    async def set_stops(self, command: SetPositionStops) -> StopsReply:
        """Let the venue hold a position's stops; already holding them is success."""
        reply, answer = await send_stops(
            self._caller, command, self._instrument(command.instrument_id)
        )
        if answer is not None:
            self._report_limit(f"stops.{command.instrument_id.category.value}", answer)
        return reply

    async def set_leverage(self, instrument_id: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage of a contract; already being set is success.

        Raises:
            ConnectionLost, FrameError, VenueError: it may not be set.
        """
        text = f"{leverage:f}"
        body = {
            "category": instrument_id.category.value,
            "symbol": instrument_id.symbol,
            "buyLeverage": text,
            "sellLeverage": text,
        }
        await self._post(
            "/v5/position/set-leverage", body, f"set-leverage.{instrument_id.category.value}"
        )

    # ----------------------------------------------------------------------------------------------

    def _instrument(self, instrument_id: InstrumentId) -> Instrument:
        return self._instrument_of(instrument_id.category, instrument_id.symbol)

    async def _get(self, path: str, pairs: Pairs, group: str) -> RestAnswered:
        return await self._caller.get(path, pairs, group=group, is_signed=True)

    async def _fills(self, pairs: Pairs, category: Category) -> list[Fill]:
        fills = []
        async for raw, received_ns in pages(
            self._caller, "/v5/execution/list", pairs, "execution/list"
        ):
            try:
                fills.append(self._rows.fill(raw, received_ns=received_ns, category=category))
            except InstrumentUnlisted:
                self.unlisted_rows += 1
        # Newest first, as it lists them; of one millisecond only this order tells which came first,
        # and what a position costs depends on it.
        fills.reverse()
        return fills

    async def _post(self, path: str, body: dict[str, str], group: str) -> RestAnswered:
        answer = await self._caller.post(
            path, msgspec.json.encode(body), group=group, is_urgent=True
        )
        self._report_limit(group, answer)
        if reaction_of(answer.code) is not Reaction.OK:
            raise VenueError(answer.code, answer.text, what=path)
        return answer

    def _report_limit(self, group: str, answer: RestAnswered) -> None:
        if self._on_limit is None:
            return
        header = LimitHeader(
            answer.headers.get("x-bapi-limit", ""),
            answer.headers.get("x-bapi-limit-status", ""),
            answer.headers.get("x-bapi-limit-reset-timestamp", ""),
        )
        report = limit_report(
            self.account_id,
            group,
            header,
            is_exceeded=answer.code == 10006,
            offset_ns=self._caller.clock.offset_ns,
            now_ns=self._caller.now(),
        )
        if report is not None:
            self._on_limit(report)

    def _unsent(self, client_id: ClientId, kind: RequestKind, reason: str) -> SendOutcome:
        return SendOutcome(
            account_id=self.account_id,
            client_id=client_id,
            request=kind,
            is_sent=False,
            reason=reason,
        )

    def _sent(self, client_id: ClientId, kind: RequestKind, sent_ns: int) -> SendOutcome:
        return SendOutcome(
            account_id=self.account_id,
            client_id=client_id,
            request=kind,
            is_sent=True,
            reason="",
            sent_ns=sent_ns,
        )

    def _reply(
        self,
        client_id: ClientId,
        kind: RequestKind,
        outcome: Outcome,
        code: int,
        text: str,
        *,
        venue_id: str = "",
        venue_ns: int = 0,
    ) -> Reply:
        return Reply(
            account_id=self.account_id,
            client_id=client_id,
            request=kind,
            outcome=outcome,
            code=code,
            text=text,
            venue_id=VenueOrderId(venue_id) if venue_id else None,
            venue_ns=venue_ns,
        )


def _is_of(found: OrderReport | Fill | OrderAbsent, client_id: ClientId) -> bool:
    # A venue that ignored the filter must not pass somebody else's order for ours.
    return found.client_id == client_id


def _rate(text: str) -> Decimal:
    try:
        rate = Decimal(text) if len(text) <= 30 else Decimal("NaN")
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or abs(rate) >= 1:
        raise FrameError(f"fee rate {shortened(text)} is no fraction")
    return rate
