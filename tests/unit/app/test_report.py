"""The figures of a run: sums, signs, reasons, and what they look like."""

import io
import json
from decimal import Decimal

import msgspec
from rich.console import Console

from tests.unit.app.shots import book, engine, position, protection, shot, strategy
from tickwright.app.article import article_rows, us_text
from tickwright.app.ledger_check import LedgerCheck
from tickwright.app.report import (
    Brackets,
    CutReport,
    Latency,
    ReplayCheck,
    RunReport,
    count_bracket,
    make_report,
    process_mb,
)
from tickwright.app.report_view import show_report
from tickwright.app.trader_snapshot import TraderSnapshot
from tickwright.core.commands import OrderNotice
from tickwright.core.events import OrderReport
from tickwright.core.identity import AccountId, Category, InstrumentId, VenueOrderId
from tickwright.core.orders import OrderState, OrderType, Side
from tickwright.engine.result_summary import ResultFigures, ResultSummary

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
LEDGER = LedgerCheck(account="bybit:demo", is_equal=True, positions=2, assets=1)


def _report(
    found: TraderSnapshot, *, ledger: LedgerCheck = LEDGER, replay: ReplayCheck | None = None
) -> RunReport:
    report = make_report(
        found,
        verb="demo",
        started_ns=1_722_470_400_000_000_000,
        ended_by="time",
        labels={"BTCUSDT": "real Binance recording"},
        brackets=Brackets(stop_losses=3, take_profits=1),
        ledger=[ledger],
        cut=CutReport(at_s=5.0, books=2, valid_after_ms=22.4),
        session="/folder/session",
    )
    return msgspec.structs.replace(report, replay=replay)


def _replay(difference: str = "") -> ReplayCheck:
    return ReplayCheck(
        is_identical=not difference,
        is_complete=True,
        decisions=92,
        events=14_053,
        frames=14_015,
        seconds=0.2,
        difference=difference,
        frame_us_average=5.1,
        frame_us_p99=25.0,
    )


def _text(report: RunReport, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _notice(state: OrderState, reason: str, *, is_conditional: bool = True) -> OrderNotice:
    foreign = OrderReport(
        account_id=AccountId("bybit", "demo"),
        instrument_id=BTC,
        client_id=None,
        venue_id=VenueOrderId("v"),
        side=Side.SELL,
        order_type=OrderType.MARKET,
        state=state,
        price_units=None,
        size_units=1,
        filled_units=1,
        reason=reason,
        venue_ns=1,
        received_ns=1,
        is_conditional=is_conditional,
    )
    return OrderNotice(
        client_id=None,
        strategy_id=None,
        instrument_id=BTC,
        state=state,
        filled_units=1,
        reason=reason,
        event_id=1,
        now_ns=1,
        foreign=foreign,
    )


def test_report_when_money_moved_then_net_has_everything_and_other_fees_stand_apart():
    positions = (
        position("BTCUSDT", size="0.5", realised="10", unrealised="-2.5", fees={"USDT": "1.25"}),
        position("BTCUSDT", strategy="slow", size="-0.2", realised="-4", fees={"BTC": "0.001"}),
        position("ETHUSDT", strategy="slow", realised="1", fees={"USDT": "-0.25"}),
    )
    report = _report(shot(engine=engine(positions=positions)))
    assert (Decimal(7), Decimal("-2.5"), Decimal(1), Decimal("3.5"), {"BTC": Decimal("0.001")}) == (
        report.pnl.realised,
        report.pnl.unrealised,
        report.pnl.fees,
        report.pnl.net,
        report.pnl.other_fees,
    )
    assert [("BTCUSDT", Decimal("0.3")), ("ETHUSDT", Decimal(0))] == [
        (one.symbol, one.size) for one in report.symbols
    ]
    assert [("fast", Decimal("6.25")), ("slow", Decimal("-2.75"))] == [
        (one.strategy_id, one.pnl.net) for one in report.strategies
    ]


def test_report_when_a_mark_is_missing_then_unrealised_is_unknown():
    positions = (
        position("BTCUSDT", size="1", realised="3", unrealised=None),
        position("ETHUSDT", size="1", unrealised="2"),
    )
    report = _report(shot(engine=engine(positions=positions)))
    assert (None, Decimal(5)) == (report.pnl.unrealised, report.pnl.net)
    assert "unrealised unknown" in _text(report)


def test_report_when_strategies_refused_then_reasons_are_summed_most_first():
    strategies = (
        strategy("a", refusals={"rate_limit": 2, "exposure_limit": 3}),
        strategy("b", refusals={"rate_limit": 4}),
    )
    report = _report(shot(engine=engine(strategies=strategies)))
    assert [("rate_limit", 6), ("exposure_limit", 3)] == list(report.refusals.items())
    assert "9: rate_limit 6, exposure_limit 3" in _text(report)


def test_report_when_limits_were_hit_then_each_is_explained_by_its_last_words():
    strategies = (
        strategy("a", refusals={"exposure_limit": 1}, last={"exposure_limit": "less"}),
        strategy(
            "b",
            refusals={"exposure_limit": 4, "engine_halted": 9},
            last={
                "exposure_limit": "1500.00 USDT against 1000.00 USDT",
                "engine_halted": "stopped: end of the run against running",
            },
        ),
    )
    report = _report(shot(engine=engine(strategies=strategies)))
    # What the end of the run refused is no limit anybody set.
    (hit,) = report.limits_hit
    assert ("exposure_limit", 5, "b") == (hit.reason, hit.count, hit.strategy_id)
    shown = _text(report)
    assert "limits hit" in shown
    assert "b: 1500.00 USDT against 1000.00 USDT" in shown


def test_report_when_protections_stand_then_named_with_end_and_reason():
    found = engine(
        strategies=(strategy("a"),),
        protections=(
            protection("drawdown@bybit:demo", state="halted", until_ns=None),
            protection("cooldown@a/bybit:linear:BTCUSDT", until_ns=1_700_000_000 * 10**9),
        ),
        protections_entered={"cooldown": 7},
    )
    report = _report(shot(engine=found))
    assert (found.protections, {"cooldown": 7}) == (report.protections, report.protections_entered)
    shown = " ".join(_text(report).split())
    assert "drawdown@bybit:demo halted until a person lifts it: 3 of them; at most 2" in shown
    assert "reducing until 2023-11-14 22:13:20Z" in shown
    assert "protection cooldown 7" in shown


def test_report_when_nothing_was_hit_then_no_table_of_limits():
    report = _report(shot(engine=engine(strategies=(strategy("a"),))))
    assert () == report.limits_hit
    assert "limits hit" not in _text(report)


def test_report_when_run_ended_in_order_then_that_halt_is_no_news():
    strategies = (strategy("a", halt="stopped: end of the run"), strategy("b", halt="it raised"))
    found = engine(
        engine_halt="stopped: end of the run",
        halted_instruments={"bybit:linear:BTCUSDT": "unknown execution"},
        strategies=strategies,
    )
    assert ("b: it raised", "bybit:linear:BTCUSDT: unknown execution") == _report(
        shot(engine=found)
    ).halts


def test_report_when_brackets_fired_here_and_at_the_venue_then_both_count():
    report = _report(shot())
    assert (4, 3) == (report.brackets.stop_losses, report.brackets.take_profits)


def test_count_bracket_when_notices_of_every_kind_then_only_filled_stops_count():
    brackets = Brackets()
    for notice in (
        _notice(OrderState.FILLED, "StopLoss"),
        _notice(OrderState.FILLED, "TakeProfit"),
        _notice(OrderState.FILLED, "TakeProfit"),
        _notice(OrderState.TRIGGERED, "StopLoss"),
        _notice(OrderState.CANCELLED, "StopLoss CancelByTpSlTsClear"),
        _notice(OrderState.FILLED, "StopLoss", is_conditional=False),
        _notice(OrderState.FILLED, ""),
    ):
        count_bracket(brackets, notice)
    assert Brackets(stop_losses=1, take_profits=2) == brackets


def test_report_when_written_as_json_then_it_reads_back_equal():
    report = _report(shot(), replay=_replay())
    report = msgspec.structs.replace(report, article=article_rows(report))
    text = msgspec.json.encode(report)
    assert report == msgspec.json.decode(text, type=RunReport)
    plain = json.loads(text)
    assert ("demo", 2_000.0, "2024-08-01T00:00:00.000+00:00", 22.4, 700.0) == (
        plain["verb"],
        plain["messages_per_s"],
        plain["started"],
        plain["cut"]["valid_after_ms"],
        plain["tick_to_order_us"]["p50"],
    )


def test_report_when_nothing_was_measured_then_null_and_a_dash():
    report = _report(shot(tick_to_order_us={}, callback_us={}, engine=engine(strategies=())))
    assert (Latency(), {}) == (report.tick_to_order_us, report.refusals)
    assert "tick to order     -, - (p50, p99)" in _text(report)


def test_article_when_replayed_and_cut_then_each_figure_stands_beside_its_own():
    rows = {row.what: row for row in article_rows(_report(shot(), replay=_replay()))}
    assert ("50,000/s", "2,000/s") == (rows["messages"].article, rows["messages"].here)
    assert "stress figure" in rows["messages"].measured
    assert "5.1 µs, 25 µs p99" == rows["book update"].here
    assert "40 µs, 600 µs p99" == rows["the same, live"].here
    assert ("2.1 ms", "700 µs, 2.9 ms p99") == (
        rows["signal to order"].article,
        rows["signal to order"].here,
    )
    assert "22 ms" == rows["reconnect"].here


def test_article_when_books_did_not_heal_then_said_so():
    report = msgspec.structs.replace(
        _report(shot()), cut=CutReport(at_s=1.0, books=2, valid_after_ms=None)
    )
    assert "not healed" == {row.what: row.here for row in article_rows(report)}["reconnect"]


def test_us_text_when_small_or_large_then_a_unit_that_reads():
    assert ["-", "5.1 µs", "25 µs", "999 µs", "1.0 ms", "12.3 ms"] == [
        us_text(value) for value in (None, 5.1, 25.2, 999.4, 1_000.0, 12_345.0)
    ]


def test_report_text_when_all_is_well_then_says_equal_identical_and_how_to_replay():
    text = _text(_report(shot(), replay=_replay()))
    assert "SIMULATOR: no real market, no real money - 10.0 s" in text
    assert "ledger of bybit:demo equals the venue's: 2 positions, 1 wallet balances" in text
    assert "replayed: 14,053 inputs, 92 digests of decisions compared, identical" in text
    assert "tickwright run --replay /folder/session" in text
    assert _report(shot(), replay=_replay()).is_sound


def test_report_text_when_ledger_differs_then_every_difference_is_named():
    ledger = LedgerCheck(
        account="bybit:demo", is_equal=False, differences=("BTCUSDT net: 1 here, 2 at the venue",)
    )
    report = _report(shot(), ledger=ledger)
    assert "DIFFERS" in _text(report)
    assert "BTCUSDT net: 1 here, 2 at the venue" in _text(report)
    assert not report.is_sound


def test_report_text_when_venue_could_not_be_asked_then_that_is_no_difference():
    ledger = LedgerCheck(account="bybit:demo", is_equal=None, fault="connection refused")
    report = _report(shot(), ledger=ledger)
    assert "the venue couldn't be asked: connection refused" in _text(report)
    assert report.is_sound


def test_report_text_when_replay_differs_then_the_first_difference_is_named():
    report = _report(shot(), replay=_replay("decisions differ at input 77"))
    assert "replayed: DIFFERENT: decisions differ at input 77" in _text(report)
    assert not report.is_sound


def test_report_text_when_terminal_is_narrow_then_no_line_is_wider():
    report = _report(shot(), replay=_replay())
    report = msgspec.structs.replace(report, article=article_rows(report), session=None)
    widths = [len(line) for line in _text(report, width=60).splitlines()]
    assert max(widths) <= 60 or max(widths) == len(
        "ledger of bybit:demo equals the venue's: 2 positions, 1 wallet balances, to the last digit"
    )


def test_report_text_when_many_symbols_then_the_rest_is_summed():
    positions = tuple(
        position(f"C{number:02}USDT", realised=str(number)) for number in range(1, 21)
    )
    text = _text(_report(shot(engine=engine(positions=positions))))
    assert ("C20USDT" in text, "C08USDT" in text, "+ 8 more" in text) == (True, False, True)
    assert "+36.00" in text


def test_report_when_books_have_origins_then_they_stand_with_them():
    report = _report(shot(books=(book("BTCUSDT"), book("ETHUSDT", state="stale"))))
    assert [("synced", "real Binance recording"), ("stale", "")] == [
        (one.state, one.source) for one in report.books
    ]


def test_report_when_the_run_broke_then_it_is_not_sound_and_says_why():
    report = msgspec.structs.replace(
        _report(shot()), is_broken=True, ended_by="the simulator ended by itself with code -9"
    )
    assert not report.is_sound
    assert "BROKEN: the simulator ended by itself with code -9" in _text(report)


def test_process_mb_when_asked_then_now_is_below_the_peak():
    now, peak = process_mb()
    assert peak is not None
    assert peak > 10
    assert now is None or 10 < now <= peak * 1.1


def _figures(net: str | None, traded: str = "100") -> ResultFigures:
    known = None if net is None else Decimal(net)
    return ResultFigures(
        realised=Decimal("1.123456789"),
        unrealised=known,
        funding=Decimal(0),
        fees=Decimal("0.5"),
        traded=Decimal(traded),
        net=known,
        fills=3,
    )


def _result(strategy_id: str | None, instrument: str | None, net: str | None) -> ResultSummary:
    return ResultSummary(
        account="bybit:demo",
        strategy_id=strategy_id,
        instrument=instrument,
        total=_figures(net),
        day=_figures(net),
    )


def test_results_when_reported_then_by_symbol_and_shown_by_strategy_with_unknown_as_unknown():
    found = engine(
        strategies=(strategy("fast"), strategy("slow")),
        results=(
            _result(None, None, None),
            _result("fast", "bybit:linear:BTCUSDT", "2"),
            _result("fast", "bybit:linear:ETHUSDT", "3"),
            _result("slow", "bybit:linear:BTCUSDT", None),
            _result(None, "bybit:linear:BTCUSDT", "-1"),
        ),
    )
    report = _report(shot(engine=found))
    assert [
        (None, None),
        ("fast", "BTCUSDT"),
        ("fast", "ETHUSDT"),
        ("slow", "BTCUSDT"),
        (None, "BTCUSDT"),
    ] == [(one.strategy_id, one.symbol) for one in report.results]
    assert Decimal("1.12345679") == report.results[1].total.realised
    text = io.StringIO()
    show_report(report, Console(file=text, width=120))
    rows = {
        line.split()[1]: line.split()
        for line in text.getvalue().splitlines()
        if line.strip().startswith("bybit:demo")
    }
    assert {"all", "fast", "slow", "unowned"} == set(rows)
    assert ["200.00", "+2.25", "+5.00", "1.00", "+5.00", "+5.00"] == rows["fast"][2:]
    assert "unknown" in rows["all"]
    assert "unknown" in rows["slow"]
    assert "-1.00" == rows["unowned"][-1]
