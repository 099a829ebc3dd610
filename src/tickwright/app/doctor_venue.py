"""Owns the doctor's look at venues and keys; refuses to send any order.

Each socket is dialled once, by a client of its own, and left at once. What a venue answers to a
question is told in its words, with what helps.
"""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from tickwright.app.account_keys import read_kill_key
from tickwright.app.config import Config
from tickwright.app.doctor_lines import Findings
from tickwright.app.trader_settings import AccountSettings, TraderSettings
from tickwright.app.venue_kit import BybitKit
from tickwright.core.errors import ConfigError, InstrumentUnknown, TickwrightError, VenueError
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument, InstrumentStatus
from tickwright.core.nearest import nearest
from tickwright.net.listener import utc_now_ns
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.errors import remedy_of
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.port import KeyRights

__all__ = ["VenueDoctor"]

SKEW_MS_WARN = 500.0
EXPIRY_DAYS_WARN = 14.0
DIAL_S = 5.0
LOGIN_GOOD_MS = 10_000
_NEEDED = {
    Category.LINEAR: ("ContractTrade.Order", "ContractTrade.Position"),
    Category.SPOT: ("Spot.SpotTrade",),
}
_DAY_S = 86_400


class VenueDoctor:
    """Looks at one configured venue and the accounts there.

    `kit` asks it; `context` holds the certificates to trust, None for the system's.
    """

    def __init__(
        self,
        config: Config,
        settings: TraderSettings,
        kit: BybitKit,
        context: ssl.SSLContext | None,
        found: Findings,
    ) -> None:
        self._config = config
        self._settings = settings
        self._kit = kit
        self._context = context
        self._found = found
        self._instruments: dict[InstrumentId, Instrument] = {}

    async def look(self) -> None:
        """Clock, instruments, sockets; then each account."""
        if not await self._look_at_clock():
            self._found.skip("everything else", "the venue doesn't answer by REST")
            return
        await self._look_at_instruments()
        categories = [feed.options.category for feed in self._settings.feeds]
        for category in categories:
            await self._dial(
                f"public socket {category.value}", self._kit.hosts.public_url(category)
            )
        if self._settings.paper is not None:
            self._found.skip("accounts", "paper accounts live inside the run")
            return
        for account in self._settings.accounts:
            await self._look_at_account(account)
        limits = sorted(self._kit.budget.limits().items())
        told = ", ".join(f"{name} {limit}/s" for name, limit in limits)
        use = self._kit.budget.address_use(utc_now_ns())
        self._found.ok("rate limits", f"{told}; address {use.used} of {use.limit} in 5 s")

    # the venue ------------------------------------------------------------------------------------

    async def _look_at_clock(self) -> bool:
        try:
            await self._kit.measure_clock()
        except TickwrightError as error:
            self._found.fault("REST", error)
            return False
        self._found.ok("REST", f"{self._kit.hosts.rest} answers")
        clock = self._kit.clock
        skew_ms = clock.offset_ns / 1e6
        text = f"the venue is {skew_ms:+.1f} ms ahead of us, ± {clock.uncertainty_ns / 1e6:.1f} ms"
        bound_ms = self._config.engine.risk.clock_skew_ms_max
        remedy = "let NTP set the clock: `timedatectl set-ntp true`"
        if abs(skew_ms) > float(bound_ms):
            self._found.fail("clock", f"{text}; clock_skew_ms_max is {bound_ms}", remedy)
        elif abs(skew_ms) > SKEW_MS_WARN:
            self._found.warn("clock", text, remedy)
        else:
            self._found.ok("clock", text)
        return True

    async def _look_at_instruments(self) -> None:
        assert self._kit.market is not None, "it has answered"
        for feed in self._settings.feeds:
            category = feed.options.category
            try:
                listed = {i.symbol: i for i in await self._kit.market.instruments(category)}
            except TickwrightError as error:
                self._found.fault(f"instruments {category.value}", error)
                continue
            self._instruments |= {one.id: one for one in listed.values()}
            for symbol in feed.symbols:
                instrument = listed.get(symbol)
                name = f"{category.value} {symbol}"
                if instrument is None:
                    hint = nearest(symbol, listed, what="symbols")[:200]
                    self._found.fail(name, "is not listed there", hint)
                elif instrument.status is not InstrumentStatus.TRADING:
                    text = f"is {instrument.status.value}"
                    self._found.warn(name, text, "nothing is opened in it until it trades again")
                else:
                    self._found.ok(name, "trades")

    async def _dial(self, name: str, url: str, credentials: Credentials | None = None) -> None:
        """Open a socket, log in where it takes a key, and leave."""
        try:
            async with asyncio.timeout(DIAL_S):
                answer = await self._greet(url, credentials)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            words = str(error) or f"no answer in {DIAL_S:g} s"
            self._found.fail(name, f"{url}: {words}", "look at the line, its proxy and firewall")
            return
        if answer is None:
            self._found.ok(name, f"{url} opens")
        elif answer.is_good:
            self._found.ok(name, f"{url} opens and takes the key")
        else:
            remedy = remedy_of(answer.retCode) or "look at the key"
            self._found.fail(name, f"{url} refuses the key: {answer.words}", remedy)

    async def _greet(self, url: str, credentials: Credentials | None) -> "_Greeting | None":
        trusted: ssl.SSLContext | bool = True if self._context is None else self._context
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, ssl=trusted, max_msg_size=1_000_000) as socket,
        ):
            if credentials is None:
                return None
            good_until = self._kit.clock.venue_ms(utc_now_ns()) + LOGIN_GOOD_MS
            wish = {"reqId": "doctor", "op": "auth", "args": credentials.login_args(good_until)}
            await socket.send_str(msgspec.json.encode(wish).decode())
            while True:
                message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return _Greeting(success=False, ret_msg="the socket was closed")
                try:
                    read = msgspec.json.decode(message.data, type=_Greeting)
                except msgspec.MsgspecError:
                    return _Greeting(success=False, ret_msg=f"unreadable: {message.data[:80]!r}")
                if read.op == "auth":
                    return read

    # accounts -------------------------------------------------------------------------------------

    async def _look_at_account(self, account: AccountSettings) -> None:
        found = Findings(f"account {account.account_id}", self._found.lines)
        outer, self._found = self._found, found
        try:
            client = self._client(account, account.credentials)
            await self._look_at_key("key", client, account.categories)
            await self._look_at_terms(client, account)
            await self._dial("private socket", self._kit.hosts.private, account.credentials)
            if self._kit.hosts.trade:
                await self._dial("trade socket", self._kit.hosts.trade, account.credentials)
            else:
                found.ok("trade socket", "the venue has none here: orders go by REST")
            await self._look_at_kill_key(account)
        finally:
            self._found = outer

    def _client(self, account: AccountSettings, credentials: Credentials) -> BybitAccountClient:
        return self._kit.client(account.account_id, credentials, self._instrument_of)

    def _instrument_of(self, category: Category, symbol: str) -> Instrument:
        found = self._instruments.get(InstrumentId(self._kit.name, category, symbol))
        if found is None:
            raise InstrumentUnknown(f"{category.value} {symbol} is not listed")
        return found

    async def _look_at_key(
        self, name: str, client: BybitAccountClient, categories: Iterable[Category]
    ) -> None:
        found = self._found
        try:
            rights = await client.key_rights()
        except TickwrightError as error:
            found.fault(name, error)
            return
        found.ok(name, "the venue knows it")
        if rights.can_withdraw:
            found.fail(f"{name}: withdraw", "it may withdraw", "make a key that can't")
        else:
            found.ok(f"{name}: withdraw", "it may not")
        if rights.is_read_only:
            found.fail(f"{name}: trade", "it may only read", "make a key that may trade")
        for category in categories:
            needed = _NEEDED.get(category, ())
            lacking = [right for right in needed if right not in rights.permissions]
            if lacking:
                text = f"lacks {', '.join(lacking)} (has {', '.join(rights.permissions) or 'none'})"
                found.fail(f"{name}: {category.value}", text, "allow it at the venue")
            elif not rights.is_read_only:
                found.ok(f"{name}: {category.value}", f"has {', '.join(needed)}")
        if rights.is_bound_to_address:
            found.ok(f"{name}: address", "bound")
        else:
            self._tell_unbound(name)
        self._look_at_expiry(name, rights)

    def _tell_unbound(self, name: str) -> None:
        text = "it works from any address"
        if {venue.mode for venue in self._settings.venues} == {"simulator"}:
            self._found.ok(f"{name}: address", f"{text}, as every key of the simulator")
        else:
            self._found.warn(f"{name}: address", text, "bind it to this machine's address")

    def _look_at_expiry(self, name: str, rights: KeyRights) -> None:
        try:
            ends = datetime.fromisoformat(rights.expires)
        except ValueError:
            # The venue gives none to keys that are bound to an address.
            self._found.ok(f"{name}: expiry", "none told")
            return
        if ends.tzinfo is None:
            ends = ends.replace(tzinfo=UTC)
        days = (ends.timestamp() - utc_now_ns() / 1e9) / _DAY_S
        text = f"{ends:%Y-%m-%d}, in {days:.0f} days"
        if days < 0:
            self._found.fail(f"{name}: expiry", text, "make a new key")
        elif days < EXPIRY_DAYS_WARN:
            self._found.warn(f"{name}: expiry", text, "make a new key before it ends")
        else:
            self._found.ok(f"{name}: expiry", text)

    async def _look_at_terms(self, client: BybitAccountClient, account: AccountSettings) -> None:
        found = self._found
        try:
            terms = await client.terms()
        except TickwrightError as error:
            found.fault("margin mode", error)
            return
        mode = terms.margin_mode or "none told"
        if mode == "PORTFOLIO_MARGIN":
            remedy = "limits of leverage and margin are judged by the venue's figures alone there"
            found.warn("margin mode", mode, remedy)
        else:
            found.ok("margin mode", mode)
        if terms.disconnect_cancels:
            armed = ", ".join(f"{name} after {s} s" for name, s in terms.disconnect_cancels)
            found.ok("cancel on disconnect", f"armed: {armed}")
        else:
            text = "not armed: the venue gives it to institutional accounts"
            found.ok("cancel on disconnect", f"{text}; `tickwright watchdog` does it from here")
        for feed in self._settings.feeds:
            category = feed.options.category
            if category is Category.SPOT or category not in account.categories or not feed.symbols:
                continue
            instrument_id = InstrumentId(self._kit.name, category, feed.symbols[0])
            try:
                has_legs = await client.holds_legs(instrument_id)
            except VenueError as error:
                found.fault(f"position mode {category.value}", error)
                continue
            name = f"position mode {category.value}"
            if has_legs is None:
                found.ok(name, "none told")
            elif has_legs:
                remedy = "switch the symbols to one-way mode at the venue"
                found.warn(name, "hedge: long and short are held apart", remedy)
            else:
                found.ok(name, "one-way")

    async def _look_at_kill_key(self, account: AccountSettings) -> None:
        found, name = self._found, account.account_id.name
        configured = self._config.file.accounts[name]
        venue = self._config.file.venues[configured.venue]
        try:
            key, is_borrowed = read_kill_key(
                name, configured, venue, Path(self._config.path).parent
            )
        except ConfigError as error:
            found.fail("kill key", str(error), "the switch can't cancel without a key")
            return
        if is_borrowed:
            text = "the switch has none of its own: the trader's serves, and its request budget"
            found.warn("kill key", text, "give `kill_key_file` a key that may trade, not withdraw")
            return
        credentials = Credentials(key.api_key, Secret(key.api_secret.get_secret_value()))
        client = self._client(account, credentials)
        await self._look_at_key("kill key", client, account.categories)


class _Greeting(msgspec.Struct, frozen=True):
    """An answer to a login: the stream says `success` and `ret_msg`, the order socket a code."""

    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    retCode: int = 0  # noqa: N815
    retMsg: str = ""  # noqa: N815

    @property
    def is_good(self) -> bool:
        """Whether the key was taken."""
        return self.retCode == 0 if self.success is None else self.success

    @property
    def words(self) -> str:
        """What the venue said."""
        code = f"code {self.retCode}: " if self.retCode else ""
        return f"{code}{self.ret_msg or self.retMsg or 'no reason'}"
