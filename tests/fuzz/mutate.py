"""Damage a frame: by bytes, by tokens, by the ways numbers, keys and words can be odd."""

import json
import re
from collections.abc import Callable
from random import Random

__all__ = ["MUTATIONS", "mutate"]

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.0-9eE]+|[a-zA-Z]+|.', re.DOTALL)
_TEXT_NUMBER = re.compile(rb'"[0-9.]+"')
_BARE_NUMBER = re.compile(rb"[0-9]+")
_WORD = re.compile(rb'"[A-Za-z0-9.\-]+"')
_BYTES = b'{}[]",:.-+0123456789eE \t\n\x00\x7f\xc3\xff\\/ntrufalsebTpsvS'
_ODD_NUMBERS = [
    b"0", b"00", b"-0", b"0.0", b"0.000", b"007", b"01.5", b"1.", b".5", b".", b"", b"-1", b"+1",
    b"1e5", b"1E-2", b"1e400", b"NaN", b"Infinity", b"null", b"true", b"1_0", b" 1", b"1 ", b"0x10",
    b"9223372036854775807", b"9223372036854775808", b"999999999999999999", b"1000000000000000000",
    b"99999999999999999", b"9000000000000", b"9000000000001", b"9223372036854", b"9223372036855",
    b"92233720368547758.07", b"9223372036854775.807", b"1." + b"0" * 39, b"1." + b"0" * 40,
    b"1." + b"0" * 41, b"60000.001", b"60000.0100", b"59999.99", b"60000.01", "١٢".encode(),
    "１２".encode(),
]  # fmt: skip
_SPACES = [b" ", b"\t", b"\n", b"\r", b"\r\n", b"  ", b"\x0b", b"\xc2\xa0", b"\xef\xbb\xbf"]
_WORDS = [b"Buy", b"Sell", b"buy", b"snapshot", b"delta", b"ETHUSDT", b"BTCUSDT", b"BTCUSD", b"s"]
_PAIRS = [
    b'"u":5', b'"u":1', b'"seq":9', b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', b'"ts":0', b'"ts":5',
    b'"cts":1', b'"b":[]', b'"a":[["60000.50","1"]]', b'"topic":"orderbook.50.ETHUSDT"',
    b'"type":"delta"', b'"type":"snapshot"', b'"x":null', b'"new":{"deep":[1,{}]}', b'"T":0',
    b'"p":"1"', b'"v":"1"', b'"BT":true', b'"id":"1"', b'"data":[]', b'"data":{}',
]  # fmt: skip


def mutate(frame: bytes, chance: Random) -> bytes:
    """Return a mutant of a frame: one to three kinds of damage, one after the other."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        frame = chance.choice(MUTATIONS)(frame, chance)
    return frame


def _place(frame: bytes, chance: Random) -> int:
    return int(chance.random() * len(frame)) if frame else 0


def _replace_byte(frame: bytes, chance: Random) -> bytes:
    at = _place(frame, chance)
    return frame[:at] + bytes((chance.choice(_BYTES),)) + frame[at + 1 :]


def _flip_bit(frame: bytes, chance: Random) -> bytes:
    if not frame:
        return frame
    at = _place(frame, chance)
    return frame[:at] + bytes((frame[at] ^ (1 << chance.randrange(8)),)) + frame[at + 1 :]


def _insert_byte(frame: bytes, chance: Random) -> bytes:
    at = _place(frame, chance)
    return frame[:at] + bytes((chance.choice(_BYTES),)) + frame[at:]


def _delete_span(frame: bytes, chance: Random) -> bytes:
    at = _place(frame, chance)
    return frame[:at] + frame[at + chance.choice((1, 1, 2, 3, 8, 30)) :]


def _repeat_span(frame: bytes, chance: Random) -> bytes:
    at = _place(frame, chance)
    end = at + chance.choice((1, 2, 5, 20, 60))
    return frame[:end] + frame[at:end] + frame[end:]


def _truncate(frame: bytes, chance: Random) -> bytes:
    return frame[: _place(frame, chance)]


def _append(frame: bytes, chance: Random) -> bytes:
    return frame + chance.choice((b" ", b"\n", b"}", b"]", b"\x00", b",", b"x", frame))


def _prepend(frame: bytes, chance: Random) -> bytes:
    return chance.choice((b" ", b"\n", b"\xef\xbb\xbf", b"{", b"\x00")) + frame


def _swap(pattern: re.Pattern[bytes], frame: bytes, chance: Random, new: bytes) -> bytes:
    found = list(pattern.finditer(frame))
    if not found:
        return frame
    match = chance.choice(found)
    return frame[: match.start()] + new + frame[match.end() :]


def _number(chance: Random) -> bytes:
    if chance.random() < 0.5:
        return chance.choice(_ODD_NUMBERS)
    digits = b"".join(b"%d" % chance.randrange(10) for _ in range(chance.randint(1, 40)))
    if chance.random() < 0.5:
        at = chance.randint(0, len(digits))
        return digits[:at] + b"." + digits[at:]
    return digits


def _odd_text_number(frame: bytes, chance: Random) -> bytes:
    return _swap(_TEXT_NUMBER, frame, chance, b'"' + _number(chance) + b'"')


def _odd_bare_number(frame: bytes, chance: Random) -> bytes:
    return _swap(_BARE_NUMBER, frame, chance, _number(chance))


def _near_number(frame: bytes, chance: Random) -> bytes:
    """Stay legal: another value of the same shape, which both must read alike."""
    found = list(_BARE_NUMBER.finditer(frame))
    if not found:
        return frame
    match = chance.choice(found)
    new = b"%d" % chance.choice((1, 2, 3, chance.randrange(1, 10**9), chance.randrange(10**17)))
    return frame[: match.start()] + new + frame[match.end() :]


def _retype_number(frame: bytes, chance: Random) -> bytes:
    """Quote a bare number, or bare a quoted one."""
    if chance.random() < 0.5:
        return _swap(_BARE_NUMBER, frame, chance, b'"5"')
    return _swap(_TEXT_NUMBER, frame, chance, b"5")


def _odd_word(frame: bytes, chance: Random) -> bytes:
    found = list(_WORD.finditer(frame))
    if not found:
        return frame
    match = chance.choice(found)
    word = match[0][1:-1]
    at = chance.randrange(len(word))
    way = chance.randrange(5)
    if way == 0:
        new = chance.choice(_WORDS)
    elif way == 1:
        new = word[:at] + b"\\u%04x" % word[at] + word[at + 1 :]
    elif way == 2:
        new = word[:at] + chance.choice(("é", "Ａ", "\u2028")).encode() + word[at:]
    elif way == 3:
        new = word.lower() if chance.random() < 0.5 else word + word
    else:
        new = word[:at] + chance.choice((b"\\n", b"\\/", b"\\", b"\x01", b"\\ud800")) + word[at:]
    return frame[: match.start() + 1] + new + frame[match.end() - 1 :]


def _with_tokens(frame: bytes, chance: Random) -> bytes:
    tokens = _TOKENS.findall(frame)
    if len(tokens) < 2:
        return frame
    at = chance.randrange(len(tokens))
    way = chance.randrange(5)
    if way == 0:
        tokens.insert(at, chance.choice(_SPACES))
    elif way == 1:
        del tokens[at]
    elif way == 2:
        tokens.insert(at, tokens[at])
    elif way == 3:
        other = chance.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    else:
        tokens[at] = chance.choice(tokens)
    return b"".join(tokens)


def _extra_pair(frame: bytes, chance: Random) -> bytes:
    """A key more, often one that is there already."""
    places = [i + 1 for i, byte in enumerate(frame) if byte in b"{,"] or [0]
    at = chance.choice(places)
    return frame[:at] + chance.choice(_PAIRS) + b"," + frame[at:]


def _zero_then_again(frame: bytes, chance: Random) -> bytes:
    """A time of zero where one reader looks first, and the true one where it looks next."""
    new = chance.choice((b'"ts":0', b'"ts":00', b'"ts":1'))
    return frame.replace(b',"type":', b"," + new + b',"type":', 1)


def _rewritten(frame: bytes, chance: Random) -> bytes:
    """The same document in another hand: order of keys, blanks, escapes."""
    try:
        document = json.loads(frame)
    except ValueError:
        return frame
    way = chance.randrange(4)
    if way == 0:
        return json.dumps(document).encode()
    if way == 1:
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    if way == 2 and isinstance(document, dict):
        keys = list(document)
        chance.shuffle(keys)
        document = {key: document[key] for key in keys}
    elif isinstance(document, dict) and isinstance(document.get("data"), dict):
        keys = list(document["data"])
        chance.shuffle(keys)
        document["data"] = {key: document["data"][key] for key in keys}
    return json.dumps(document, separators=(",", ":")).encode()


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _replace_byte,
    _replace_byte,
    _flip_bit,
    _insert_byte,
    _delete_span,
    _repeat_span,
    _truncate,
    _append,
    _prepend,
    _odd_text_number,
    _odd_text_number,
    _odd_bare_number,
    _odd_bare_number,
    _near_number,
    _near_number,
    _retype_number,
    _odd_word,
    _with_tokens,
    _with_tokens,
    _extra_pair,
    _zero_then_again,
    _rewritten,
)
