"""Owns asking a configured account's venue without a trader; refuses to send any order.

Clients here are for questions alone. A venue inside a run (paper, or a simulator that it started)
is asked where the run left its address.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

from tickwright.app.kill_target import KillTarget, noted_hosts
from tickwright.app.venue_kit import BybitKit
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.sign import Credentials

__all__ = ["Asked", "asking"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One account and what asks its venue; `instruments` fills as categories are read."""

    name: str
    account_id: AccountId
    kit: BybitKit
    credentials: Credentials
    instruments: dict[InstrumentId, Instrument]

    def client(self) -> BybitAccountClient:
        """Return the REST client of the account."""
        return self.kit.client(self.account_id, self.credentials, self._instrument_of)

    async def read_instruments(self, category: Category) -> None:
        """Read every instrument of a product line, so that no row is of an unknown one."""
        assert self.kit.market is not None, "a client needs a REST address"
        for instrument in await self.kit.market.instruments(category):
            self.instruments[instrument.id] = instrument

    def _instrument_of(self, category: Category, symbol: str) -> Instrument:
        found = self.instruments.get(InstrumentId(self.account_id.venue, category, symbol))
        if found is None:
            raise InstrumentUnknown(f"{category.value} {symbol} is not listed")
        return found


@contextlib.asynccontextmanager
async def asking(target: KillTarget, name: str) -> AsyncIterator[Asked]:
    """Open what asks the venue of one account, and close it.

    Raises:
        ConfigError: where the venue is, is not known, or its certificates can't be read.
    """
    account = target.file.accounts[name]
    venue = target.file.venues[account.venue]
    hosts = venue.hosts()
    if name in target.inside:
        hosts = noted_hosts(target.folder, account.venue)
    trusted = venue.trusted(account.venue, target.path.parent)
    kit = BybitKit(venue.kind, hosts, Random(), ssl_context=trusted)
    try:
        yield Asked(name, AccountId(venue.kind, name), kit, target.credentials(name), {})
    finally:
        await kit.aclose()
