"""Owns a whole run from a configuration: venues, trader, screen, report; refuses to decide.

`run_trader` is `tickwright run`; `trade` is also what the demo runs. The end is the same for every
reason: nothing is opened any more, orders are cancelled, the ledger is compared with the venue's,
and then the sockets go.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from tickwright.app.config import Config
from tickwright.app.ledger_check import LedgerCheck, LedgerWatch
from tickwright.app.logs import RunLog
from tickwright.app.notice_log import log_notice
from tickwright.app.progress import Frame, Screen
from tickwright.app.report import Brackets, CutReport, RunReport, count_bracket, make_report
from tickwright.app.settings import simulator_arguments, trader_settings
from tickwright.app.simulator_console import SimulatorConsole
from tickwright.app.simulator_process import simulated_venue
from tickwright.app.supervisor import Life, supervise
from tickwright.app.trader import Trader, TraderSnapshot
from tickwright.core.commands import Notice
from tickwright.core.errors import ConnectionLost, FrameError
from tickwright.feed.feed import PublicFeed
from tickwright.net.listener import utc_now_ns
from tickwright.venues.bybit.hosts import Hosts

__all__ = ["RunPlan", "open_log", "run_plan", "run_trader", "trade"]

T = TypeVar("T")

SHOW_EVERY_S = 0.5
LABELS_EVERY_S = 2.0
LOOK_S = 0.002
CUT_WAIT_S = 10.0
"""A cut whose books aren't valid again by then is reported as not healed."""
REMARKS_MAX = 50
SESSION_BYTES_MAX = 8 * 1024**3
"""A session log stops growing there, and the report says that it isn't whole; trading goes on."""
UNSOUND = 1
"""Exit code of a run that broke, or whose ledger differs from the venue's."""
_RECORDING = "recording"


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does besides its configuration. `cut_at_s`: reset the simulated public sockets."""

    verb: str
    seconds: float | None
    started_ns: int
    cut_at_s: float | None = None
    session_bytes_max: int = SESSION_BYTES_MAX


class _Run:
    """One run's parts and what they tell."""

    def __init__(self, config: Config, plan: RunPlan, log: RunLog, screen: Screen) -> None:
        self.config = config
        self.plan = plan
        self.log = log
        self.screen = screen
        self.consoles: list[SimulatorConsole] = []
        self.labels: dict[str, str] = {}
        self.brackets = Brackets()
        self.remarks: list[str] = []
        self.ledger: list[LedgerCheck] = []
        self.cut: CutReport | None = None
        self.is_ending = False
        self.fault = ""
        self.log_fault = ""
        self.trader: Trader
        self.last: TraderSnapshot

    async def go(self, life: Life) -> RunReport:
        """Start everything, trade, end in order."""
        async with contextlib.AsyncExitStack() as stack:
            watch = await _unless_stopping(self._begin(stack), life)
            async with _beside(self._show(watch), self._read_labels(), self._cut_once()):
                ending = asyncio.create_task(self._stop_when(life))
                try:
                    await self.trader.run(
                        self.plan.seconds, before_end=lambda: self._compare(watch)
                    )
                finally:
                    ending.cancel()
        folder = self.trader.settings.session_folder
        return make_report(
            self.last,
            verb=self.plan.verb,
            started_ns=self.plan.started_ns,
            ended_by=self.fault or life.signal_name or "time",
            is_broken=bool(self.fault),
            labels=self.labels,
            brackets=self.brackets,
            ledger=self.ledger,
            cut=self.cut,
            session=None if folder is None else str(folder),
            asset=self.config.file.run.equity_asset,
        )

    async def _begin(self, stack: contextlib.AsyncExitStack) -> LedgerWatch:
        simulated = await self._start_simulators(stack)
        settings = trader_settings(self.config, now_ns=self.plan.started_ns, simulated=simulated)
        settings = msgspec.structs.replace(settings, session_bytes_max=self.plan.session_bytes_max)
        self.trader = Trader(settings, on_note=self._note, on_notice=self._notice)
        stack.push_async_callback(self.trader.close)
        await self.trader.start()
        # What is loaded by now stays: no collection need look at it again while the loop waits.
        gc.collect()
        gc.freeze()
        return LedgerWatch(self.trader.engine)

    async def _start_simulators(self, stack: contextlib.AsyncExitStack) -> dict[str, Hosts]:
        used = {account.venue for account in self.config.file.accounts.values()}
        simulated: dict[str, Hosts] = {}
        for name, venue in self.config.file.venues.items():
            if name in used and venue.starts_simulator:
                arguments = simulator_arguments(self.config, name)
                hosts = await stack.enter_async_context(
                    simulated_venue(arguments, on_end=self._simulator_ended)
                )
                simulated[name] = hosts
                console = SimulatorConsole(hosts)
                stack.push_async_callback(console.aclose)
                self.consoles.append(console)
        return simulated

    async def _stop_when(self, life: Life) -> None:
        await life.stopping.wait()
        self._remark(f"{life.signal_name}: ending in order; once more ends at once")
        self.trader.stop()

    async def _compare(self, watch: LedgerWatch) -> None:
        self.is_ending = True
        for account in self.trader.settings.accounts:
            client = self.trader.clients[account.account_id]
            self.ledger.append(await watch.check(account.account_id, client, account.categories))
        self.trader.take_notices()
        self.last = self.trader.snapshot()

    def _simulator_ended(self, words: str) -> None:
        self.fault = words
        self._remark(words)
        if hasattr(self, "trader"):
            self.trader.stop()

    # beside the trading -------------------------------------------------------------------------

    async def _show(self, watch: LedgerWatch) -> None:
        next_s = time.monotonic()
        while True:
            watch.remember()
            if time.monotonic() >= next_s:
                next_s += SHOW_EVERY_S
                self.screen.show(self._frame())
                if self.trader.log_fault != self.log_fault:
                    self.log_fault = self.trader.log_fault
                    self._remark(f"the session log isn't whole any more: {self.log_fault}")
            # Often at first: the ledger's base must be noted before much has happened.
            await asyncio.sleep(0.02 if not watch.is_complete else SHOW_EVERY_S / 4)

    def _frame(self) -> Frame:
        shot = self.trader.snapshot()
        seconds = self.plan.seconds
        return Frame(
            shot=shot,
            seconds_left=None if seconds is None else max(0.0, seconds - shot.seconds),
            labels=self.labels,
            remarks=tuple(self.remarks[-3:]),
            stop_losses=self.brackets.stop_losses + shot.engine.stops_hit,
            take_profits=self.brackets.take_profits + shot.engine.takes_hit,
            is_ending=self.is_ending,
        )

    async def _read_labels(self) -> None:
        while self.consoles:
            for console in self.consoles:
                with contextlib.suppress(ConnectionLost, FrameError):
                    self._take_labels(await console.labels())
            await asyncio.sleep(LABELS_EVERY_S)

    def _take_labels(self, labels: dict[str, str]) -> None:
        traded = {symbol for feed in self.trader.feeds for symbol in feed.symbols}
        for name, label in labels.items():
            symbol = name.rpartition(":")[2]
            if symbol not in traded:
                continue
            before = self.labels.get(symbol, "")
            if _RECORDING not in label:
                # What was recorded so far was real, whatever follows it.
                if before.startswith("real "):
                    head = before.partition(", then ")[0]
                    self.labels[symbol] = f"{head}, then {label}"
                    continue
                self.labels[symbol] = label
            else:
                self.labels[symbol] = f"real {label}"

    async def _cut_once(self) -> None:
        at_s = self.plan.cut_at_s
        if at_s is None or not self.consoles or not self.trader.feeds:
            return
        await asyncio.sleep(at_s)
        feed = self.trader.feeds[0]
        books = len(feed.symbols)
        drops = _drops(feed)
        try:
            await self.consoles[0].cut_public(feed.options.category)
        except (ConnectionLost, FrameError) as error:
            self._remark(f"the simulator couldn't be asked to cut the socket: {error}")
            return
        if not await _until(lambda: _drops(feed) > drops):
            self._remark("the simulator was asked to cut the public socket and didn't")
            return
        began_s = time.monotonic()
        at_s = self.trader.seconds
        self._remark(f"t={at_s:.1f} s: the simulator cut the public socket, as the demo asked")
        is_valid = await _until(lambda: feed.is_all_synced)
        valid_ms = round((time.monotonic() - began_s) * 1e3, 1) if is_valid else None
        self.cut = CutReport(at_s=round(at_s, 3), books=books, valid_after_ms=valid_ms)
        if valid_ms is not None:
            self._remark(f"t={at_s:.1f} s: all {books} books valid again after {valid_ms:.0f} ms")

    # what the parts tell ------------------------------------------------------------------------

    def _note(self, event: str, text: str) -> None:
        self.log.note(event, text)

    def _notice(self, notice: Notice) -> None:
        count_bracket(self.brackets, notice)
        log_notice(self.log, notice)

    def _remark(self, text: str) -> None:
        clean = self.log.clean(text)
        self.remarks = [*self.remarks[1 - REMARKS_MAX :], clean]
        self.log.note("run.remark", clean)
        self.screen.say(clean)


async def trade(
    config: Config, plan: RunPlan, life: Life, *, log: RunLog, screen: Screen
) -> RunReport:
    """Trade what a configuration says and return the report.

    Raises:
        TickwrightError: a venue can't be reached, refuses a key, lists no such symbol.
    """
    return await _Run(config, plan, log, screen).go(life)


def open_log(config: Config, *, started_ns: int, is_quiet: bool) -> RunLog:
    """Open the log of a run in its session's folder; it knows the accounts' secrets.

    Raises:
        StorageError: the file can't be opened.
    """
    settings = trader_settings(config, now_ns=started_ns)
    secrets = [
        secret
        for key in config.keys.values()
        for secret in (key.api_secret.get_secret_value(), key.api_key)
    ]
    return RunLog(
        settings.session_folder or config.session_dir(),
        secrets=secrets,
        level=config.file.run.log_level,
        console=None if is_quiet else sys.stderr,
    )


def run_trader(
    config: Config,
    *,
    seconds: float | None,
    make_screen: Callable[[], Screen],
    is_quiet: bool,
) -> tuple[int, RunReport | None]:
    """Run a configuration to its end; returns the exit code and the report.

    The code is 1 when the run broke or the ledger differs. The report is None when it was ended at
    once. `is_quiet` keeps the log off stderr.

    Raises:
        TickwrightError: the fault of the world that ended it.
    """
    plan = RunPlan(verb="run", seconds=seconds, started_ns=utc_now_ns())
    return run_plan(config, plan, make_screen=make_screen, is_quiet=is_quiet)


def run_plan(
    config: Config, plan: RunPlan, *, make_screen: Callable[[], Screen], is_quiet: bool
) -> tuple[int, RunReport | None]:
    """Run a plan under the supervisor; see `run_trader`."""
    reports: list[RunReport] = []
    log = open_log(config, started_ns=plan.started_ns, is_quiet=is_quiet)
    with contextlib.closing(log), contextlib.closing(make_screen()) as screen:
        log.take_standard_logging()

        async def main(life: Life) -> int:
            reports.append(await trade(config, plan, life, log=log, screen=screen))
            return 0

        code = supervise(
            main,
            log=log,
            busy_poll=config.file.run.busy_poll,
            coalesce_us=config.file.run.coalesce_us,
        )
    if not reports:
        return code, None
    return code or (0 if reports[0].is_sound else UNSOUND), reports[0]


def _drops(feed: PublicFeed) -> int:
    return sum(connection.counts.drops for connection in feed.connections)


async def _until(is_true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + CUT_WAIT_S
    while not is_true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these while the block runs; a bug in one of them ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()


async def _unless_stopping(work: Coroutine[Any, Any, T], life: Life) -> T:
    """Return what the work returns; a signal meanwhile drops it, for there is nothing to end."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(life.stopping.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        return task.result()
    finally:
        stopping.cancel()
        task.cancel()
