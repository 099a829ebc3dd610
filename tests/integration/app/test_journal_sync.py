"""With `interval` promises reach the disk by themselves, with `always` before they are sent."""

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


async def test_journal_when_synced_always_then_every_order_follows_its_record(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, tmp_path, SYMBOLS, every=10)
        settings = msgspec.structs.replace(settings, journal_sync="always")
        async with trading(settings) as trader:
            link = trader.links[ACCOUNT]
            await until(lambda: trader.engine.summary().fills >= 3, "fills")
            assert 0 < link.journal.flush_count <= link.journal.entry_count
            assert link.counts.sent_by_socket >= 3
            assert 0 == link.counts.unsent
