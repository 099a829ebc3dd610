"""The live screen: it fits, it shows what matters, and no terminal holds up who calls it."""

import io
import threading
import time

import pytest
from rich.console import Console

from tests.unit.app.shots import book, engine, position, protection, shot, strategy
from tickwright.app.progress import Frame, ProgressLines, mode_banner
from tickwright.app.screen import LiveScreen, Painter
from tickwright.app.trader_snapshot import TraderSnapshot

BOOKS = tuple(book(f"S{number:02}USDT", updates=number) for number in range(50))


def _frame(found: TraderSnapshot | None = None, **changes: object) -> Frame:
    return Frame(shot=found or shot(), seconds_left=20.0, **changes)  # type: ignore[arg-type]


def _lines(frame: Frame, width: int = 140, height: int = 45) -> list[str]:
    return Painter().paint(frame, width, height).plain.splitlines()


@pytest.mark.parametrize("count", [1, 2, 49, 50])
@pytest.mark.parametrize("height", [24, 40, 70, 120])
def test_paint_when_any_size_then_never_taller_than_the_terminal(count: int, height: int):
    frame = _frame(
        shot(books=BOOKS[:count]),
        remarks=("one", "two", "three"),
        labels={"S01USDT": "real Bybit recording"},
    )
    assert len(_lines(frame, height=height)) <= height


def test_paint_when_terminal_is_small_then_rest_of_the_books_is_counted():
    frame = _frame(shot(books=(*BOOKS[:-1], book("LATEUSDT", state="stale", updates=0))))
    text = "\n".join(_lines(frame, height=34))
    assert "more books, all synced" in text
    assert "LATEUSDT" in text


def test_paint_when_hidden_books_are_not_synced_then_said_so():
    books = tuple(book(f"S{number:02}USDT", state="stale") for number in range(50))
    text = "\n".join(_lines(_frame(shot(books=books)), height=30))
    assert "of them not synced" in text


def test_paint_when_positions_are_held_then_they_are_among_the_shown_with_their_profit():
    held = engine(positions=(position("S00USDT", size="-1.5", unrealised="2.25"),))
    lines = _lines(_frame(shot(books=BOOKS, engine=held)), height=30)
    row = next(line for line in lines if line.startswith("S00USDT"))
    assert ("-1.5" in row, "+2.250" in row) == (True, True)


def test_paint_when_a_market_is_recorded_then_it_stands_first_with_its_origin():
    frame = _frame(
        shot(books=BOOKS), labels={"S03USDT": "real Bybit recording", "S04USDT": "synthetic"}
    )
    lines = _lines(frame, height=30)
    first = lines[next(i for i, line in enumerate(lines) if line.startswith("symbol")) + 1]
    assert ("S03USDT", True) == (first.split()[0], first.endswith("real Bybit recording"))
    assert any("S03USDT real Bybit recording; 1 synthetic" in line for line in lines)


def test_paint_when_refused_then_reasons_and_the_last_sentence_show():
    text = "\n".join(_lines(_frame()))
    assert "rate_limit 2" in text
    assert "BTCUSDT long z -3 -> exposure_limit: 1,500 against 1,000" in text


def test_paint_when_the_venue_clears_its_stops_then_that_noise_is_left_out():
    text = "\n".join(_lines(_frame()))
    assert ("Deactivated" in text, "BTCUSDT tw1 filled: fill" in text) == (False, True)


def test_paint_when_something_halted_then_it_is_named():
    halted = engine(strategies=(strategy("fast", halt="it raised: ValueError"),))
    assert any(
        "halted  fast: it raised: ValueError" in line
        for line in _lines(_frame(shot(engine=halted)))
    )


def test_paint_when_protections_stand_then_the_strictest_first_with_what_is_left():
    rows = [protection(f"cooldown@s{n}", until_ns=5 * 10**9 + 1) for n in range(4)]
    held = engine(
        protections=(*rows, protection("drawdown@bybit:demo", state="halted", until_ns=None))
    )
    lines = _lines(_frame(shot(engine=held)))
    first = next(n for n, line in enumerate(lines) if "@" in line)
    assert (
        "  halted  drawdown@bybit:demo (a person must lift it): 3 of them; at most 2"
        == (lines[first])
    )
    assert "reducing  cooldown@s0 (5 s left)" in lines[first + 1]
    assert "+ 2 more protections" in lines[first + 3]


def test_paint_when_second_frame_then_rates_are_of_the_time_between():
    painter = Painter()
    painter.paint(_frame(shot(seconds=10.0, messages=1_000)), 140, 40)
    text = painter.paint(_frame(shot(seconds=12.0, messages=5_000)), 140, 40).plain
    assert "2,000 messages/s" in text


def test_paint_when_equity_is_unknown_then_never_zero():
    unknown = engine(
        accounts=tuple(
            type(one)(
                account=one.account, is_ready=False, equity=None, exposure=None, day_loss=None
            )
            for one in engine().accounts
        )
    )
    text = "\n".join(_lines(_frame(shot(engine=unknown))))
    assert ("equity unknown" in text, "not ready" in text) == (True, True)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("simulator", "SIMULATOR: no real market, no real money"),
        ("demo", "DEMO ACCOUNT: the real market, the venue's paper money"),
        ("paper", "PAPER: live data, orders matched in this process, no money"),
        ("mainnet", "MAINNET: REAL MONEY"),
        ("mainnet+simulator", "MAINNET: REAL MONEY + SIMULATOR: no real market, no real money"),
    ],
)
def test_banner_when_mode_then_in_words_the_most_serious_first(mode: str, words: str):
    assert words == mode_banner(mode)


class StoppedTerminal(io.StringIO):
    """A terminal whose reader has stopped it: writing waits."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.is_waited_for = threading.Event()

    def write(self, text: str) -> int:
        if not self.goes_on.is_set():
            self.is_waited_for.set()
        self.goes_on.wait(10.0)
        return super().write(text)

    def isatty(self) -> bool:
        return True


def test_live_screen_when_terminal_is_stopped_then_show_does_not_wait():
    terminal = StoppedTerminal()
    terminal.goes_on.set()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=100, height=30))
    terminal.goes_on.clear()
    screen.show(_frame())
    assert terminal.is_waited_for.wait(30.0)
    began_s = time.monotonic()
    for _ in range(100):
        screen.show(_frame())
    shown_s = time.monotonic() - began_s
    terminal.goes_on.set()
    screen.close()
    # One that waited would wait for ever.
    assert shown_s < 10.0


def test_live_screen_when_closed_then_the_frame_is_gone_and_the_cursor_back():
    terminal = StoppedTerminal()
    terminal.goes_on.set()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=100, height=30))
    screen.show(_frame())
    deadline = time.monotonic() + 30.0
    while "BTCUSDT" not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    screen.close()
    assert "BTCUSDT" in terminal.getvalue()
    assert terminal.getvalue().rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


def test_progress_when_not_a_terminal_then_plain_lines_not_more_often_than_asked():
    file = io.StringIO()
    lines = ProgressLines(file, every_s=60.0)
    for _ in range(5):
        lines.show(_frame(shot(engine=engine(accounts=(), positions=()))))
    lines.say("t=1 s: cut")
    assert (
        "  10.0 of 30 s    2000 messages/s  2/2 books synced  10 signals  2 refused  6 orders  "
        "8 fills\nt=1 s: cut\n"
    ) == file.getvalue()
    assert "\x1b" not in file.getvalue()
