"""Owns the whole check-up before, or beside, a run; refuses to send any order or change a thing.

Configuration, machine, state folder, then every venue with its accounts. A simulator that the run
would start itself is started for the questions, and ended.
"""

import contextlib
from pathlib import Path
from random import Random

import msgspec

from tickwright import __version__
from tickwright.app.config import Config, load_config
from tickwright.app.doctor_history import look_at_history
from tickwright.app.doctor_lines import DoctorLine, Findings
from tickwright.app.doctor_local import look_at_disk, look_at_state, look_at_versions
from tickwright.app.doctor_redis import look_at_redis
from tickwright.app.doctor_venue import VenueDoctor
from tickwright.app.settings import trader_settings
from tickwright.app.simulated_side import SimulatedSide
from tickwright.app.trader_folder import TraderFolder
from tickwright.app.venue_kit import BybitKit
from tickwright.core.errors import ConfigError, TickwrightError
from tickwright.net.listener import utc_now_ns

__all__ = ["DoctorReport", "examine"]


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every check, in the order it was made."""

    version: str
    config: str
    lines: tuple[DoctorLine, ...]

    @property
    def fails(self) -> int:
        """How many keep it from trading, or should."""
        return sum(line.verdict == "fail" for line in self.lines)

    @property
    def warnings(self) -> int:
        """How many somebody should look at."""
        return sum(line.verdict == "warn" for line in self.lines)


async def examine(path: Path) -> DoctorReport:
    """Look at everything a run of this configuration needs.

    Raises:
        ConfigError: the file can't be read at all.
    """
    lines: list[DoctorLine] = []
    look_at_versions(Findings("versions", lines))
    found = Findings("configuration", lines)
    config: Config | None = None
    try:
        config = load_config(path)
    except ConfigError as error:
        found.fail("configuration", str(error), "correct what it names")
    else:
        found.ok("configuration", f"good ({config.summary()})")
    try:
        where = TraderFolder(path)
        look_at_disk(Findings("disk", lines), where)
        look_at_state(Findings("state", lines), where)
    except ConfigError as error:
        if config is not None:
            found.fail("state", str(error), "correct what it names")
    if config is None:
        found.skip("venues", "asked once the configuration is good")
    else:
        await look_at_history(Findings("history", lines), config, TraderFolder(path))
        await look_at_redis(Findings("redis", lines), config)
        await _look_at_venues(config, lines)
    return DoctorReport(version=__version__, config=str(path), lines=tuple(lines))


async def _look_at_venues(config: Config, lines: list[DoctorLine]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        said: list[str] = []
        side = SimulatedSide(on_remark=said.append, on_end=said.append)
        try:
            hosts = await side.start(config, stack)
        except TickwrightError as error:
            Findings("venue", lines).fault(
                "simulator", error, "run `tickwright simulate` to see why"
            )
            return
        settings = trader_settings(config, now_ns=utc_now_ns(), simulated=hosts)
        for name, venue in config.file.venues.items():
            found = Findings(f"venue {name}", lines)
            accounts = tuple(
                one
                for one in settings.accounts
                if config.file.accounts[one.account_id.name].venue == name
            )
            if not accounts:
                found.skip("venue", "no account trades there")
                continue
            if name in hosts:
                found.ok("simulator", "started for these questions, as a run would")
            feeds = tuple(
                one
                for one in settings.feeds
                if one.options.venue == venue.kind
                and config.symbols(name, one.options.category) == one.symbols
            )
            where = hosts.get(name) or venue.hosts()
            try:
                context = venue.trusted(name, config.path.parent)
                kit = BybitKit(venue.kind, where, Random(), ssl_context=context)
            except ConfigError as error:
                found.fault("addresses", error, "correct the table of the venue")
                continue
            stack.push_async_callback(kit.aclose)
            its = msgspec.structs.replace(settings, accounts=accounts, feeds=feeds)
            await VenueDoctor(config, its, kit, context, found).look()
