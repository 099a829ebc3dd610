"""Addresses follow the environment; unusable or unsafe ones are refused with a clear sentence."""

import pytest

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.venues.bybit.hosts import Environment, Hosts, hosts_of


def test_hosts_when_mainnet_then_documented_addresses():
    hosts = hosts_of(Environment.MAINNET)
    assert "https://api.bybit.com" == hosts.rest
    assert "wss://stream.bybit.com/v5/public/linear" == hosts.public_url(Category.LINEAR)
    assert "wss://stream.bybit.com/v5/trade" == hosts.trade


def test_hosts_when_demo_then_real_market_and_no_order_socket():
    hosts = hosts_of(Environment.DEMO)
    assert hosts_of(Environment.MAINNET).public == hosts.public
    assert ("wss://stream-demo.bybit.com/v5/private", "") == (hosts.private, hosts.trade)


def test_hosts_when_custom_endpoint_then_only_the_given_addresses():
    hosts = hosts_of(None, public_url="ws://127.0.0.1:8080/v5/public/")
    assert Hosts(public="ws://127.0.0.1:8080/v5/public") == hosts
    assert "ws://127.0.0.1:8080/v5/public/spot" == hosts.public_url(Category.SPOT)


def test_hosts_when_one_address_is_given_then_the_others_stay():
    hosts = hosts_of(Environment.TESTNET, rest_url="https://api.bytick.com")
    assert "https://api.bytick.com" == hosts.rest
    assert hosts_of(Environment.TESTNET).private == hosts.private


def test_public_url_when_none_is_known_then_names_the_remedy():
    with pytest.raises(ConfigError, match="--public-url"):
        Hosts().public_url(Category.SPOT)


@pytest.mark.parametrize(
    "url",
    [
        "stream.bybit.com/v5/public",
        "http://127.0.0.1/v5/public",
        "ws://",
        "ws://user:pass@127.0.0.1/v5",
        "ws://127.0.0.1:99999/v5",
        "ws://127.0.0.1:0/v5",
        "ws://127.0.0.1/v5?x=1",
        "ws://[::1/v5",
    ],
)
def test_hosts_when_url_is_unusable_then_config_error(url: str):
    with pytest.raises(ConfigError) as caught:
        hosts_of(None, public_url=url)
    assert "pass" not in str(caught.value).replace("password", "")


def test_hosts_when_keys_would_travel_in_the_clear_then_refused():
    with pytest.raises(ConfigError, match="in the clear"):
        hosts_of(None, rest_url="http://example.org")
    with pytest.raises(ConfigError, match="in the clear"):
        hosts_of(None, private_url="ws://10.0.0.7/v5/private")
    assert "http://localhost:81" == hosts_of(None, rest_url="http://localhost:81").rest
