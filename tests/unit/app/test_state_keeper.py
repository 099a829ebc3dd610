"""The state reaches the disk: at once when something was restricted, else within a second."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.unit.engine.bench import Bench
from tickwright.app.door import EngineDoor
from tickwright.app.state_keeper import SAVE_EVERY_S, StateKeeper
from tickwright.core.commands import Command
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.storage.kept_state import KEPT_STATE_FILE, read_kept_state


def names(folder: Path) -> list[str]:
    state = read_kept_state(folder)
    return [] if state is None else [row.name for row in state.risk.restrictions]


def soon(condition: Callable[[], bool]) -> bool:
    """Wait for the writer's thread, at most 5 s."""
    deadline = time.monotonic() + 30.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


def halt(scope: str = "one", verb: OperatorVerb = OperatorVerb.HALT) -> OperatorCommand:
    return OperatorCommand(verb, scope, "ann")


def test_door_when_something_is_restricted_then_told_once_after_the_commands():
    bench = Bench()
    seen: list[object] = []
    door = EngineDoor(bench.engine, None, seen.extend, depth=50)
    door.on_restricted = lambda: seen.append("restricted")
    door.on_input(halt(), bench.now_ns)
    assert ["restricted"] == seen
    door.on_input(halt(), bench.now_ns)
    door.on_input(halt("operator@one", OperatorVerb.LIFT), bench.now_ns)
    assert ["restricted"] == seen
    door.on_input(halt(), bench.now_ns)
    assert ["restricted", "restricted"] == seen


def test_door_when_an_update_restricts_then_its_orders_leave_first():
    bench = Bench()
    seen: list[object] = []

    def execute(commands: Sequence[Command]) -> None:
        seen.extend(type(command).__name__ for command in commands)

    door = EngineDoor(bench.engine, None, execute, depth=50)
    door.on_restricted = lambda: seen.append("restricted")
    protections = bench.engine.state.protections
    commands = bench.engine.handle(halt(), bench.now_ns)
    assert 1 == protections.entered_count
    door.on_commands(commands)
    assert "restricted" == seen[-1]


def test_keeper_when_nothing_changed_then_nothing_is_written(tmp_path: Path):
    bench = Bench()
    keeper = StateKeeper(bench.engine, tmp_path, on_note=lambda event, text: None)
    keeper.look(0.0)
    assert soon((tmp_path / KEPT_STATE_FILE).exists)
    written = (tmp_path / KEPT_STATE_FILE).stat().st_mtime_ns
    bench.book(600_100)
    for second in range(1, 10):
        keeper.look(second * SAVE_EVERY_S)
    assert written == (tmp_path / KEPT_STATE_FILE).stat().st_mtime_ns
    keeper.close()


def test_keeper_when_something_changed_then_written_once_the_second_is_over(tmp_path: Path):
    bench = Bench()
    keeper = StateKeeper(bench.engine, tmp_path, on_note=lambda event, text: None)
    keeper.look(0.0)
    assert soon((tmp_path / KEPT_STATE_FILE).exists)
    bench.handle(halt())
    keeper.look(SAVE_EVERY_S / 2)
    assert [] == names(tmp_path)
    keeper.look(SAVE_EVERY_S)
    assert soon(lambda: ["operator@one"] == names(tmp_path))
    keeper.close()


def test_keeper_when_closed_then_the_last_state_is_on_the_disk(tmp_path: Path):
    bench = Bench()
    keeper = StateKeeper(bench.engine, tmp_path, on_note=lambda event, text: None)
    bench.handle(halt())
    keeper.close()
    assert ["operator@one"] == names(tmp_path)


def test_keeper_when_the_disk_refuses_then_told_and_tried_again(tmp_path: Path):
    bench = Bench()
    notes: list[str] = []
    folder = tmp_path / "state"
    folder.write_text("")
    keeper = StateKeeper(bench.engine, folder, on_note=lambda event, text: notes.append(event))
    keeper.save()

    def told() -> bool:
        keeper.look(time.monotonic())
        return notes == ["state.unwritten"]

    assert soon(told)
    folder.unlink()
    keeper.close()
    assert ["state.unwritten", "state.written"] == notes
    assert read_kept_state(folder) is not None


def test_keeper_when_something_happened_then_covered_only_once_it_is_on_the_disk(tmp_path: Path):
    bench = Bench()
    keeper = StateKeeper(bench.engine, tmp_path, on_note=lambda event, text: None)
    keeper.look(0.0)
    assert soon((tmp_path / KEPT_STATE_FILE).exists)
    bench.handle(halt())
    happened_ns = bench.now_ns
    keeper.look(0.5 * SAVE_EVERY_S)
    assert keeper.covered_ns < happened_ns
    keeper.look(2 * SAVE_EVERY_S)
    # Handed over; the next look finds it written, and nothing changed since.
    assert soon(lambda: names(tmp_path) != [])
    second = iter(range(3, 10_000))

    def is_covered() -> bool:
        keeper.look(next(second) * SAVE_EVERY_S)
        return keeper.covered_ns >= happened_ns

    assert soon(is_covered)
    keeper.close()
    assert keeper.covered_ns >= happened_ns
