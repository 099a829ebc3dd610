"""A hypothetical order as text: what it means, and one sentence for each mistake."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.portfolio.worlds import linear
from tickwright.app.config import Config, load_config
from tickwright.app.risk_order import find_strategy, intent_of, parse_order
from tickwright.core.errors import ConfigError
from tickwright.core.orders import OrderType, Purpose, Side, TimeInForce

CONFIG = """
[venues.box]

[accounts.demo]
venue = "box"

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


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return load_config(path)


def test_parse_when_it_has_a_price_then_a_limit_order():
    wish = parse_order("BUY:BTCUSDT:0.01:60000")
    assert "buy 0.01 BTCUSDT @ 60000" == str(wish)
    intent = intent_of(wish, linear())
    assert (Side.BUY, 10, 6_000_000) == (intent.side, intent.size_units, intent.price_units)
    assert (OrderType.LIMIT, TimeInForce.GTC, Purpose.OPEN) == (
        intent.order_type,
        intent.time_in_force,
        intent.purpose,
    )


def test_parse_when_it_has_none_then_a_market_order_that_may_only_reduce():
    wish = parse_order("sell:BTCUSDT:1", reduce_only=True)
    assert "sell 1 BTCUSDT at market, reduce only" == str(wish)
    intent = intent_of(wish, linear())
    assert (OrderType.MARKET, None, True, Purpose.CLOSE) == (
        intent.order_type,
        intent.price_units,
        intent.reduce_only,
        intent.purpose,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write SIDE:SYMBOL:SIZE[:PRICE]"),
        ("buy:BTCUSDT", "write SIDE:SYMBOL:SIZE[:PRICE]"),
        ("buy:BTCUSDT:1:2:3", "write SIDE:SYMBOL:SIZE[:PRICE]"),
        ("buy:BTCUSDT:1:" + "9" * 300, "write SIDE:SYMBOL:SIZE[:PRICE]"),
        ("hold:BTCUSDT:1", "side 'hold' is none; choose buy or sell"),
        ("buy::1", "names no symbol"),
        ("buy:ETHUSDT:nan", "size nan must be a number above 0"),
        ("buy:ETHUSDT:sNaN", "size sNaN must be a number above 0"),
        ("buy:ETHUSDT:-1", "size -1 must be a number above 0"),
        ("buy:ETHUSDT:0", "size 0 must be a number above 0"),
        ("buy:ETHUSDT:inf", "size inf must be a number above 0"),
        ("buy:ETHUSDT:much", "size 'much' is no number"),
        ("buy:ETHUSDT:", "size '' is no number"),
        ("buy:ETHUSDT:1:NaN", "price NaN must be a number above 0"),
        ("buy:ETHUSDT:1:-5", "price -5 must be a number above 0"),
        ("buy:ETHUSDT:1e30", "size 1e30 is beyond what any order can have"),
        ("buy:ETHUSDT:1e999999", "size 1e999999 is beyond what any order can have"),
        ("buy:ETHUSDT:1e-999999", "size 1e-999999 is beyond what any order can have"),
    ],
)
def test_parse_when_it_is_no_order_then_one_sentence_says_why(text: str, words: str):
    with pytest.raises(ConfigError) as raised:
        parse_order(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buy:BTCUSDT:0.0001", "has more than 3 decimals"),
        ("buy:BTCUSDT:1:60000.001", "has more than 2 decimals"),
        ("buy:BTCUSDT:1e18", "is too large"),
    ],
)
def test_intent_when_a_figure_does_not_fit_the_instrument_then_refused(text: str, words: str):
    with pytest.raises(ConfigError, match=words):
        intent_of(parse_order(text), linear())


def test_find_when_one_strategy_trades_the_symbol_then_it_is_meant(config: Config):
    assert "lean" == find_strategy(config, parse_order("buy:ETHUSDT:1"), None).id
    assert "coins" == find_strategy(config, parse_order("buy:BTCUSDT:1"), "coins").id


@pytest.mark.parametrize(
    ("text", "strategy_id", "words"),
    [
        ("buy:BTCUSD:1", None, "no strategy trades 'BTCUSD'; did you mean 'BTCUSDT'?"),
        ("buy:DOGE:1", None, "no strategy trades 'DOGE'; symbols: BTCUSDT, ETHUSDT"),
        ("buy:BTCUSDT:1", None, "several strategies trade BTCUSDT; name one by --strategy: lean"),
        ("buy:BTCUSDT:1", "laen", "no such strategy; did you mean 'lean'?"),
        ("buy:ETHUSDT:1", "coins", "strategy coins doesn't trade 'ETHUSDT'"),
    ],
)
def test_find_when_none_or_several_fit_then_one_sentence_says_which(
    config: Config, text: str, strategy_id: str | None, words: str
):
    with pytest.raises(ConfigError) as raised:
        find_strategy(config, parse_order(text), strategy_id)
    assert words in str(raised.value)


def test_figures_when_written_with_an_exponent_then_exact():
    assert Decimal("0.010") == parse_order("buy:BTCUSDT:1e-2").size
