"""`risk` as a process against a running simulator with positions: its numbers are the venue's."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pybit.unified_trading as pybit  # type: ignore[import-untyped]
import pytest

from tests.integration.clients.venue import KEY, SECRET, Venue, running

WAIT_S = 30.0
LONG = {"category": "linear", "symbol": "BTCUSDT"}
CONFIG = """
[venues.box]
rest_url = "{rest}"
public_url = "{public}"
private_url = "{private}"
trade_url = "{trade}"

[accounts.demo]
venue = "box"

[risk]
position_percent_max = 50
order_notional_usdt_max = 3000

[[strategies]]
id = "lean"
strategy = "mean_reversion"
account = "demo"
symbols = ["BTCUSDT", "ETHUSDT"]

[[strategies]]
id = "coins"
strategy = "mean_reversion"
account = "demo"
category = "spot"
symbols = ["BTCUSDT"]
"""


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """A venue where the account is long 0.02 BTC and has a buy resting far away."""
    with running() as made:
        http = pybit.HTTP(api_key=KEY, api_secret=SECRET)
        http.endpoint = made.rest
        http.place_order(**LONG, side="Buy", orderType="Market", qty="0.02")
        http.place_order(**LONG, side="Buy", orderType="Limit", qty="0.01", price="30000")
        yield made


@pytest.fixture(scope="module")
def config(venue: Venue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("risk") / "config.toml"
    path.write_text(
        CONFIG.format(
            rest=venue.rest, public=venue.public, private=venue.private, trade=venue.trade
        )
    )
    return path


def ask(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickwright", "risk", str(config), *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def picture(config: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = ask(config, "--json", "-", *arguments)
    assert (code, "") == (done.returncode, done.stderr)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def report(config: Path) -> dict[str, Any]:
    """The picture, looked at once."""
    return picture(config)


def held(venue: Venue) -> dict[str, Any]:
    http = pybit.HTTP(api_key=KEY, api_secret=SECRET)
    http.endpoint = venue.rest
    return dict(http.get_positions(**LONG)["result"]["list"][0])


def used(report: dict[str, Any], limit: str, name: str) -> dict[str, Any]:
    found = [x for x in report["limits"] if x["limit"] == limit and name in x["name"]]
    return dict(found[0])


def test_risk_when_a_position_is_held_then_its_numbers_are_the_venues(
    venue: Venue, report: dict[str, Any]
):
    theirs = held(venue)
    (account,) = report["accounts"]
    (position,) = account["positions"]
    assert ("BTCUSDT", "linear", "net") == (
        position["symbol"],
        position["category"],
        position["leg"],
    )
    assert Decimal(theirs["size"]) == Decimal(position["size"]) == Decimal("0.02")
    assert Decimal(theirs["avgPrice"]) == Decimal(position["entry_price"])
    assert theirs["leverage"] == position["leverage"]
    size, entry, mark = (Decimal(position[x]) for x in ("size", "entry_price", "mark_price"))
    assert size * mark == Decimal(position["notional"]) == Decimal(account["gross"])
    assert size * (mark - entry) == Decimal(position["unrealised"])
    wallet = Decimal(venue.account()["wallet"]["USDT"])
    assert wallet + Decimal(position["unrealised"]) == Decimal(account["equity"])
    # Read a moment apart: the mark may have moved in between, margins with it.
    value = Decimal(theirs["positionValue"])
    assert Decimal(position["maintenance_margin"]) == pytest.approx(
        value / 200, rel=Decimal("0.02")
    )
    assert Decimal(position["initial_margin"]) == pytest.approx(
        value / Decimal(theirs["leverage"]), rel=Decimal("0.02")
    )
    assert account["is_ready"]
    assert Decimal(account["leverage"]) == pytest.approx(
        size * mark / Decimal(account["equity"]), abs=Decimal("0.000001")
    )


def test_risk_when_a_position_is_held_then_limits_count_it_and_stress_moves_it(
    report: dict[str, Any],
):
    (account,) = report["accounts"]
    gross, equity = Decimal(account["gross"]), Decimal(account["equity"])
    row = used(report, "position_percent_max", "BTCUSDT")
    exposure = used(report, "exposure_percent_max", "demo")
    assert (gross, equity / 2, equity / 2 - gross) == (
        Decimal(row["use"]),
        Decimal(row["bound"]),
        Decimal(row["headroom"]),
    )
    assert (gross, equity) == (Decimal(exposure["use"]), Decimal(exposure["bound"]))
    shocks = {one["shock"]: one for one in report["stress"]}
    fall, funding = shocks["prices -20 %"], shocks["funding 1 x rate"]
    assert Decimal(fall["change"]) == pytest.approx(-gross / 5, abs=Decimal("0.01"))
    assert Decimal(fall["equity"]) == equity + Decimal(fall["change"])
    assert not fall["is_liquidated"]
    assert abs(Decimal(funding["change"])) < gross / 100
    assert "daily_loss_percent_max" in {one["limit"] for one in fall["breaches"]} or (
        Decimal(fall["change"]) > -equity * 3 / 100
    )


def test_risk_when_it_looks_then_nothing_at_the_venue_changes(venue: Venue, config: Path):
    before = venue.account()["wallet"]
    http = pybit.HTTP(api_key=KEY, api_secret=SECRET)
    http.endpoint = venue.rest
    orders = http.get_open_orders(category="linear", settleCoin="USDT")["result"]["list"]
    picture(config, "--order", "buy:ETHUSDT:0.1")
    again = http.get_open_orders(category="linear", settleCoin="USDT")["result"]["list"]
    assert [one["orderId"] for one in orders] == [one["orderId"] for one in again]
    assert before == venue.account()["wallet"]
    assert not list(config.parent.glob("sessions/**/*"))


def test_order_when_within_every_limit_then_approved_check_by_check(config: Path):
    order = picture(config, "--order", "buy:ETHUSDT:0.1")["order"]
    assert ("approved", "lean", "bybit:linear:ETHUSDT", "0.10") == (
        order["outcome"],
        order["strategy_id"],
        order["instrument"],
        order["size_approved"],
    )
    assert {"passed"} == {check["outcome"] for check in order["checks"]}
    assert {"book_too_old", "exposure_limit", "margin_use"} <= {
        check["reason"] for check in order["checks"]
    }


def test_order_when_larger_than_a_limit_then_reduced_and_the_limit_is_named(config: Path):
    order = picture(config, "--order", "buy:ETHUSDT:5:2000", code=3)["order"]
    assert ("refused", "price_band") == (order["outcome"], order["reason"])
    order = picture(config, "--order", "buy:ETHUSDT:50")["order"]
    assert ("reduced", "order_notional") == (order["outcome"], order["reason"])
    assert "3000.00 USDT an order" == order["bound"]
    assert Decimal(0) < Decimal(order["size_approved"]) < Decimal(50)


def test_order_when_refused_then_names_limit_value_and_bound_and_exits_with_three(config: Path):
    done = ask(config, "--order", "sell:BTCUSDT:0.01", "--strategy", "lean")
    assert (3, "") == (done.returncode, done.stderr)
    assert (
        "refused: sell 0.01 BTCUSDT at market by conflicting_position: sell while long 0.020, "
        "bound not against the position" in done.stdout
    )
    order = picture(config, "--order", "sell:BTCUSDT:0.01", "--strategy", "lean", "--reduce-only")[
        "order"
    ]
    assert "approved" == order["outcome"]
    order = picture(config, "--order", "sell:BTCUSDT:0.01", "--strategy", "coins", code=3)["order"]
    assert ("refused", "bybit:spot:BTCUSDT") == (order["outcome"], order["instrument"])
    assert "" not in (order["reason"], order["value"], order["bound"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--order", "buy:ETHUSDT:1e30"), "size 1e30 is beyond what any order can have"),
        (("--order", "buy:ETHUSDT:0.00000001"), "size of ETHUSDT: 1E-8 has more than"),
        (("--order", "buy:ETHUSDT:1", "--offline"), "--offline knows no price"),
        (("--json", "/nowhere/at/all.json"), "there is no folder"),
    ],
)
def test_risk_when_asked_for_what_cannot_be_then_one_sentence_says_why(
    config: Path, arguments: tuple[str, ...], words: str
):
    done = ask(config, *arguments)
    assert (2, 1, "") == (done.returncode, done.stderr.count("\n"), done.stdout)
    assert words in done.stderr


def test_risk_when_offline_then_limits_are_shown_and_everything_else_is_unknown(config: Path):
    report = picture(config, "--offline")
    (account,) = report["accounts"]
    assert [None, None, None, False] == [
        account[name] for name in ("equity", "exposure", "liquidation_percent", "is_ready")
    ]
    assert "50" == account["limits"]["position_percent_max"]
    row = used(report, "exposure_percent_max", "demo")
    assert (None, None, None) == (row["use"], row["bound"], row["headroom"])
    assert ([], True) == (report["stress"], report["is_offline"])
    assert report["unknown"][0].startswith("offline:")


def test_risk_when_the_venue_is_gone_then_one_sentence_and_no_traceback(
    config: Path, tmp_path: Path
):
    lost = tmp_path / "lost.toml"
    lost.write_text(
        "\n".join(
            'rest_url = "http://127.0.0.1:9"' if line.startswith("rest_url") else line
            for line in config.read_text().splitlines()
        )
    )
    done = ask(lost)
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("tickwright risk: ")
    assert 1 == done.stderr.count("\n")


def test_risk_when_the_venue_lists_no_such_symbol_then_the_nearest_is_named(
    config: Path, tmp_path: Path
):
    path = tmp_path / "other.toml"
    path.write_text(config.read_text().replace('"ETHUSDT"', '"ETHUSD"'))
    done = ask(path)
    assert 2 == done.returncode
    assert "bybit lists no linear symbol ETHUSD; did you mean 'ETHUSDT'?" in done.stderr
