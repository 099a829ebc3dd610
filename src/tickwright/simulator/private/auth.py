"""Owns the checks of who sent a request and when; refuses to carry it out."""

from collections.abc import Mapping
from typing import Any

from tickwright.simulator.private.accounts import Accounts, ApiKey
from tickwright.simulator.private.refusals import VenueRefusal, parameter

__all__ = [
    "AUTHORISE_TEXT",
    "RECV_WINDOW_MS_DEFAULT",
    "authorise_socket",
    "check_time",
    "key_of_request",
]

RECV_WINDOW_MS_DEFAULT = 5_000
AUTHORISE_TEXT = "GET/realtime"
_AHEAD_MS_MAX = 1_000


def whole_number(text: object, name: str) -> int:
    """Read milliseconds from a header, which clients send as text or as a number."""
    if isinstance(text, bool) or not isinstance(text, (int, str)):
        raise parameter(f"params error: {name} invalid")
    if isinstance(text, str) and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise parameter(f"params error: {name} invalid")
    return int(text)


def check_time(timestamp: object, recv_window: object, now_ms: int) -> None:
    """Refuse a request whose clock is off: now - window <= timestamp < now + 1 s."""
    at_ms = whole_number(timestamp, "timestamp")
    window = recv_window if recv_window not in (None, "") else RECV_WINDOW_MS_DEFAULT
    window_ms = whole_number(window, "recv_window")
    if not now_ms - window_ms <= at_ms < now_ms + _AHEAD_MS_MAX:
        raise VenueRefusal(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{at_ms}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def key_of_request(
    accounts: Accounts, headers: Mapping[str, str], payload: str, now_ms: int
) -> ApiKey:
    """Return the key that signed a REST request, or refuse it: 10001, 10003, 10002, 10004."""
    name = headers.get("X-BAPI-API-KEY", "")
    at = headers.get("X-BAPI-TIMESTAMP", "")
    sign = headers.get("X-BAPI-SIGN", "")
    if not (name and at and sign):
        raise parameter(
            f"empty value: apiTimestamp[{at[:20]}] apiKey[{name[:64]}] apiSignature[{sign[:64]}]"
        )
    key = accounts.keys.get(name)
    if key is None:
        raise VenueRefusal(10003, "API key is invalid.")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    check_time(at, window, now_ms)
    # The window is part of the signed text as it was sent; a missing one signs as nothing.
    if not key.is_signed(f"{at}{name}{window}{payload}", sign):
        raise VenueRefusal(10004, "Error sign, please check your signature generation algorithm.")
    return key


def authorise_socket(accounts: Accounts, args: Any, now_ms: int) -> ApiKey:
    """Return the key of `[key, expires, signature]`; refuses with 10001, 10003, 10004."""
    if not isinstance(args, list) or len(args) != 3:
        raise parameter("Params Error")
    name, expires, sign = args
    if (
        not isinstance(name, str)
        or not isinstance(sign, str)
        or not isinstance(expires, (int, str))
    ):
        raise parameter("Params Error")
    if not str(expires).isdigit() or len(str(expires)) > 18 or int(expires) <= now_ms:
        raise parameter("Params Error")
    key = accounts.keys.get(name)
    if key is None:
        raise VenueRefusal(10003, "API key is invalid.")
    if not key.is_signed(f"{AUTHORISE_TEXT}{expires}", sign):
        raise VenueRefusal(10004, "invalid sign")
    return key
