"""The doctor's look at a real Redis: well, away, full, a replica, without the right."""

from pathlib import Path

from tests.integration.redis_mirror.mirroring import Market, mirroring, until
from tests.runs import SMALLEST
from tickwright.app.config import load_config
from tickwright.app.doctor_lines import DoctorLine, Findings
from tickwright.app.doctor_redis import look_at_redis
from tickwright.bench.redis_server import redis_server


async def seen(folder: Path, url: str | None) -> dict[str, DoctorLine]:
    path = folder / "my.toml"
    path.write_text(SMALLEST + (f'[redis]\nurl = "{url}"\n' if url else ""))
    lines: list[DoctorLine] = []
    await look_at_redis(Findings("redis", lines), load_config(path))
    return {line.name: line for line in lines}


async def test_redis_when_mirrored_into_then_server_memory_and_writer_are_well(tmp_path: Path):
    market = Market()
    with redis_server() as server:
        alone = await seen(tmp_path, server.url)
        async with mirroring(server.url, market) as mirror:
            await until(lambda: mirror.report().is_up, "the first write")
            lines = await seen(tmp_path, server.url)

    assert {"ok"} == {line.verdict for line in (*alone.values(), *lines.values())}
    assert "nobody" in alone["writer"].text
    assert "wrote 0." in lines["writer"].text


async def test_redis_when_full_then_the_remedy_follows_its_policy(tmp_path: Path):
    with redis_server("--maxmemory", "1") as server:
        refusing = await seen(tmp_path, server.url)
        with server.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        evicting = await seen(tmp_path, server.url)

    assert ("warn", "warn") == (refusing["memory"].verdict, evicting["memory"].verdict)
    assert "refuses" in refusing["memory"].remedy
    assert "evicted" in evicting["memory"].remedy


async def test_redis_when_a_replica_or_locked_or_away_then_says_so_without_the_password(
    tmp_path: Path,
):
    with (
        redis_server() as master,
        redis_server("--replicaof", "127.0.0.1", str(master.port)) as replica,
        redis_server("--requirepass", "canary") as locked,
    ):
        follower = await seen(tmp_path, replica.url)
        wrong = await seen(tmp_path, f"redis://:canary2@127.0.0.1:{locked.port}")
    away = await seen(tmp_path, master.url)
    none = await seen(tmp_path, None)

    assert ("fail", True) == (follower["server"].verdict, "replica" in follower["server"].text)
    assert ("warn", True) == (wrong["server"].verdict, "WRONGPASS" in wrong["server"].text)
    assert "warn" == away["server"].verdict
    assert "skip" == none["server"].verdict
    assert "canary" not in repr((wrong, away))
