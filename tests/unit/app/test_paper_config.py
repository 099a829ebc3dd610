"""A paper run needs no key and no confirmation, and shares nothing with a real one."""

from decimal import Decimal
from pathlib import Path

import pytest

from tickwright.app.config import Config, confirm_mainnet, load_config
from tickwright.app.paper_settings import state_folder
from tickwright.app.progress import mode_banner
from tickwright.app.settings import trader_settings
from tickwright.core.errors import ConfigError

NOW = 1_722_470_400_250_000_000
PAPER = """
[venues.real]
env = "mainnet"
[accounts.main]
venue = "real"
key_file = "missing.key"
[accounts.other]
venue = "real"
[[strategies]]
id = "a"
strategy = "mean_reversion"
account = "main"
symbols = ["BTCUSDT"]
[run]
mode = "paper"
"""


def loaded(folder: Path, text: str) -> Config:
    path = folder / "tickwright.toml"
    path.write_text(text)
    return load_config(path)


def test_paper_when_on_mainnet_then_no_key_is_read_and_nothing_needs_a_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TICKWRIGHT_OTHER_API_KEY", "a-real-key")
    monkeypatch.setenv("TICKWRIGHT_OTHER_API_SECRET", "a-real-secret")
    config = loaded(tmp_path, PAPER)
    assert config.summary().startswith("paper, ")
    assert [] == config.mainnet_accounts()
    confirm_mainnet(config, [])
    settings = trader_settings(config, now_ns=NOW)
    assert ["tickwright-paper-main", "tickwright-paper-other"] == [
        account.credentials.api_key for account in settings.accounts
    ]
    assert not any(account.orders_by_rest for account in settings.accounts)
    with pytest.raises(ConfigError, match="is no mainnet account"):
        confirm_mainnet(config, ["main"])


def test_live_when_the_mode_is_not_said_then_a_missing_key_is_a_mistake(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"missing\.key"):
        loaded(tmp_path, PAPER.replace('mode = "paper"', 'mode = "live"'))


def test_balances_when_given_then_exact_and_by_account(tmp_path: Path):
    text = (
        '[paper]\nbalances = { USDT = "10000.000000001", BTC = "2" }\nlatency_ms = 7\n'
        'keep = false\n[paper.accounts.other]\nbalances = { USDT = "5" }\n'
    )
    paper = trader_settings(loaded(tmp_path, PAPER + text), now_ns=NOW).paper
    assert paper is not None
    assert {
        "main": (("USDT", Decimal("10000.000000001")), ("BTC", Decimal(2))),
        "other": (("USDT", Decimal(5)),),
    } == paper.balances
    assert (7.0, 20.0, False) == (paper.latency_ms, paper.reply_ms, paper.keeps)


def test_state_when_on_paper_then_it_stands_apart(tmp_path: Path):
    config = loaded(tmp_path, PAPER)
    settings = trader_settings(config, now_ns=NOW)
    apart = state_folder(config.session_dir(), is_paper=True)
    assert apart == settings.state_folder
    assert apart != state_folder(config.session_dir(), is_paper=False)
    assert settings.paper is not None
    assert apart / "paper.json" == settings.paper.ledger


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ("[paper]\nbalances = { USDT = 5 }", "must be an amount in quotes"),
        ('[paper]\nbalances = { USDT = "-5" }', "must be plain digits"),
        ('[paper]\nbalances = { USDT = "1e5" }', "must be plain digits"),
        ('[paper]\nbalances = { usdt = "5" }', "paper.balances"),
        ("[paper]\nbalances = {}", "must not be empty"),
        ("[paper]\nlatency_ms = -1", "paper.latency_ms"),
        ("[paper]\nlatncy_ms = 1", "latency_ms"),
        ('[paper.accounts.mian]\nbalances = { USDT = "5" }', "did you mean 'main'?"),
        ("[feed]\nmarket_topics = []", "values and funds positions by the ticker"),
    ],
)
def test_mistake_when_in_the_paper_table_then_told_with_its_key(
    addition: str, words: str, tmp_path: Path
):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"{PAPER}{addition}\n")
    assert words in str(caught.value)


def test_simulator_when_running_and_on_paper_then_its_private_address_is_not_needed(
    tmp_path: Path,
):
    text = PAPER.replace(
        'env = "mainnet"',
        'env = "simulator"\nrest_url = "http://127.0.0.1:1"\npublic_url = "ws://127.0.0.1:2"',
    )
    assert loaded(tmp_path, text).file.is_paper
    with pytest.raises(ConfigError, match="needs private_url"):
        loaded(tmp_path, text.replace('mode = "paper"', 'mode = "live"'))


@pytest.mark.parametrize(
    ("market", "words"),
    [
        ("mainnet", "PAPER: the real market, orders matched in this process, no money"),
        ("testnet", "PAPER: the testnet's market, orders matched in this process, no money"),
        ("simulator", "PAPER: a simulated market, orders matched in this process, no money"),
    ],
)
def test_banner_when_on_paper_then_says_so_and_where_the_market_is_from(market: str, words: str):
    assert words == mode_banner("paper", market)
