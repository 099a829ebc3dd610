"""One recording for all tests of this room: made once, changed by nobody."""

import asyncio

import pytest

from tests.integration.replay.playing import Recorded, record_market


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Give a few seconds of market with a lost delta, a cut socket and a restarted service."""
    return asyncio.run(record_market(tmp_path_factory.mktemp("recorded") / "session"))
