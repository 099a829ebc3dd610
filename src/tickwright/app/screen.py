"""Owns the live screen of a run on a terminal; refuses to hold up trading.

The trading loop hands over a finished snapshot and goes on. A thread lays the lines out and writes
them, so that a stopped terminal (Ctrl-S) or a slow link stops the drawing alone; a snapshot that
comes while one is being drawn replaces the one that waits. The rows are laid out by hand and handed
to rich as one text: its tables would cost several times as much.
"""

import threading
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tickwright.app.progress import Frame, mode_banner
from tickwright.app.trader_snapshot import BookLine, TraderSnapshot

__all__ = ["LiveScreen", "Painter"]

TAIL_ROWS = 3
"""Lines each of signals, refusals and remarks below the books."""
BAR_HALF = 4
AGE_OLD_MS = 2_000.0
REASONS_SHOWN = 4


class Painter:
    """Turns frames into text; keeps what rates need."""

    def __init__(self) -> None:
        self._updates: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._seconds = 0.0
        self._messages = 0
        self._rate = 0.0
        self._cpu = 0.0
        self._share = 0.0

    def paint(self, frame: Frame, width: int, height: int) -> Text:
        """Return at most `height` lines of at most `width` columns."""
        self._measure(frame.shot)
        text = Text(no_wrap=True, overflow="crop", end="")
        head = self._head(frame, width)
        tail = self._tail(frame)
        room = max(1, height - len(head) - len(tail) - 3)
        for line in head:
            text.append_text(line)
            text.append("\n")
        self._books(text, frame, width, room)
        for line in tail:
            text.append("\n")
            text.append_text(line)
        return text

    def _measure(self, shot: TraderSnapshot) -> None:
        since_s = shot.seconds - self._seconds
        if since_s < 0.05:
            return
        self._rate = (shot.messages - self._messages) / since_s
        self._share = (shot.cpu_seconds - self._cpu) / since_s
        for line in shot.books:
            before = self._updates.get(line.symbol, line.updates)
            self._rates[line.symbol] = (line.updates - before) / since_s
            self._updates[line.symbol] = line.updates
        self._messages, self._seconds, self._cpu = shot.messages, shot.seconds, shot.cpu_seconds

    # above the books ------------------------------------------------------------------------------

    def _head(self, frame: Frame, width: int) -> list[Text]:
        shot = frame.shot
        engine = shot.engine
        is_real = "mainnet" in shot.mode
        title = Text(" tickwright ", "bold reverse")
        banner = mode_banner(shot.mode, shot.market)
        title.append(f" {banner} ", "bold white on red" if is_real else "bold cyan")
        if frame.is_ending:
            title.append("  ending in order", "bold yellow")
        elif frame.seconds_left is None:
            title.append(f"  {shot.seconds:.0f} s, Ctrl-C ends", "dim")
        else:
            title.append(f"  {frame.seconds_left:.0f} s left", "bold")
            title.append(", Ctrl-C ends", "dim")
        synced = shot.books_synced == len(shot.books)
        market = _labelled("market")
        market.append(f"{self._rate:,.0f} messages/s  ")
        market.append(
            f"{shot.books_synced}/{len(shot.books)} books synced", "green" if synced else "yellow"
        )
        market.append(
            f"  {shot.gaps} gaps  {shot.resyncs} resyncs  {shot.reconnects} reconnects  "
            f"{shot.trades:,} trades"
        )
        speed = _labelled("p50/p99")
        speed.append(f"tick to order {_pair(shot.tick_to_order_us)}", "bold")
        speed.append(
            f"  read to strategy {_pair(shot.callback_us)}  feed {_pair_ms(shot.feed_ms)}  "
            f"CPU {self._share:.0%}"
        )
        signals = sum(one.signals for one in engine.strategies)
        exits = sum(one.exits for one in engine.strategies)
        trading = _labelled("trading")
        trading.append(
            f"{signals} signals  {exits} exits  {engine.orders_placed} orders "
            f"({engine.orders_live} live)  {engine.fills} fills  {frame.stop_losses} stop losses  "
            f"{frame.take_profits} take profits"
        )
        refusals = _refusals(shot)
        refused = _labelled("refused")
        refused.append(f"{sum(refusals.values())}", "yellow" if refusals else "")
        refused.append(f"  {_top(refusals)}" if refusals else "", "dim")
        money = self._money(shot)
        return [title, market, speed, trading, refused, *money, *_origins(frame), *_halts(shot)]

    def _money(self, shot: TraderSnapshot) -> Iterable[Text]:
        positions = shot.engine.positions
        realised = float(sum(one.realised for one in positions))
        unrealised = float(sum(one.unrealised or 0 for one in positions))
        fees = float(sum(fee for one in positions for fee in one.fees.values()))
        for account in shot.engine.accounts:
            line = _labelled("money")
            if not account.is_ready:
                line.append("not ready: the account is being read  ", "yellow")
            equity, exposure = account.equity, account.exposure
            line.append("equity unknown" if equity is None else f"equity {equity:,.2f}", "bold")
            if exposure is not None and equity:
                line.append(f"  exposure {exposure:,.0f} ({exposure / equity:.0%})")
            yield line
        line = _labelled("PnL")
        for name, value in (("realised", realised), ("unrealised", unrealised)):
            line.append(f"{name} ")
            line.append(f"{value:+.2f}  ", _sign(value))
        line.append(f"fees {fees:.2f}  net ")
        net = realised + unrealised - fees
        line.append(f"{net:+.2f}", f"bold {_sign(net)}".strip())
        yield line

    # the books ------------------------------------------------------------------------------------

    def _books(self, text: Text, frame: Frame, width: int, room: int) -> None:
        shot = frame.shot
        held: dict[str, tuple[float, float]] = {}
        for one in shot.engine.positions:
            if one.size:
                symbol = one.instrument.rpartition(":")[2]
                size, pnl = held.get(symbol, (0.0, 0.0))
                held[symbol] = (size + float(one.size), pnl + float(one.unrealised or 0))
        # Recorded markets first, then what is held or in trouble, then the busiest.
        ranked = sorted(
            shot.books,
            key=lambda book: (
                _RECORDED not in frame.labels.get(book.symbol, ""),
                book.symbol not in held and book.state == "synced",
                -book.updates,
            ),
        )
        shown = ranked[: room if len(ranked) <= room else max(1, room - 1)]
        text.append(_HEAD[:width] + "\n", "bold underline")
        for book in shown:
            self._row(text, book, held.get(book.symbol), frame.labels.get(book.symbol, ""))
        rest = ranked[len(shown) :]
        if rest:
            bad = sum(1 for book in rest if book.state != "synced")
            words = "all synced" if not bad else f"{bad} of them not synced"
            text.append(f"+ {len(rest)} more books, {words}\n", "yellow" if bad else "dim")

    def _row(
        self, text: Text, book: BookLine, held: tuple[float, float] | None, label: str
    ) -> None:
        is_synced = book.state == "synced"
        age = "-" if book.age_ms is None else f"{book.age_ms / 1e3:.2f}"
        old = book.age_ms is not None and book.age_ms > AGE_OLD_MS
        spread = "-" if book.spread_percent is None else f"{book.spread_percent * 100:.2f}"
        text.append(f"{book.symbol:<13.13}", "bold" if held else "")
        text.append(f"{book.state:<9.9}", "green" if is_synced else "bold yellow")
        text.append(f"{age:>6}", "yellow" if old else "")
        text.append(f"{book.bid or '-':>12}", "green")
        text.append(f"{book.ask or '-':>12}", "red")
        text.append(f"{spread:>8}{self._rates.get(book.symbol, 0.0):>7.0f} ")
        _imbalance(text, book.imbalance)
        if held is None:
            text.append(" " * 23)
        else:
            size, pnl = held
            text.append(f"{size:>+13.6g}", "bold " + _sign(size))
            text.append(f"{pnl:>+10.3f}", _sign(pnl))
        text.append(f"  {label}\n", "dim")

    # below the books ------------------------------------------------------------------------------

    def _tail(self, frame: Frame) -> list[Text]:
        shot = frame.shot
        lines: list[Text] = []
        for name, style, found in (
            ("signal", "green", shot.last_signals),
            ("refused", "yellow", shot.last_refusals),
            ("order", "dim", shot.notes),
        ):
            # What the venue does by itself beside an order (arming, the other stop) is noise here.
            told = [row for row in found if not any(word in row for word in _NOISE)]
            rows = [row.removeprefix(f"{name} ") for row in told[-TAIL_ROWS:]]
            rows += [""] * (TAIL_ROWS - len(rows))
            lines += [Text.assemble((f"{name:>8}  ", "dim"), (row, style)) for row in rows]
        lines += [Text(f"{'':>8}  {remark}", "bold magenta") for remark in frame.remarks]
        return lines


_RECORDED = "recording"
_NOISE = ("Deactivated", " triggered: ", "create accepted", "account.connected")
_HEAD = (
    f"{'symbol':<13}{'state':<9}{'age s':>6}{'bid':>12}{'ask':>12}{'bps':>8}{'upd/s':>7} "
    f"{'imbalance':^9}{'position':>13}{'PnL':>10}  market"
).ljust(240)


class LiveScreen:
    """Shows frames on a terminal until it is closed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._painter = Painter()
        self._live = Live(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._ready = threading.Condition()
        self._frame: Frame | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)
        self._live.start()
        self._thread.start()

    def show(self, frame: Frame) -> None:
        """Hand a frame over; the newest one is drawn."""
        with self._ready:
            self._frame = frame
            self._ready.notify()

    def say(self, text: str) -> None:
        """Remarks stand in the frames: nothing to add."""

    def close(self) -> None:
        """End the drawing and give the terminal back; a stopped one is waited for."""
        with self._ready:
            self._is_closed = True
            self._ready.notify()
        self._thread.join()
        self._live.stop()

    def _work(self) -> None:
        while True:
            with self._ready:
                while self._frame is None and not self._is_closed:
                    self._ready.wait()
                frame, self._frame = self._frame, None
                if self._is_closed or frame is None:
                    return
            size = self._console.size
            text = self._painter.paint(frame, size.width, size.height - 1)
            self._live.update(text, refresh=True)


def _origins(frame: Frame) -> Iterable[Text]:
    """Say which markets are recorded, and that the others are made up."""
    found = [f"{name} {what}" for name, what in frame.labels.items() if _RECORDED in what]
    if frame.labels:
        line = _labelled("origin")
        others = len(frame.labels) - len(found)
        line.append("; ".join([*found, f"{others} synthetic"] if others else found), "dim")
        yield line


def _labelled(name: str) -> Text:
    return Text(f"{name:>8}  ", "dim", end="")


def _imbalance(text: Text, value: float | None) -> None:
    if value is None:
        text.append(" " * (2 * BAR_HALF + 1), "dim")
        return
    length = min(BAR_HALF, round(abs(value) * BAR_HALF))
    if value >= 0:
        text.append(" " * BAR_HALF + "|")
        text.append("█" * length + " " * (BAR_HALF - length), "green")
    else:
        text.append(" " * (BAR_HALF - length) + "█" * length, "red")
        text.append("|" + " " * BAR_HALF)


def _refusals(shot: TraderSnapshot) -> dict[str, int]:
    total: dict[str, int] = {}
    for strategy in shot.engine.strategies:
        for reason, count in strategy.refusals.items():
            total[reason] = total.get(reason, 0) + count
    return total


def _top(refusals: dict[str, int]) -> str:
    ranked = sorted(refusals.items(), key=lambda item: -item[1])
    words = [f"{name} {count}" for name, count in ranked[:REASONS_SHOWN]]
    return ", ".join(words) + (", ..." if len(ranked) > REASONS_SHOWN else "")


def _halts(shot: TraderSnapshot) -> Iterable[Text]:
    engine = shot.engine
    found = {one.strategy_id: one.halt_reason for one in engine.strategies if one.halt_reason}
    found |= engine.halted_instruments
    if engine.engine_halt:
        found["engine"] = engine.engine_halt
    for name, reason in list(found.items())[:TAIL_ROWS]:
        yield Text(f"  halted  {name}: {reason}", "bold red")
    # The strictest first; all of them stand in the log and in the report.
    rows = sorted(engine.protections, key=lambda row: (row.state != "halted", -row.since_ns))
    for row in rows[:TAIL_ROWS]:
        style = "bold red" if row.state == "halted" else "yellow"
        left = "a person must lift it"
        if row.until_ns is not None:
            left = f"{max(0, row.until_ns - engine.now_ns) / 1e9:.0f} s left"
        yield Text(f"{row.state:>8}  {row.name} ({left}): {row.reason}", style)
    if len(rows) > TAIL_ROWS:
        yield Text(f"{'':>8}  + {len(rows) - TAIL_ROWS} more protections", "yellow")


def _pair(found: dict[str, float]) -> str:
    if not found:
        return "-"
    return f"{_us(found['p50'])}/{_us(found['p99'])}"


def _pair_ms(found: dict[str, float]) -> str:
    return "-" if not found else f"{found['p50']:.1f}/{found['p99']:.1f} ms"


def _us(value: float) -> str:
    return f"{value / 1e3:.1f} ms" if value >= 1_000 else f"{value:.0f} µs"


def _sign(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""
