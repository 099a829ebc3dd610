"""From the configuration `tickwright init` writes to what a trading process takes."""

from pathlib import Path

import msgspec
import pytest

from tickwright.app.backtest import backtest_settings
from tickwright.app.config import load_config
from tickwright.app.config_file import write_template
from tickwright.app.run import open_log
from tickwright.app.settings import simulator_arguments, trader_settings, trading_plan
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, Category
from tickwright.core.orders import SelfTradeRule
from tickwright.engine.plan import TradingPlan
from tickwright.venues.bybit.hosts import Hosts

NOW = 1_722_470_400_250_000_000
HOSTS = Hosts(
    rest="http://127.0.0.1:1",
    public="ws://127.0.0.1:2/v5/public",
    private="ws://127.0.0.1:2/v5/private",
    trade="ws://127.0.0.1:2/v5/trade",
)


def _template(folder: Path) -> Path:
    write_template(folder / "tickwright.toml")
    return folder / "tickwright.toml"


def test_settings_when_from_the_template_then_one_simulated_venue_account_and_feed(tmp_path: Path):
    config = load_config(_template(tmp_path))
    settings = trader_settings(config, now_ns=NOW, simulated={"main": HOSTS})
    (venue,), (feed,), (account,) = settings.venues, settings.feeds, settings.accounts
    assert ("bybit", HOSTS, "simulator", None) == (
        venue.name,
        venue.hosts,
        venue.mode,
        venue.ca_file,
    )
    assert (("BTCUSDT", "ETHUSDT", "XRPUSDT"), 50) == (feed.symbols, feed.options.depth)
    assert (AccountId("bybit", "trader"), (Category.LINEAR,), False) == (
        account.account_id,
        account.categories,
        account.orders_by_rest,
    )
    assert tmp_path / "sessions" / "20240801T000000.250Z" == settings.session_folder
    assert tmp_path / "sessions" / "state" == settings.state_folder


def test_plan_when_from_the_template_then_it_holds_no_secret_and_reads_back(tmp_path: Path):
    config = load_config(_template(tmp_path))
    plan = trading_plan(config)
    text = msgspec.json.encode(plan).decode()
    secret = config.keys["trader"].api_secret.get_secret_value()
    assert secret not in text
    assert plan == TradingPlan.from_builtins(plan.to_builtins())
    assert ["bybit:linear:BTCUSDT", "bybit:linear:ETHUSDT", "bybit:linear:XRPUSDT"] == list(
        plan.strategies[0].instruments
    )


def test_settings_when_a_strategy_is_a_file_then_found_again_from_anywhere(tmp_path: Path):
    path = _template(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import tickwright as tw\n\n\nclass Mine(tw.Strategy):\n"
        "    def on_book(self, book):\n        return None\n"
    )
    text = path.read_text().replace('"mean_reversion"', '"mine.py:Mine"')
    head, _, rest = text.partition("[strategies.parameters]")
    path.write_text(head + rest[rest.index("# What one account may do") :])
    settings = trader_settings(load_config(path), now_ns=NOW)
    source = f"{(tmp_path / 'mine.py').resolve()}:Mine"
    assert (source, "Mine") == (
        settings.plan.strategies[0].source,
        settings.classes[source].__name__,
    )


def test_settings_when_nothing_is_recorded_then_no_session_folder_but_a_log(tmp_path: Path):
    path = _template(tmp_path)
    path.write_text(path.read_text().replace("record = true", "record = false"))
    config = load_config(path)
    assert trader_settings(config, now_ns=NOW).session_folder is None
    log = open_log(config, started_ns=NOW, is_quiet=True)
    log.close()
    assert log.path is not None
    assert tmp_path / "sessions" == log.path.parent


def test_log_when_opened_for_a_configuration_then_it_knows_the_keys(tmp_path: Path):
    config = load_config(_template(tmp_path))
    key = config.keys["trader"]
    log = open_log(config, started_ns=NOW, is_quiet=True)
    assert "key *** secret ***" == log.clean(
        f"key {key.api_key} secret {key.api_secret.get_secret_value()}"
    )
    log.close()


def test_settings_when_certificates_are_named_then_by_their_place(tmp_path: Path):
    path = _template(tmp_path)
    (tmp_path / "ca.pem").write_text("")
    path.write_text(
        path.read_text().replace('kind = "bybit"', 'kind = "bybit"\nca_file = "ca.pem"')
    )
    settings = trader_settings(load_config(path), now_ns=NOW)
    assert tmp_path / "ca.pem" == settings.venues[0].ca_file


@pytest.mark.parametrize(("line", "batches"), [("", False), ("\nbatch = true", True)])
def test_settings_when_an_account_batches_then_its_link_is_told(
    tmp_path: Path, line: str, *, batches: bool
):
    path = _template(tmp_path)
    text = path.read_text()
    assert 1 == text.count("\n[accounts.trader]\n")
    path.write_text(text.replace("\n[accounts.trader]", f"\n[accounts.trader]{line}"))
    settings = trader_settings(load_config(path), now_ns=NOW)
    assert batches is settings.accounts[0].batches_orders


def test_simulator_arguments_when_from_the_template_then_traded_symbols_and_the_demo(
    tmp_path: Path,
):
    arguments = simulator_arguments(load_config(_template(tmp_path)), "main")
    assert ["BTCUSDT", "ETHUSDT", "XRPUSDT"] == [
        arguments[i + 1] for i, word in enumerate(arguments) if word == "--symbol"
    ]
    assert "demo" == arguments[arguments.index("--source") + 1]


def test_rule_for_own_orders_when_configured_then_every_account_has_its_own(tmp_path: Path):
    path = _template(tmp_path)
    plain = trader_settings(load_config(path), now_ns=NOW, simulated={"main": HOSTS})
    assert [SelfTradeRule.NONE] == [one.self_trade for one in plain.accounts]
    text = path.read_text()
    assert 1 == text.count("\n[accounts.trader]\n")
    head = "\n[accounts.trader]\n"
    path.write_text(text.replace(head, f'{head}self_trade = "cancel_maker"\n'))
    found = trader_settings(load_config(path), now_ns=NOW, simulated={"main": HOSTS})
    assert [SelfTradeRule.CANCEL_MAKER] == [one.self_trade for one in found.accounts]
    market = backtest_settings(load_config(path), tmp_path)
    assert [SelfTradeRule.CANCEL_MAKER] == [one.self_trade for one in market.accounts.values()]
    path.write_text(text.replace(head, f'{head}self_trade = "cancelmaker"\n'))
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert "accounts.trader.self_trade = 'cancelmaker': must be 'none'" in str(refused.value)
    assert "did you mean 'cancel_maker'?" in str(refused.value)
