"""Every order of a session is explained whole, whatever happened to its requests."""

from pathlib import Path

from tests.integration.app.test_replay import strike
from tests.integration.app.trading import settings_for, simulator, trading, until
from tickwright.app.explain import Explanation, explain_from_session
from tickwright.app.explain_session import ids_in
from tickwright.execution.client_ids import ClientIds

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def kinds(story: Explanation) -> list[str]:
    return [line.kind for line in story.lines]


async def test_explain_when_signals_made_orders_then_each_has_signal_verdict_bytes_and_ledger(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS) as running:
        async with trading(settings_for(running, tmp_path, SYMBOLS)) as trader:
            await until(lambda: trader.engine.summary().fills >= 4, "four fills")
        figures = trader.engine.summary()
    session = tmp_path / "session"
    ours = [name for name in ids_in(session) if ClientIds.is_ours(name)]
    assert figures.orders_placed == len(ours)
    executions = 0
    for name in ours[:6]:
        story = explain_from_session(name, session)
        told = kinds(story)
        assert () == story.notes
        assert {"book", "signal", "verdict", "command", "sent", "reply"} <= set(told)
        assert told.index("command") < told.index("sent")
        assert told.count("execution") == told.count("ledger")
        executions += told.count("ledger")
        assert {"passed", "reduced"} >= {check.outcome for check in story.checks}
        assert all(line.event_id for line in story.lines)
    assert 0 < executions <= figures.fills


async def test_explain_when_an_answer_was_lost_then_says_so_and_shows_the_question(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS[:1]) as running:
        settings = settings_for(running, tmp_path, SYMBOLS[:1])
        async with trading(settings) as trader:
            await until(lambda: trader.engine.is_synced(next(iter(trader._instruments))), "a book")
            await strike(running, kind="reply_dropped", topic="order.create", category="linear")
            await until(lambda: trader.engine.summary().queries >= 1, "a question")
    session = tmp_path / "session"
    stories = [
        explain_from_session(name, session) for name in ids_in(session) if ClientIds.is_ours(name)
    ]
    (story,) = [one for one in stories if "query" in kinds(one)]
    told = kinds(story)
    assert "sent" in told
    (lost,) = [one.text for one in story.lines if one.kind == "reply"]
    assert "create: unknown (code 0: no answer in time)" == lost
    assert told.index("sent") < told.index("reply") < told.index("query")
