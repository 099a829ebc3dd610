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
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tickwright.app.config import Config
from tickwright.app.control import listen
from tickwright.app.history_open import history_secrets, open_history
from tickwright.app.history_tap import HistoryTap
from tickwright.app.kill_entries import KillEntries
from tickwright.app.kill_target import note_hosts
from tickwright.app.ledger_check import LedgerCheck, LedgerWatch
from tickwright.app.logs import RunLog
from tickwright.app.notice_log import log_notice
from tickwright.app.progress import Frame, Screen, mode_banner
from tickwright.app.redis_tap import open_mirror, redis_secrets
from tickwright.app.report import Brackets, CutReport, RunReport, count_bracket, make_report
from tickwright.app.settings import trader_settings
from tickwright.app.simulated_side import SimulatedSide
from tickwright.app.supervisor import Life, supervise
from tickwright.app.trader import Trader
from tickwright.app.trader_snapshot import TraderSnapshot
from tickwright.core.commands import Notice, SignalNotice
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.net.listener import utc_now_ns
from tickwright.storage.kill_order import read_kill_order
from tickwright.storage.redis_mirror import RedisMirror

__all__ = ["RunPlan", "open_log", "run_plan", "run_trader", "trade"]

T = TypeVar("T")

SHOW_EVERY_S = 0.5
REMARKS_MAX = 50
NOTES_SHOWN = 30
UNSOUND = 1
"""Exit code of a run that broke, or whose ledger differs from the venue's."""


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does besides its configuration. `cut_at_s`: reset the simulated public sockets."""

    verb: str
    seconds: float | None
    started_ns: int
    cut_at_s: float | None = None
    session_bytes_max: int | None = None
    """Bounds the session log below its configuration."""


class _Run:
    """One run's parts and what they tell."""

    def __init__(self, config: Config, plan: RunPlan, log: RunLog, screen: Screen) -> None:
        self.config = config
        self.plan = plan
        self.log = log
        self.screen = screen
        self.side = SimulatedSide(on_remark=self._remark, on_end=self._simulator_ended)
        self.brackets = Brackets()
        self.remarks: list[str] = []
        self.ledger: list[LedgerCheck] = []
        self.cut: CutReport | None = None
        self.is_ending = False
        self.fault = ""
        self.log_fault = ""
        self.mirror: RedisMirror | None = None
        self.history: HistoryTap | None = None
        self.kill: KillEntries
        self.trader: Trader
        self.last: TraderSnapshot

    async def go(self, life: Life) -> RunReport:
        """Start everything, trade, end in order."""
        async with contextlib.AsyncExitStack() as stack:
            watch = await _unless_stopping(self._begin(stack), life)
            async with _beside(
                self._show(watch),
                self._read_labels(),
                self._cut_once(),
                self._mirror_market(),
                self._write_history(),
            ):
                ending = asyncio.create_task(self._stop_when(life))
                try:
                    await self.trader.run(
                        self.plan.seconds, before_end=lambda: self._compare(watch)
                    )
                finally:
                    ending.cancel()
        if self.trader.killed:
            # The record comes a moment after the fence: by now it says who and why.
            order = read_kill_order(self.trader.settings.state_folder)
            self.fault = self.trader.killed if order is None else order.words()
            self.last = self._cleaned(self.trader.snapshot(has_results=True))
        folder = self.trader.settings.session_folder
        return make_report(
            self.last,
            verb=self.plan.verb,
            started_ns=self.plan.started_ns,
            ended_by=self.fault or life.signal_name or "time",
            is_broken=bool(self.fault),
            labels=self.side.labels,
            brackets=self.brackets,
            ledger=self.ledger,
            cut=self.cut,
            session=None if folder is None else str(folder),
            asset=self.config.file.run.equity_asset,
            redis=None if self.mirror is None else self.mirror.report(),
            history=None if self.history is None else self.history.report(),
        )

    async def _begin(self, stack: contextlib.AsyncExitStack) -> LedgerWatch:
        simulated = await self.side.start(self.config, stack)
        settings = trader_settings(self.config, now_ns=self.plan.started_ns, simulated=simulated)
        if (bytes_max := self.plan.session_bytes_max) is not None:
            kept = msgspec.structs.replace(settings.session_options, bytes_max=bytes_max)
            settings = msgspec.structs.replace(settings, session_options=kept)
        for name, hosts in simulated.items():
            note_hosts(settings.state_folder, name, hosts)
        self._listen_for_kill(settings.state_folder, stack)
        self.trader = Trader(settings, on_note=self._note, on_notice=self._notice)
        stack.push_async_callback(self.trader.close)
        await self.trader.start()
        self.mirror = open_mirror(
            self.config, self.trader, clean=self.log.clean, on_note=self._mirror_note
        )
        if self.mirror is not None:
            stack.push_async_callback(self.mirror.aclose)
        self.history = open_history(
            self.config, self.trader, clean=self.log.clean, on_note=self._mirror_note
        )
        if self.history is not None:
            stack.push_async_callback(self.history.aclose)
        if self.trader.paper_hosts is not None:
            self._remark(mode_banner(self.trader.mode, self.trader.market))
            for account in self.config.file.accounts.values():
                note_hosts(settings.state_folder, account.venue, self.trader.paper_hosts)
        await stack.enter_async_context(
            listen(
                settings.state_folder,
                summary=self.trader.engine.summary,
                act=self._told,
                note=self._note,
            )
        )
        # What is loaded by now stays: no collection need look at it again while the loop waits.
        gc.collect()
        gc.freeze()
        return LedgerWatch(self.trader.engine)

    def _listen_for_kill(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        entries = KillEntries(
            folder,
            [str(self.config.path)],
            rules=frozenset(self.config.file.kill.on),
            say=self._remark,
        )
        with contextlib.ExitStack() as listening:
            entries.listen(listening)
            stack.push(listening.pop_all())
        self.kill = entries

    def _told(self, command: OperatorCommand) -> None:
        """Take what a person says; to stop everything is to end the run."""
        self._remark(f"told to {command.verb.value} {command.scope}: {command.reason}")
        if command.verb is OperatorVerb.STOP and command.scope == "all":
            self.trader.stop()
        else:
            self.trader.door.on_input(command, utc_now_ns())

    async def _stop_when(self, life: Life) -> None:
        await life.stopping.wait()
        self._remark(f"{life.signal_name}: ending in order; once more ends at once")
        self.trader.stop()

    async def _compare(self, watch: LedgerWatch) -> None:
        self.is_ending = True
        for account in self.trader.settings.accounts:
            client = self.trader.clients[account.account_id]
            link = self.trader.links[account.account_id]
            check = await watch.check(
                account.account_id,
                client,
                account.categories,
                last_fault=link.counts.last_fault,
            )
            self.ledger.append(check)
        self.trader.take_notices()
        self.last = self._cleaned(self.trader.snapshot(has_results=True))

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
            self.kill.look()
            if time.monotonic() >= next_s:
                next_s += SHOW_EVERY_S
                self.screen.show(self._frame())
                if self.trader.log_fault != self.log_fault:
                    self.log_fault = self.trader.log_fault
                    self._remark(f"the session log isn't whole any more: {self.log_fault}")
            # Often at first: the ledger's base must be noted before much has happened.
            await asyncio.sleep(0.02 if not watch.is_complete else SHOW_EVERY_S / 4)

    def _frame(self) -> Frame:
        shot = self._cleaned(self.trader.snapshot())
        seconds = self.plan.seconds
        return Frame(
            shot=shot,
            seconds_left=None if seconds is None else max(0.0, seconds - shot.seconds),
            labels=self.side.labels,
            remarks=tuple(self.remarks[-3:]),
            stop_losses=self.brackets.stop_losses + shot.engine.stops_hit,
            take_profits=self.brackets.take_profits + shot.engine.takes_hit,
            is_ending=self.is_ending,
        )

    async def _read_labels(self) -> None:
        feeds = self.trader.feeds
        await self.side.read_labels({symbol for feed in feeds for symbol in feed.symbols})

    async def _mirror_market(self) -> None:
        if self.mirror is not None:
            await self.mirror.run()

    async def _write_history(self) -> None:
        if self.history is not None:
            await self.history.run()

    async def _cut_once(self) -> None:
        if self.plan.cut_at_s is not None and self.trader.feeds:
            await asyncio.sleep(self.plan.cut_at_s)
            self.cut = await self.side.cut(self.trader.feeds[0], lambda: self.trader.seconds)

    # what the parts tell ------------------------------------------------------------------------

    def _note(self, event: str, text: str) -> None:
        self.log.note(event, text)

    def _mirror_note(self, event: str, text: str) -> None:
        self._note(event, text)
        self.screen.say(f"{event} {self.log.clean(text)}")

    def _notice(self, notice: Notice) -> None:
        count_bracket(self.brackets, notice)
        if self.mirror is not None and isinstance(notice, SignalNotice):
            self.mirror.on_signal(notice)
        if self.history is not None:
            self.history.on_notice(notice)
        self.kill.on_notice(notice)
        log_notice(self.log, notice)

    def _cleaned(self, shot: TraderSnapshot) -> TraderSnapshot:
        """Put stars where a strategy's or a venue's words hold a secret."""
        clean = self.log.clean
        engine = shot.engine
        return msgspec.structs.replace(
            shot,
            notes=tuple(clean(note) for note in shot.notes[-NOTES_SHOWN:]),
            last_signals=tuple(map(clean, shot.last_signals)),
            last_refusals=tuple(map(clean, shot.last_refusals)),
            engine=msgspec.structs.replace(
                engine,
                engine_halt=clean(engine.engine_halt),
                halted_instruments={k: clean(v) for k, v in engine.halted_instruments.items()},
                strategies=tuple(
                    msgspec.structs.replace(
                        one,
                        halt_reason=clean(one.halt_reason),
                        last_refusals={k: clean(v) for k, v in one.last_refusals.items()},
                    )
                    for one in engine.strategies
                ),
                protections=tuple(
                    msgspec.structs.replace(row, reason=clean(row.reason))
                    for row in engine.protections
                ),
            ),
        )

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
    secrets += redis_secrets(config)
    secrets += history_secrets(config)
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
