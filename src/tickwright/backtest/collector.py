"""Owns writing down what happens in a backtest; refuses to take part in it."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tickwright.backtest.impact import NO_IMPACT
from tickwright.backtest.record import (
    CURVE_DECIMALS,
    BookTime,
    Curve,
    FillRecord,
    OrderRecord,
    RunRecord,
)
from tickwright.backtest.venue import FillCircumstance
from tickwright.core.commands import AmendOrder, CancelOrder, PlaceOrder
from tickwright.core.events import Input, OrderReport, Outcome, Reply, SendOutcome
from tickwright.core.orders import FINAL_STATES, ExecutionKind, Fill, OrderState, RequestKind
from tickwright.core.units import MONEY_DECIMALS
from tickwright.portfolio.account import Account
from tickwright.portfolio.results import account_result
from tickwright.simulator.gateway import News

if TYPE_CHECKING:
    from tickwright.backtest.run import Backtest

__all__ = ["RunCollector"]

_CURVE_SCALE = 10 ** (MONEY_DECIMALS - CURVE_DECIMALS)
_NO_FILL = FillCircumstance("", None)


class RunCollector:
    """Collects orders, fills and curves of one run."""

    def __init__(
        self,
        run: "Backtest",
        mids: "np.ndarray[tuple[int, int], np.dtype[np.int64]]",
        *,
        start_ns: int,
        end_ns: int,
    ) -> None:
        self._run = run
        self._mids = mids
        self._start_ns, self._end_ns = start_ns, end_ns
        self._orders: dict[str, OrderRecord] = {}
        self._fills: list[FillRecord] = []
        self._causes: dict[str, FillCircumstance] = {}
        self._positions: dict[str, tuple[list[int], list[int]]] = {}
        self._samples: list[tuple[int, int, int, int, int, int]] = []
        self._venue_refusals: dict[str, int] = {}
        self._lanes = run.engine.state.lanes
        self.writes: dict[type[Input], Callable[[Any, int], None]] = {
            Fill: self._fill,
            OrderReport: self._report,
            Reply: self._reply,
            SendOutcome: self._outcome,
        }
        """What to call with an answer or a piece of news that the engine took, and when it did."""

    # on the way out -----------------------------------------------------------------------------

    def sent(self, command: PlaceOrder | AmendOrder | CancelOrder, now_ns: int) -> None:
        """A request leaves us."""
        if isinstance(command, PlaceOrder):
            book = self._lanes[command.instrument_id].book
            self._orders[command.client_id] = OrderRecord(
                client_id=command.client_id,
                strategy_id=command.strategy_id,
                instrument_id=str(command.instrument_id),
                side=int(command.side),
                order_type=command.order_type.value,
                time_in_force=command.time_in_force.value,
                is_post_only=command.post_only,
                is_reduce_only=command.reduce_only,
                price_units=command.price_units,
                size_units=command.size_units,
                event_id=command.event_id,
                intended_ns=now_ns,
                intended_mid_twice=book.mid_twice_units,
            )
            return
        order = self._orders.get(command.client_id)
        if order is None:
            return
        if isinstance(command, AmendOrder):
            order.amends += 1
        elif not order.cancel_sent_ns:
            order.cancel_sent_ns = now_ns

    def arrived(self, command: PlaceOrder | AmendOrder | CancelOrder, now_ns: int) -> None:
        """A request reached the venue."""
        if isinstance(command, PlaceOrder):
            self._orders[command.client_id].arrived_ns = now_ns

    def told_fills(self, news: News) -> None:
        """The venue's stream carries these fills from now on."""
        fills: deque[FillCircumstance] = self._run.venue.fills
        for fill in news:
            # Funding and liquidation are no matches: nothing of the market made them.
            if isinstance(fill, Fill) and fill.kind is ExecutionKind.TRADE:
                self._causes[fill.execution_id] = fills.popleft() if fills else _NO_FILL

    # on the way back ----------------------------------------------------------------------------

    def _outcome(self, outcome: SendOutcome, now_ns: int) -> None:
        if not outcome.is_sent:
            words = f"not sent: {outcome.reason}"
            self._refused(outcome.client_id, outcome.request, words, now_ns)

    def _reply(self, reply: Reply, now_ns: int) -> None:
        if reply.outcome is Outcome.ACCEPTED:
            return
        words = f"{reply.code} {reply.text}"
        self._venue_refusals[words] = self._venue_refusals.get(words, 0) + 1
        if reply.outcome is Outcome.REFUSED:
            self._refused(reply.client_id, reply.request, words, now_ns)

    def _refused(self, client_id: str, request: RequestKind, words: str, now_ns: int) -> None:
        order = self._orders.get(client_id)
        if order is not None and request is RequestKind.CREATE:
            order.state, order.reason = OrderState.REJECTED.value, words
            order.ended_ns = order.arrived_ns
            order.known_ns = now_ns

    def _report(self, report: OrderReport, now_ns: int) -> None:
        order = self._orders.get(report.client_id or "")
        if order is None:
            return
        order.state = report.state.value
        order.filled_units = report.filled_units
        price_units, moves = report.price_units, order.moves
        if price_units != (moves[-1][1] if moves else order.price_units):
            _note_move(order, price_units, report.venue_ns)
        rest = self._run.venue.rests.pop(order.client_id, None)
        if rest is not None and not order.rested_ns:
            order.rested_ns, order.ahead_units = rest.venue_ns, rest.ahead_units
        if report.state in FINAL_STATES:
            order.ended_ns, order.known_ns = report.venue_ns, now_ns
            order.reason = report.reason

    def _fill(self, fill: Fill, now_ns: int) -> None:
        client_id = fill.client_id or ""
        order = self._orders.get(client_id)
        cause = self._causes.pop(fill.execution_id, _NO_FILL)
        instrument = str(fill.instrument_id)
        self._fills.append(
            FillRecord(
                execution_id=fill.execution_id,
                client_id=client_id,
                strategy_id="" if order is None else order.strategy_id,
                instrument_id=instrument,
                kind=fill.kind.value,
                side=int(fill.side),
                price_units=fill.price_units,
                size_units=fill.size_units,
                fee=fill.fee,
                fee_asset=fill.fee_asset,
                cash=fill.cash,
                is_maker=fill.is_maker,
                venue_ns=fill.venue_ns,
                known_ns=now_ns,
                mid_twice=cause.mid_twice,
                cause=cause.cause,
                impact_units=cause.impact_units,
            )
        )
        if fill.kind.moves_position:
            portfolio = self._run.engine.state.portfolio
            times, sizes = self._positions.setdefault(instrument, ([], []))
            times.append(now_ns)
            sizes.append(portfolio.holding(fill.account_id, fill.instrument_id).net_units)

    # over time ----------------------------------------------------------------------------------

    def sample(self, now_ns: int) -> None:
        """Write the accounts' money down as it is now; unknown while a price is missing."""
        portfolio = self._run.engine.state.portfolio
        equity = cash = fees = funding = exposure = 0
        for account in portfolio.accounts():
            worth = account.equity
            if worth is None:
                return
            total, _ = account_result(account)
            asset = self._run.settings.plan.engine.equity_asset
            equity += worth
            cash += portfolio.balance(account.account_id, asset).amount
            fees += _sum(total.fees, asset)
            funding += _sum(total.funding, asset)
            exposure += _gross(account)
        row = tuple(amount // _CURVE_SCALE for amount in (equity, cash, fees, funding, exposure))
        if self._samples and self._samples[-1][0] == now_ns:
            self._samples.pop()
        self._samples.append((now_ns, *row))

    def record(self, wall_s: float) -> RunRecord:
        """Return the whole record; the run is over."""
        run = self._run
        self.sample(max(self._end_ns, run.engine.state.now_ns))
        engine, settings = run.engine, run.settings
        summary = engine.summary()
        columns = np.array(self._samples or np.zeros((0, 6)), dtype=np.int64).reshape(-1, 6).T
        instruments = {str(one.id): one for one in run.tape.instruments}
        books, rows, messages = self._books()
        grid = self._start_ns + np.arange(self._mids.shape[1], dtype=np.int64) * run.sample_ns
        mids = {}
        for name, column in zip(instruments, self._mids, strict=True):
            is_known = column >= 0
            mids[name] = (grid[is_known], column[is_known])
        return RunRecord(
            name=settings.name,
            started_ns=self._start_ns,
            ended_ns=self._end_ns,
            seed=settings.seed,
            impact=NO_IMPACT if settings.impact is None else settings.impact.words(),
            parameters={one.strategy_id: dict(one.parameters) for one in settings.plan.strategies},
            plan_digest=settings.plan.digest(),
            digest=engine.digest,
            instruments=instruments,
            equity_asset=settings.plan.engine.equity_asset,
            starting_equity=run.starting_equity(),
            orders=list(self._orders.values()),
            fills=self._fills,
            curve=Curve(*(np.ascontiguousarray(column) for column in columns)),
            mids=mids,
            positions={
                name: (np.array(times, dtype=np.int64), np.array(sizes, dtype=np.int64))
                for name, (times, sizes) in self._positions.items()
            },
            refusals={one.strategy_id: dict(one.refusals) for one in summary.strategies},
            venue_refusals=self._venue_refusals,
            halted={
                one.strategy_id: one.halt_reason for one in summary.strategies if one.halt_reason
            },
            books=books,
            limits_hit=dict(summary.protections_entered),
            latencies=run.latencies(),
            wall_s=wall_s,
            level_rows=rows,
            messages=messages,
            wake_ups=engine.event_id,
        )

    def _books(self) -> tuple[dict[str, BookTime], int, int]:
        found: dict[str, BookTime] = {}
        rows = messages = 0
        span = self._end_ns - self._start_ns
        for slot, instrument in enumerate(self._run.tape.instruments):
            count, level_rows, trades, gaps, stale = self._run.loop.counts(slot, self._end_ns)
            found[str(instrument.id)] = BookTime(
                messages=count,
                level_rows=level_rows,
                trades=trades,
                synced_ns=span - stale,
                stale_ns=stale,
                gaps=gaps,
            )
            rows += level_rows + trades
            messages += count
        return found, rows, messages


def _note_move(order: OrderRecord, price_units: int | None, venue_ns: int) -> None:
    """Write down from when on an order has another limit; a market order's bound is none."""
    if price_units is None or order.price_units is None:
        return
    if order.moves is None:
        order.moves = []
    order.moves.append((venue_ns, price_units))


def _sum(amounts: dict[str, int], asset: str) -> int:
    return amounts.get(asset, 0)


def _gross(account: Account) -> int:
    return account.held_worth or 0
