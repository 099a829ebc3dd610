"""Owns the doctor's look at the mirror's Redis: reach, version, role, room; writes nothing."""

import asyncio
import time

from tickwright.app.config import Config
from tickwright.app.doctor_lines import Findings
from tickwright.app.redis_tap import redis_address
from tickwright.core.errors import ConfigError, StorageError
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_layout import writer_key
from tickwright.storage.redis_link import RedisLink, RedisLost

__all__ = ["look_at_redis"]

VERSION_LEAST = (6, 2)
FULL_PART = 0.9


async def look_at_redis(found: Findings, config: Config) -> None:
    """Ask Redis whether it would take a mirror's writes.

    Nothing of it keeps anybody from trading: the mirror waits.
    """
    try:
        address = redis_address(config)
        if address is None:
            found.skip("server", "nothing is mirrored: [redis] names no url")
            return
        await asyncio.to_thread(_look, found, address, config.file.redis.prefix)
    except RedisLost as error:
        found.warn("server", str(error), "start it, or correct redis.url; trading goes on without")
    except ConfigError as error:
        found.fail("server", str(error), "correct [redis]")
    except StorageError as error:
        found.warn("server", str(error), "the right it names: the mirror reads INFO and its keys")


def _look(found: Findings, address: RedisAddress, prefix: str) -> None:
    link = RedisLink(address)
    try:
        server, memory, role = (
            _section(link, name) for name in ("server", "memory", "replication")
        )
        key = writer_key(prefix)
        began_s = time.perf_counter()
        held = link.ask("HGETALL", key)
        took_ms = (time.perf_counter() - began_s) * 1e3
        expires_ms = link.ask("PTTL", key)
    finally:
        link.close()
    number = server.get("redis_version", "")
    text = f"{address}, Redis {number}, answers in {took_ms:.1f} ms, {link.node_count} nodes"
    if not _is_enough(number):
        found.fail("server", text, "Redis 6.2 or newer: keys are given an absolute end")
    elif role.get("role") == "slave":
        found.fail(
            "server", f"{text}; it is a replica", "name the master: a replica takes no writes"
        )
    else:
        found.ok("server", text)
    _judge_memory(found, memory)
    _judge_writer(found, held, expires_ms)


def _section(link: RedisLink, name: str) -> dict[str, str]:
    reply = link.ask("INFO", name)
    lines = reply.splitlines() if isinstance(reply, str) else []
    return {key: value for key, _, value in (line.partition(":") for line in lines)}


def _is_enough(number: str) -> bool:
    parts = number.split(".")[:2]
    return all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= VERSION_LEAST


def _judge_memory(found: Findings, memory: dict[str, str]) -> None:
    used, most = (int(memory.get(name, "0")) for name in ("used_memory", "maxmemory"))
    policy = memory.get("maxmemory_policy", "noeviction")
    text = f"{used / 1e6:.1f} MB used"
    if not most:
        found.ok("memory", f"{text}, no bound")
        return
    text += f" of {most / 1e6:.1f}, {policy}"
    if used < FULL_PART * most:
        found.ok("memory", text)
    elif policy == "noeviction":
        found.warn("memory", text, "more maxmemory: a full server refuses the mirror's writes")
    else:
        found.warn("memory", text, "more maxmemory: books and streams are evicted, and come back")


def _judge_writer(found: Findings, held: object, expires_ms: object) -> None:
    words = held if isinstance(held, list) else []
    writer = dict(zip(words[::2], words[1::2], strict=False))
    if not writer or not isinstance(expires_ms, int):
        found.ok("writer", "nobody mirrors under this prefix now")
        return
    age_s = max(int(writer.get("expire_ms", "0")) - expires_ms, 0) / 1e3
    found.ok("writer", f"tickwright {writer.get('version')} wrote {age_s:.1f} s ago")
