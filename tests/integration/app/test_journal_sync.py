"""With `interval`, promises reach the disk without an order waiting for it."""

from pathlib import Path

import msgspec

from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until

SYMBOLS = ("BTCUSDT",)


async def test_journal_when_synced_by_interval_then_the_disk_follows(tmp_path: Path) -> None:
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, tmp_path, SYMBOLS, every=10)
        settings = msgspec.structs.replace(settings, journal_sync="interval")
        async with trading(settings) as trader:
            journal = trader.links[ACCOUNT].journal
            await until(lambda: trader.engine.summary().fills >= 1, "a fill")
            await until(lambda: journal.flush_count > 0, "a flush")
            assert journal.flush_count <= journal.entry_count
