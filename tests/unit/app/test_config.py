"""A configuration is good as a whole, or every mistake in it is told."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.runs import SMALLEST
from tickwright.app.account_keys import SIMULATOR_KEY, SIMULATOR_SECRET
from tickwright.app.config import Config, confirm_mainnet, load_config
from tickwright.app.config_file import TEMPLATE, write_template
from tickwright.app.settings import simulator_arguments, trader_settings, trading_plan
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET
from tickwright.strategy.library.mean_reversion import MeanReversionParameters

SMALL = """
[venues.sim]
[accounts.main]
venue = "sim"
[[strategies]]
id = "a"
strategy = "mean_reversion"
account = "main"
symbols = ["BTCUSDT"]
"""
KEY = "FjjHvl0Dwx4ZfvsXTQ"
SECRET = "j3yLFkNbcpbvUgV9zHcvGqNaDa0Ww9XXXXXX"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MAIN", "LIVE"):
        for part in ("API_KEY", "API_SECRET"):
            monkeypatch.delenv(f"TICKWRIGHT_{name}_{part}", raising=False)
    return tmp_path


def loaded(folder: Path, text: str) -> Config:
    """Write a configuration and read it."""
    path = folder / "tickwright.toml"
    path.write_text(text)
    return load_config(path)


def mistakes(folder: Path, text: str) -> str:
    """Return what is told about a configuration that isn't good."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return str(caught.value)


# the template ------------------------------------------------------------------------------------


def test_template_when_written_then_is_good_as_it_is(folder: Path):
    path = folder / "new.toml"
    write_template(path)

    config = load_config(path)

    assert ("BTCUSDT", "ETHUSDT", "XRPUSDT") == config.symbols("main", Category.LINEAR)
    assert config.file.venues["main"].starts_simulator
    assert [] == config.mainnet_accounts()


def test_template_when_its_comments_are_taken_off_then_they_are_keys_too(folder: Path):
    keys = re.compile(r"^# (?=(\[risk|[a-z_]+ = ))", re.MULTILINE)
    text = keys.sub("", TEMPLATE).replace("key_file =", "# key_file =")
    text = re.sub(r"^(rest|public|private|trade)_url = .*$", "", text, flags=re.MULTILINE)

    assert loaded(folder, text).file.risk.symbols["BTCUSDT"].position_percent_max == 10


def test_template_when_the_file_exists_then_is_refused_without_force(folder: Path):
    path = folder / "new.toml"
    path.write_text("mine")

    with pytest.raises(ConfigError, match="--force"):
        write_template(path)
    assert "mine" == path.read_text()
    write_template(path, force=True)
    assert TEMPLATE == path.read_text()


def test_simulator_key_when_compared_then_is_the_simulators():
    assert (DEMO_KEY, DEMO_SECRET) == (SIMULATOR_KEY, SIMULATOR_SECRET)


# good ones ---------------------------------------------------------------------------------------


def test_small_configuration_when_loaded_then_everything_else_has_a_default(folder: Path):
    config = loaded(folder, SMALL)

    (strategy,) = config.strategies
    assert MeanReversionParameters() == strategy.parameters
    assert Decimal(20) == config.engine.risk.position_percent_max
    assert "bybit:main" == str(config.account_id("main"))


def test_numbers_when_written_with_a_dot_then_stay_exact_decimals(folder: Path):
    text = SMALL + "[risk]\nleverage_max = 2.3\n[sizing]\nequity_percent = 0.1\n"

    config = loaded(folder, text)

    assert Decimal("2.3") == config.engine.risk.leverage_max
    assert Decimal("0.1") == config.engine.risk.sizing.equity_percent


def test_account_limits_when_given_then_stand_over_the_common_ones(folder: Path):
    text = SMALL + "[accounts.main.risk]\nleverage_max = 2\n[risk]\nspread_bps_max = 7\n"

    limits = loaded(folder, text).engine.account_risk["bybit:main"]

    assert (Decimal(2), Decimal(7)) == (limits.leverage_max, limits.spread_bps_max)


def test_strategy_file_when_relative_then_begins_at_the_configuration(folder: Path):
    (folder / "mine.py").write_text(
        "import tickwright as tw\n"
        "class Mine(tw.Strategy):\n    def on_book(self, book):\n        return None\n"
    )

    config = loaded(folder, SMALL.replace("mean_reversion", "mine.py:Mine"))

    assert "Mine" == config.strategies[0].kind.__name__


def test_settings_when_made_then_hold_plan_feeds_and_accounts(folder: Path):
    config = loaded(folder, SMALL)

    settings = trader_settings(config, now_ns=1_700_000_000_123_000_000)

    assert ("bybit:linear:BTCUSDT",) == settings.plan.strategies[0].instruments
    assert trading_plan(config).digest() == settings.plan.digest()
    assert [("BTCUSDT",)] == [feed.symbols for feed in settings.feeds]
    assert folder / "sessions" / "20231114T221320.123Z" == settings.session_folder
    assert ["--symbol", "BTCUSDT", "--source", "demo"] == simulator_arguments(config, "sim")


def test_agents_when_they_make_the_market_then_are_passed_on_and_no_one_else_makes_it(folder: Path):
    config = loaded(folder, SMALL + '\n[venues.sim.simulator]\nsources = ["agents"]\n')
    arguments = simulator_arguments(config, "sim")

    assert "agents" == arguments[arguments.index("--source") + 1]
    both = SMALL + '\n[venues.sim.simulator]\nsources = ["agents", "synthetic"]\n'
    assert "venues.sim.simulator.sources: synthetic and agents both" in mistakes(folder, both)
    fast = SMALL + '\n[venues.sim.simulator]\nsources = ["agents"]\nrate = 5.0\n'
    assert "venues.sim.simulator.rate: is for synthetic symbols" in mistakes(folder, fast)


# keys --------------------------------------------------------------------------------------------

TESTNET = SMALL.replace("[venues.sim]", '[venues.sim]\nenv = "testnet"')


def test_keys_when_in_the_environment_then_are_used_and_never_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TICKWRIGHT_MAIN_API_KEY", KEY)
    monkeypatch.setenv("TICKWRIGHT_MAIN_API_SECRET", SECRET)

    config = loaded(folder, TESTNET)

    assert KEY == config.credentials("main").api_key
    assert SECRET == config.credentials("main").secret.reveal()
    assert SECRET not in repr(config)
    assert SECRET not in repr(trader_settings(config, now_ns=1))


def test_keys_when_in_a_private_file_then_are_used(folder: Path):
    path = folder / "main.key"
    path.write_text(f'api_key = "{KEY}"\napi_secret = "{SECRET}"\n')
    path.chmod(0o600)
    text = TESTNET.replace('venue = "sim"', 'venue = "sim"\nkey_file = "main.key"')

    assert SECRET == loaded(folder, text).credentials("main").secret.reveal()


@pytest.mark.parametrize(
    ("mode", "content", "text"),
    [
        (0o640, f'api_key = "{KEY}"\napi_secret = "{SECRET}"', "can be read by others: chmod 600"),
        (0o600, f'api_key = "{KEY}"\nsecret = "{SECRET}"', "must hold two lines"),
        (0o600, f"api_key = {KEY}", "must hold two lines"),
        (0o600, f'api_key = "{KEY}"\napi_secret = "{SECRET} "', "a secret holds a blank"),
    ],
)
def test_key_file_when_unsafe_or_unreadable_then_is_refused_unshown(
    mode: int, content: str, text: str, folder: Path
):
    path = folder / "main.key"
    path.write_text(content)
    path.chmod(mode)
    config = TESTNET.replace('venue = "sim"', 'venue = "sim"\nkey_file = "main.key"')

    told = mistakes(folder, config)

    assert text in told
    assert SECRET not in told


def test_keys_when_absent_then_says_where_they_may_come_from(folder: Path):
    assert "set TICKWRIGHT_MAIN_API_KEY and TICKWRIGHT_MAIN_API_SECRET" in mistakes(folder, TESTNET)


def test_keys_when_only_half_is_set_then_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TICKWRIGHT_MAIN_API_KEY", KEY)

    assert "must both be set" in mistakes(folder, TESTNET)


def test_mainnet_when_not_confirmed_by_name_then_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TICKWRIGHT_MAIN_API_KEY", KEY)
    monkeypatch.setenv("TICKWRIGHT_MAIN_API_SECRET", SECRET)
    config = loaded(folder, TESTNET.replace("testnet", "mainnet"))

    assert ["main"] == config.mainnet_accounts()
    with pytest.raises(ConfigError, match="real money on mainnet: say so with --yes-mainnet main"):
        confirm_mainnet(config, [])
    with pytest.raises(ConfigError, match="did you mean 'main'"):
        confirm_mainnet(config, ["mein"])
    confirm_mainnet(config, ["main"])


# mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ("[venues.sim]", "[venues.sim]\nkindd = 1"),
            "venues.sim.kindd: unknown key; did you mean",
        ),
        (("[venues.sim]", '[venues.sim]\nenv = "live"'), "venues.sim.env = 'live': must be"),
        (
            ("[venues.sim]", '[venues.sim]\nkind = "okx"'),
            "venues.sim.kind = 'okx': must be 'bybit'",
        ),
        (("[venues.sim]", '[venues.sim]\nrest_url = "x"'), "rest URL 'x' must begin with http"),
        (
            ("[venues.sim]", '[venues.sim]\nrest_url = "http://127.0.0.1:1"'),
            "needs public_url, private_url too",
        ),
        (('venue = "sim"', 'venue = "sin"'), "accounts.main.venue = 'sin': no such venue; did you"),
        (('venue = "sim"', 'venue = "sim"\napi_secret = "x"'), "a secret does not belong in this"),
        (('id = "a"', 'id = "all"'), "strategies[0].id = 'all': is reserved"),
        (('id = "a"', 'id = "a b"'), "strategies[0].id = 'a b': "),
        (('id = "a"', ""), "strategies[0].id: is missing"),
        (("mean_reversion", "mean_revrsion"), "did you mean 'mean_reversion'"),
        (
            ('account = "main"', 'account = "mein"'),
            "strategies[0].account = 'mein': no such account",
        ),
        (('["BTCUSDT"]', "[]"), "strategies[0].symbols: must not be empty"),
        (('["BTCUSDT"]', '"BTCUSDT"'), "strategies[0].symbols = 'BTCUSDT': must be a list"),
        (('["BTCUSDT"]', '["A", "A"]'), "strategies[0].symbols: named twice: A"),
        (('id = "a"', 'id = "a"\ncategory = "futures"'), "category = 'futures': must be 'linear'"),
        (('id = "a"', 'id = "a"\nvenue = "other"'), "account main is at sim: leave venue out"),
    ],
)
def test_mistake_when_alone_then_names_key_value_and_remedy(
    change: tuple[str, str], text: str, folder: Path
):
    assert text in mistakes(folder, SMALL.replace(*change, 1))


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("[risk]\nposition_percent_max = -5", "risk.position_percent_max is -5; choose"),
        ("[risk]\nposition_percent_max = 200", "could never be reached: lower it"),
        ('[risk]\nleverage_max = "3"', None),
        (
            "[risk]\nleverage_maxx = 3",
            "risk.leverage_maxx: unknown key; did you mean 'leverage_max'",
        ),
        ("[risk]\nopen_orders_per_instrument_max = 1.5", "must be a whole number"),
        ("[risk]\nreduce_only = 1", "risk.reduce_only = 1: must be true or false"),
        ("[risk]\nspread_bps_max = nan", "risk.spread_bps_max = nan: must be a finite number"),
        ("[risk]\nsizing = 1", "risk.sizing: unknown key"),
        ("[risk.symbols.BTCUSDTT]\nspread_bps_max = 5", "no strategy trades it; did you mean"),
        ("[risk.strategies.b]\nspread_bps_max = 5", "risk.strategies.b: no such strategy"),
        (
            "[risk.strategies.a]\nspread_bps = 5",
            "risk.strategies.a.spread_bps: unknown key; did you",
        ),
        (
            "[risk.strategies.a]\nspread_bps_max = -1",
            "risk.strategies.a.spread_bps_max is -1; choose",
        ),
        ("[sizing]\nequity_percent = 1e9", "sizing.equity_percent is 1000000000.0; choose"),
        ('[execution]\nentry = "fast"', "execution.entry = 'fast': must be one of"),
        ("[execution.budget]\nlimit = 0", "a request budget needs a limit"),
        ("[feed]\ndepth = 7", "feed.depth = 7: must be 1, 50, 200 or 1000"),
        ('[feed]\nconnections = "1"', "feed.connections = '1': must be a whole number"),
        ('[journal]\nsync = "maybe"', "journal.sync = 'maybe': must be"),
        ("[run]\nbusy_poll = true\ncoalesce_us = 5", "run.busy_poll: excludes run.coalesce_us"),
        ("[run]\ncoalesce_us = 999999", "run.coalesce_us = 999999: must be less than or equal"),
        ("[feeed]\ndepth = 50", "feeed: unknown key; did you mean 'feed'"),
        ("risk = 3", None),
    ],
)
def test_table_when_wrong_then_names_key_value_and_remedy(
    table: str, text: str | None, folder: Path
):
    if table == "risk = 3":
        assert "risk = 3: must be a table" in mistakes(folder, table + "\n" + SMALL)
    elif text is None:
        # A number in quotes is exact for a Decimal, and taken.
        assert 3 == loaded(folder, SMALL + table).engine.risk.leverage_max
    else:
        assert text in mistakes(folder, SMALL + table + "\n")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("lookbak = 3", "parameters.lookbak: unknown key; did you mean 'lookback'"),
        ("entry_z = 99", "parameters.entry_z = 99: must be a number above 0 and at most 20"),
        ("interval_ms = 1.5", "parameters.interval_ms = 1.5: must be a whole number"),
        ('sampling = "x"', "parameters.sampling = 'x': must be one of by_interval, by_update"),
        ("exit_z = 3.0", "parameters: exit_z 3 must be below entry_z 2"),
    ],
)
def test_parameter_when_wrong_then_is_refused_by_the_strategys_declaration(
    line: str, text: str, folder: Path
):
    assert text in mistakes(folder, SMALL + "[strategies.parameters]\n" + line)


def test_mistakes_when_many_then_all_are_told_at_once(folder: Path):
    text = SMALL.replace("[venues.sim]", "[venues.sim]\nkindd = 1")
    text = text.replace("mean_reversion", "mean_revrsion")
    text += "[risk]\nposition_percent_max = -5\nleverage_maxx = 1\n[feed]\ndepth = 7\n"

    told = mistakes(folder, text)

    assert f"{folder / 'tickwright.toml'} has 5 mistakes" in told
    for key in ("kindd", "mean_revrsion", "position_percent_max", "leverage_maxx", "feed.depth"):
        assert key in told


def test_two_worlds_of_one_kind_when_both_are_used_then_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TICKWRIGHT_LIVE_API_KEY", KEY)
    monkeypatch.setenv("TICKWRIGHT_LIVE_API_SECRET", SECRET)
    text = SMALL + '[venues.test]\nenv = "testnet"\n[accounts.live]\nvenue = "test"\n'

    assert "venues.test: one process trades in one bybit world" in mistakes(folder, text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a = [1,\n", "is not TOML: "),
        (b"[venues\n", r"is not TOML: .*line 1, column 8"),
        (b"\xff\xfe", "is not TOML: 'utf-8' codec"),
        (b"", "venues: is missing"),
    ],
)
def test_file_when_it_is_no_configuration_then_says_where(content: bytes, text: str, folder: Path):
    path = folder / "bad.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=text):
        load_config(path)


def test_file_when_absent_or_a_folder_then_says_so(folder: Path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(folder / "absent.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(folder)


# protections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (
            "[risk.protections]\nlosses_in_row = 3\n",
            "risk.protections.losses_in_row: unknown key; did you mean 'losses_in_row_max'?",
        ),
        (
            "[risk.protections]\nvolatility_halt_percent = -3\n",
            "risk.protections.volatility_halt_percent is -3; choose 0 (off) or a number from 0.01 "
            "to 1000",
        ),
        (
            "[risk.protections.strategies.revrsion]\nflip_flops_max = 3\n",
            "risk.protections.strategies.revrsion: nothing of this name trades; did you mean "
            "'reversion'?",
        ),
        (
            "[accounts.paper.risk.protections.symbols.BTCUSD]\nflip_flops_max = 3\n",
            "accounts.paper.risk.protections.symbols.BTCUSD: nothing of this name trades; did you "
            "mean 'BTCUSDT'?",
        ),
    ],
)
def test_protections_when_wrong_then_told_once_by_their_key(tmp_path: Path, table: str, fault: str):
    path = tmp_path / "my.toml"
    path.write_text(f"{SMALLEST}\n{table}")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert f"{path}: {fault}" == str(refused.value)


def test_protections_when_an_account_names_some_then_the_others_are_everybodys(tmp_path: Path):
    path = tmp_path / "my.toml"
    path.write_text(
        f"{SMALLEST}\n[risk.protections]\ncooldown_after_stop_s = 7\n"
        "[accounts.paper.risk.protections]\nlosses_in_row_max = 9\n"
    )
    engine = load_config(path).engine
    own = engine.account_risk["bybit:paper"].protections
    assert (7, 9) == (own.cooldown_after_stop_s, own.losses_in_row_max)
    assert 5 == engine.risk.protections.losses_in_row_max
