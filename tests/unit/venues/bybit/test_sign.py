"""Signatures equal the documented vectors, and secrets stay inside."""

import copy
import pickle

import pytest

from tickwright.core.errors import ConfigError
from tickwright.venues.bybit.sign import Credentials, Secret

KEY, SECRET = "X" * 10, "Y" * 10


def _credentials() -> Credentials:
    return Credentials(KEY, Secret(SECRET))


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        (
            "1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C",
            "37813c67fafb3017e92354eb88f218e7e52a98f9f5eb74cfcf0b21f17edb143b",
        ),
        (
            '1658385579423XXXXXXXXXX5000{"category": "option"}',
            "4cbc693a498014a4d2c81ae4b7e33a28715cd1b6eec43163dc9b15acfa3c8763",
        ),
        (
            "GET/realtime1662350400000",
            "9c4c0629fddfee26ca0da50a7fed51968fce6935d34b02e772d3bd0c34327bd1",
        ),
    ],
)
def test_sign_when_reference_text_then_reference_signature(text: str, signature: str):
    assert signature == _credentials().sign(text)


def test_rest_headers_when_query_then_signed_as_documented():
    headers = _credentials().rest_headers(
        "category=option&symbol=BTC-29JUL22-25000-C", timestamp_ms=1658384314791
    )
    assert {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": "1658384314791",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": "37813c67fafb3017e92354eb88f218e7e52a98f9f5eb74cfcf0b21f17edb143b",
    } == headers


def test_login_args_when_expiry_then_signed_as_documented():
    assert (
        KEY,
        1662350400000,
        "9c4c0629fddfee26ca0da50a7fed51968fce6935d34b02e772d3bd0c34327bd1",
    ) == _credentials().login_args(1662350400000)


def test_secret_when_shown_then_stars():
    secret = Secret(SECRET)
    shown = f"{secret} {secret!r} {secret:>20} {_credentials()!r}"
    assert SECRET not in shown
    assert SECRET == secret.reveal()


@pytest.mark.parametrize("wrapped", [Secret(SECRET), _credentials()])
def test_secret_when_pickled_or_copied_then_refused(wrapped: object):
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            spread(wrapped)


@pytest.mark.parametrize("text", ["", "hush quiet", "hush\r\nHost: x", "\u00e9", "x" * 300])
def test_secret_when_unusable_then_refused_without_showing_it(text: str):
    for make in (Secret, lambda raw: Credentials(raw, Secret(SECRET))):
        with pytest.raises(ConfigError) as caught:
            make(text)
        assert not text or text not in str(caught.value)


def test_secret_when_compared_then_by_content():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    with pytest.raises(TypeError):
        hash(Secret("a"))
