"""The fault campaign's quick rows, and its history checker; `make chaos` plays all of them."""

import copy
import json
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from tests.campaigns.chaos import fences, stale, strategies
from tests.campaigns.chaos.__main__ import load
from tests.campaigns.chaos.requests import barrage
from tests.campaigns.chaos.rows import ROWS
from tests.campaigns.chaos.world import SYMBOL, scratch, settings, until, venue
from tests.campaigns.history import Booked, TraderHistory, compare, read_trader, read_venue
from tests.campaigns.mutants import MUTANTS, play
from tests.integration.app.trading import trading

load()
QUICK = ("R2", "R5", "R9", "R10", "R11", "R13", "R20", "R21b", "R24")
"""A few seconds each. The rows left out wait for evidence, or for processes, for longer."""
QUICK_MUTANTS = ("floor rounding of sizes and bids", "allow-list of rows that move a position")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound the times of a busy machine; the campaign itself measures how soon it is."""
    monkeypatch.setattr(fences, "NOTICED_S_MAX", 10.0)
    monkeypatch.setattr(fences, "HEARTBEAT_S_MAX", 1.5)
    monkeypatch.setattr(stale, "UNDER_WAY_MS", 500)
    monkeypatch.setattr(strategies, "BREAKER_S_MAX", 1.0)


@pytest.mark.parametrize("name", QUICK)
async def test_row_when_its_faults_strike_then_nothing_is_violated(name: str) -> None:
    result = await ROWS[name].play("ci", Random(f"1 {name}"))
    assert [] == result.violations
    assert result.runs > 0
    assert result.hit > 0


@pytest.mark.parametrize("name", QUICK_MUTANTS)
async def test_row_when_its_safeguard_is_gone_then_it_turns_red(name: str) -> None:
    (mutant,) = (one for one in MUTANTS if one.name == name)
    assert not (await play(mutant)).is_good


def test_rows_when_listed_then_every_mutant_has_its_row() -> None:
    assert set() == {mutant.row for mutant in MUTANTS} - set(ROWS)


async def test_history_when_either_side_lies_then_it_is_told() -> None:
    async with venue() as world, scratch() as folder:
        async with trading(settings(world, folder, intents=12, taking_percent=50)) as trader:
            await until(lambda: barrage(trader).made >= 12, 20.0)
            assert [] == await world.agrees(trader)
        account = await world.account()
        trader_side = read_trader(folder / "state", [folder / "session"])
        assert [] == compare(trader_side, read_venue(account))
        for change, words in LIES:
            bent = json.loads(json.dumps(account))
            change(bent)
            told = compare(trader_side, read_venue(bent))
            assert any(words in one for one in told), (words, told)
        for twist, words in TWISTS:
            bent_side = copy.deepcopy(trader_side)
            twist(bent_side)
            told = compare(bent_side, read_venue(account))
            assert any(words in one for one in told), (words, told)


def _more_size(account: dict[str, Any]) -> None:
    account["executions"][0]["execQty"] = "1"


def _lost_execution(account: dict[str, Any]) -> None:
    del account["executions"][0]


def _more_fee(account: dict[str, Any]) -> None:
    account["fees"]["USDT"] = "1000"


def _other_wallet(account: dict[str, Any]) -> None:
    account["wallet"]["USDT"] = "1"


def _twice_one_id(account: dict[str, Any]) -> None:
    account["closed_orders"].append(account["closed_orders"][0])


def _unpromised(account: dict[str, Any]) -> None:
    account["closed_orders"][0]["orderLinkId"] = "tw" + "0" * 24


LIES = (
    (_more_size, "differs"),
    (_lost_execution, "was never made by the venue"),
    (_more_fee, "fees by"),
    (_other_wallet, "wallet by"),
    (_twice_one_id, "two orders of one id"),
    (_unpromised, "was never promised"),
)
"""What is bent in the venue's ledger, and what the checker has to say of it."""


def _books(side: TraderHistory) -> Booked:
    assert side.books is not None
    return side.books[SYMBOL]


def _misbooked_size(side: TraderHistory) -> None:
    _books(side).size_units += 1


def _misbooked_profit(side: TraderHistory) -> None:
    _books(side).realised += 1
    _books(side).cost += 1


def _misbooked_cost(side: TraderHistory) -> None:
    _books(side).cost += 1


def _missing_fee(side: TraderHistory) -> None:
    _books(side).fees = Fraction(0)


def _invented_execution(side: TraderHistory) -> None:
    first = next(iter(side.executions.values()))
    side.executions["invented"] = replace(first, execution_id="invented")


def _wrong_fill(side: TraderHistory) -> None:
    name, first = next(iter(side.executions.items()))
    side.executions[name] = replace(first, size=2 * first.size)


def _ended_by_guess(side: TraderHistory) -> None:
    at_ns = side.spans[0][1]
    side.promised_ns["tw" + "1" * 24] = at_ns
    side.settled["tw" + "1" * 24] = ("rejected", 0, at_ns)


def _forgotten_end(side: TraderHistory) -> None:
    side.settled.popitem()


TWISTS = (
    (_misbooked_size, "positions in the trader's books"),
    (_misbooked_profit, "realised in the trader's books"),
    (_misbooked_cost, "paid"),
    (_missing_fee, "fees in the trader's books"),
    (_invented_execution, "was never made by the venue"),
    (_wrong_fill, "differs"),
    (_ended_by_guess, "ended here without evidence"),
    (_forgotten_end, "and the trader doesn't know"),
)
"""The same for what the trader wrote down."""
