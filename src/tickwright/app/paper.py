"""Owns paper trading: the venue that orders go to instead of the real one, inside this process.

It refuses to talk to anybody else: the private half of the simulated venue listens on loopback
alone, with keys made for this process, and its markets follow the live feed
(`simulator.mirror` says how). The whole live order path is used: account link, order socket,
private stream, REST. Public data comes from the real venue as ever.

The mirror never delays the strategy: what the feed delivered is taken over once per turn of the
loop, after the orders it caused were sent, trades before levels. Levels are copied only where an
order rests, or when one arrives.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from random import Random

from tickwright.app.door import EngineDoor
from tickwright.app.paper_file import PaperFile
from tickwright.app.paper_settings import PaperSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.events import (
    BookStateChanged,
    FundingUpdate,
    IndexPrice,
    Input,
    InstrumentChanged,
    LastPrice,
    MarkPrice,
    Trade,
)
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.engine.engine import Engine
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.mirror import Mirror, mirror_of
from tickwright.simulator.private.accounts import AccountSpec
from tickwright.simulator.private.half import mount_private
from tickwright.simulator.private.margin import SETTLE_ASSET
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.private.saved import (
    SavedVenue,
    read_saved,
    restore,
    saved_of,
    written,
)
from tickwright.simulator.server import SimulatorServer
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue
from tickwright.venues.bybit.hosts import Hosts, hosts_of
from tickwright.venues.bybit.sign import Credentials

__all__ = ["PaperDoor", "PaperVenue"]

SAVE_EVERY_S = 1.0
"""How much of the accounts' doings a killed process may lose."""
_HOST = "127.0.0.1"

_Told = Trade | MarkPrice | IndexPrice | LastPrice | FundingUpdate


class PaperVenue:
    """Accounts and markets of one paper run.

    Args:
        accounts: who trades: id and the credentials that its requests will be signed with.
        instruments: what is traded, as the real venue lists it.
        on_note: called with (event, text) for the log.

    Raises:
        ConfigError: an instrument that doesn't settle in USDT; a kept position that nobody trades.
        StorageError: the kept accounts can't be read.
    """

    def __init__(
        self,
        settings: PaperSettings,
        accounts: Sequence[tuple[AccountId, Credentials]],
        instruments: Iterable[Instrument],
        *,
        on_note: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._on_note = on_note
        start_ns = utc_now_ns()
        # Nothing here is left to chance but ids, which must not come again in the next run.
        rng = Random(start_ns)
        self.venue = SimulatedVenue([], [], rng=Random(rng.getrandbits(64)), start_ns=start_ns)
        self._mirrors: dict[InstrumentId, Mirror] = {}
        for instrument in instruments:
            _check(instrument)
            self._mirrors[instrument.id] = mirror_of(self.venue, instrument, self._pay_funding)
        self._file = None if settings.ledger is None else PaperFile(settings.ledger)
        saved = self._read()
        names = [account_id.name for account_id, _ in accounts]
        # Accounts of an earlier run that nobody trades now keep what they have.
        orphans = [] if saved is None else [n for n in saved.accounts if n not in names]
        self.whole = WholeVenue(
            self.venue,
            FaultBoard(Random(rng.getrandbits(64))),
            PrivateOptions(
                accounts=self._specs(accounts, saved, orphans),
                seed=rng.getrandbits(32),
                latency_ns=int(settings.latency_ms * 1e6),
                reply_delay_s=settings.reply_ms / 1e3,
                has_funding=False,
            ),
        )
        uids = dict(zip([*names, *orphans], self.whole.accounts.by_uid, strict=True))
        self._names = {uid: name for name, uid in uids.items()}
        if saved is not None:
            restore(self.whole, saved, uids)
        self._saved = b""
        self._save_number = 0
        self._server = SimulatorServer(self.whole)
        mount_private(self._server)
        for path in [one for one in self._server.websocket_paths if "/public/" in one]:
            # Nobody reads a market here: the levels are copied when they are needed, not published.
            del self._server.websocket_paths[path]
        self._events: list[tuple[Mirror, _Told]] = []
        self._due: dict[Mirror, None] = {}
        self._is_waking = False
        self.turn_count = 0
        note = "begins afresh" if saved is None else "goes on from the last run"
        if saved is not None and saved.held:
            note += f", holding {', '.join(sorted(saved.held))}"
        on_note("paper.account", f"the paper ledger {note}")

    def _specs(
        self,
        accounts: Sequence[tuple[AccountId, Credentials]],
        saved: SavedVenue | None,
        orphans: Sequence[str],
    ) -> tuple[AccountSpec, ...]:
        kept = {} if saved is None else saved.accounts
        return (
            *(
                AccountSpec(
                    credentials.api_key,
                    credentials.secret.reveal(),
                    () if one.name in kept else self._settings.balances[one.name],
                )
                for one, credentials in accounts
            ),
            *(AccountSpec(f"kept-{name}", secrets.token_hex(16), ()) for name in orphans),
        )

    def _read(self) -> SavedVenue | None:
        text = None if self._file is None or not self._settings.keeps else self._file.read()
        if text is None:
            return None
        saved = read_saved(text, where=str(self._settings.ledger))
        listed = {one.symbol for one in self._mirrors if one.category is not Category.SPOT}
        lost = sorted(saved.held - listed)
        if lost:
            raise ConfigError(
                f"the paper account holds {', '.join(lost)} from an earlier run, which no strategy "
                f"trades now: trade it, or begin afresh by removing {self._settings.ledger} "
                "(or paper.keep = false)"
            )
        return saved

    # running --------------------------------------------------------------------------------------

    async def start(self) -> Hosts:
        """Listen on loopback and return where the accounts are.

        Raises:
            ConfigError: no port is free.
        """
        try:
            rest, websocket = await self._server.start(_HOST, 0, 0, None)
        except OSError as error:
            raise ConfigError(f"the paper venue can't listen on {_HOST}: {error}") from None
        self._on_note("paper.ready", f"orders are matched in this process, port {websocket}")
        return hosts_of(
            None,
            rest_url=f"http://{_HOST}:{rest}",
            private_url=f"ws://{_HOST}:{websocket}/v5/private",
            trade_url=f"ws://{_HOST}:{websocket}/v5/trade",
        )

    async def run(self) -> None:
        """Keep the accounts on disk until cancelled; raises what went wrong inside the venue."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.wait_failed())
            while True:
                await asyncio.sleep(SAVE_EVERY_S)
                await self._save()

    async def stop(self) -> None:
        """Stop listening, and leave the accounts on disk. Safe to call twice."""
        await self._server.stop()
        await self._save()

    async def _save(self) -> None:
        """Write the accounts down when they changed."""
        if self._file is None:
            return
        text = written(saved_of(self.whole, self._names))
        if text == self._saved:
            return
        self._save_number += 1
        try:
            await asyncio.to_thread(self._file.write, self._save_number, text)
        except StorageError as error:
            self._on_note("paper.not_saved", str(error))
            return
        self._saved = text

    def _pay_funding(self, market: SymbolMarket, rate_e8: int) -> None:
        self.whole.desk.pay_funding(market, rate_e8)

    def door(
        self,
        engine: Engine,
        tap: InputTap | None,
        execute: Callable[[Sequence[Command]], None],
        *,
        depth: int,
    ) -> "PaperDoor":
        """Return the engine's door of this run."""
        return PaperDoor(engine, tap, execute, depth=depth, paper=self)

    # what the feed delivered ----------------------------------------------------------------------

    def mirror_of(self, instrument_id: InstrumentId) -> Mirror:
        """Return the market of an instrument."""
        return self._mirrors[instrument_id]

    def change_instrument(self, instrument: Instrument) -> None:
        """Hold orders to an instrument's new rules."""
        if not self._mirrors[instrument.id].change_instrument(instrument):
            self._on_note(
                "paper.units_changed", f"{instrument.id}: nothing fills there until a restart"
            )

    def follow(self, mirror: Mirror) -> None:
        """Let a market's resting orders see its changed levels, before the loop's next turn."""
        self._due[mirror] = None
        self._wake()

    def take(self, event: _Told) -> None:
        """Let a trade or a price reach a market, before the loop's next turn.

        A market nobody has an order in takes it at once: that is a few assignments.
        """
        mirror = self._mirrors.get(event.instrument_id)
        if mirror is None:
            return
        if mirror.book.has_hooks:
            self._events.append((mirror, event))
            self._wake()
        elif isinstance(event, Trade):
            mirror.on_trade(event)
        else:
            mirror.on_market(event)

    def _wake(self) -> None:
        if not self._is_waking:
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Take over what came since the last turn: trades and prices in order, then levels."""
        self._is_waking = False
        self.turn_count += 1
        events, self._events = self._events, []
        due, self._due = self._due, {}
        for mirror, event in events:
            if isinstance(event, Trade):
                mirror.on_trade(event)
            else:
                mirror.on_market(event)
        for mirror in due:
            mirror.follow()
        self._server.hurry()


class PaperDoor(EngineDoor):
    """The engine's door that also shows the paper venue what came in by the feed."""

    def __init__(
        self,
        engine: Engine,
        tap: InputTap | None,
        execute: Callable[[Sequence[Command]], None],
        *,
        depth: int,
        paper: PaperVenue,
    ) -> None:
        super().__init__(engine, tap, execute, depth=depth)
        self._paper = paper
        self._slots: list[Mirror | None] = []
        self.on_book = self._on_book

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """A book exists (empty yet)."""
        super().add_book(slot, book, source)
        self._slots += [None] * (slot + 1 - len(self._slots))
        mirror = self._paper.mirror_of(book.instrument_id)
        mirror.book.attach(book)
        self._slots[slot] = mirror

    def remove_book(self, slot: int) -> None:
        """A book is no longer kept."""
        super().remove_book(slot)
        self._slots[slot] = None

    def _on_book(self, slot: int, now_ns: int) -> Sequence[Command]:
        commands = self.engine.on_book(slot, now_ns)
        mirror = self._slots[slot]
        if mirror is not None and mirror.has_resting:
            self._paper.follow(mirror)
        return commands

    def on_derived(self, event: Input, now_ns: int) -> None:
        """An input that follows from a recorded frame or control."""
        super().on_derived(event, now_ns)
        if isinstance(event, BookStateChanged):
            self._paper.follow(self._paper.mirror_of(event.instrument_id))
        elif isinstance(event, _Told):
            self._paper.take(event)

    def on_input(self, event: Input, now_ns: int) -> None:
        """An input of its own: record it, then take it."""
        super().on_input(event, now_ns)
        if isinstance(event, InstrumentChanged):
            self._paper.change_instrument(event.instrument)


def _check(instrument: Instrument) -> None:
    if instrument.settle_asset != SETTLE_ASSET:
        raise ConfigError(
            f"paper mode trades what settles in {SETTLE_ASSET}; {instrument.id} settles in "
            f"{instrument.settle_asset}"
        )
