"""Owns a throw-away certificate authority for `--tls`; refuses any use beyond a rehearsal.

A key on the curve P-256, an authority and one server certificate are made at every start and live
in a private folder until the simulator stops. The arithmetic isn't constant-time: nothing secret is
behind it.
"""

import base64
import hashlib
import ipaddress
import secrets
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["ThrowawayTls", "make_throwaway_tls"]

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_VALID_DAYS = 30

_Point = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ThrowawayTls:
    """A server context and where the authority's certificate lies for clients to trust."""

    context: ssl.SSLContext
    ca_path: Path
    folder: Path

    def remove(self) -> None:
        """Delete the folder with the keys."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_throwaway_tls(host: str, *, now_ns: int) -> ThrowawayTls:
    """Make keys and certificates for localhost, 127.0.0.1, ::1 and `host`."""
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    authority_key, server_key = _new_key(), _new_key()
    ca_name, server_name = "Tickwright simulator throw-away CA", "Tickwright simulator"
    authority = _certificate(ca_name, authority_key, ca_name, authority_key, now, host=None)
    server = _certificate(server_name, server_key, ca_name, authority_key, now, host=host)
    folder = Path(tempfile.mkdtemp(prefix="tickwright-tls-"))
    ca_path, chain_path = folder / "ca.pem", folder / "server.pem"
    ca_path.write_text(_pem("CERTIFICATE", authority))
    chain_path.touch(mode=0o600)
    chain_path.write_text(
        _pem("EC PRIVATE KEY", _key_der(server_key)) + _pem("CERTIFICATE", server)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_path)
    return ThrowawayTls(context, ca_path, folder)


# the curve
# ---------------------------------------------------------------------------------------------


def _add(left: _Point, right: _Point) -> _Point:
    if left is None:
        return right
    if right is None:
        return left
    if left[0] == right[0]:
        if (left[1] + right[1]) % _P == 0:
            return None
        slope = (3 * left[0] * left[0] - 3) * pow(2 * left[1], -1, _P) % _P
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, _P) % _P
    x = (slope * slope - left[0] - right[0]) % _P
    return x, (slope * (left[0] - x) - left[1]) % _P


def _times(factor: int, point: _Point) -> tuple[int, int]:
    total: _Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    assert total is not None
    return total


def _new_key() -> int:
    return 1 + secrets.randbelow(_N - 1)


def _sign(key: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = _new_key()
        r = _times(nonce, _G)[0] % _N
        s = pow(nonce, -1, _N) * (digest + r * key) % _N
        if r and s:
            return _sequence(_integer(r), _integer(s))


# DER
# -----------------------------------------------------------------------------------------------


def _tagged(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _object_id(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    body = bytearray((first * 40 + second,))
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(number & 127 | 128)
        body += bytes(reversed(groups))
    return _tagged(0x06, bytes(body))


def _bits(body: bytes) -> bytes:
    return _tagged(0x03, b"\0" + body)


def _name(common_name: str) -> bytes:
    pair = _sequence(_object_id("2.5.4.3"), _tagged(0x0C, common_name.encode()))
    return _sequence(_tagged(0x31, pair))


def _public_bits(key: int) -> bytes:
    x, y = _times(key, _G)
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _public_key(key: int) -> bytes:
    algorithm = _sequence(_object_id("1.2.840.10045.2.1"), _object_id("1.2.840.10045.3.1.7"))
    return _sequence(algorithm, _bits(_public_bits(key)))


def _key_der(key: int) -> bytes:
    curve = _tagged(0xA0, _object_id("1.2.840.10045.3.1.7"))
    public = _tagged(0xA1, _bits(_public_bits(key)))
    return _sequence(_integer(1), _tagged(0x04, key.to_bytes(32, "big")), curve, public)


def _extension(object_id: str, body: bytes, *, is_critical: bool = False) -> bytes:
    critical = _tagged(0x01, b"\xff") if is_critical else b""
    return _sequence(_object_id(object_id), critical, _tagged(0x04, body))


def _key_id(key: int) -> bytes:
    return hashlib.sha1(_public_bits(key), usedforsecurity=False).digest()


def _extensions(key: int, issuer_key: int, host: str | None) -> bytes:
    parts = [
        _extension("2.5.29.14", _tagged(0x04, _key_id(key))),
        _extension("2.5.29.35", _sequence(_tagged(0x80, _key_id(issuer_key)))),
    ]
    if host is None:
        is_authority = _sequence(_tagged(0x01, b"\xff"))
        parts.append(_extension("2.5.29.19", is_authority, is_critical=True))
        # keyCertSign and cRLSign: bits 5 and 6, one unused bit at the end.
        parts.append(_extension("2.5.29.15", b"\x03\x02\x01\x06", is_critical=True))
    else:
        parts.append(_extension("2.5.29.19", _sequence(), is_critical=True))
        parts.append(_extension("2.5.29.15", b"\x03\x02\x07\x80", is_critical=True))
        parts.append(_extension("2.5.29.37", _sequence(_object_id("1.3.6.1.5.5.7.3.1"))))
        parts.append(_extension("2.5.29.17", _sequence(*_alternative_names(host))))
    return _tagged(0xA3, _sequence(*parts))


def _alternative_names(host: str) -> list[bytes]:
    names = []
    for name in dict.fromkeys(("localhost", "127.0.0.1", "::1", host)):
        try:
            names.append(_tagged(0x87, ipaddress.ip_address(name).packed))
        except ValueError:
            names.append(_tagged(0x82, name.encode("idna")))
    return names


def _certificate(
    subject: str, key: int, issuer: str, issuer_key: int, now: datetime, *, host: str | None
) -> bytes:
    algorithm = _sequence(_object_id("1.2.840.10045.4.3.2"))
    times = (now - timedelta(days=1), now + timedelta(days=_VALID_DAYS))
    validity = _sequence(*(_tagged(0x17, f"{t:%y%m%d%H%M%SZ}".encode()) for t in times))
    body = _sequence(
        _tagged(0xA0, _integer(2)),
        _integer(1 + secrets.randbits(120)),
        algorithm,
        _name(issuer),
        validity,
        _name(subject),
        _public_key(key),
        _extensions(key, issuer_key, host),
    )
    return _sequence(body, algorithm, _bits(_sign(issuer_key, body)))


def _pem(label: str, body: bytes) -> str:
    text = base64.encodebytes(body).decode().replace("\n", "")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
