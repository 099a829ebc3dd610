"""Works as `status` lists them and `explain` tells them."""

from pathlib import Path

import msgspec

from tests.unit.engine.test_works_restart import ICEBERG, begun, last
from tickwright.app.evidence import EvidenceWords
from tickwright.app.works import WorkLine, works_in
from tickwright.cli.status import _work_words
from tickwright.core.commands import PlaceOrder
from tickwright.storage.kept_state import write_kept_state


def test_works_when_none_was_ever_kept_then_none(tmp_path: Path):
    assert () == works_in(tmp_path)


def test_works_when_kept_then_each_with_what_its_settled_orders_filled(tmp_path: Path):
    run = begun(ICEBERG)
    run.match(run.venue.live()[0], 30)
    (child,) = run.venue.live()
    run.match(child, 5)
    write_kept_state(tmp_path, run.engine.kept_state())
    (line,) = works_in(tmp_path)
    work = last(run)
    assert (
        WorkLine(
            work_id=work.work_id,
            strategy_id="one",
            account="venue:main",
            instrument="venue:linear:BTCUSDT",
            side="buy",
            algorithm="iceberg",
            state="working",
            size="0.100",
            filled="0.030",
            orders=2,
            order=child.order.client_id,
            started_ns=work.started_ns,
            reason="",
        )
        == line
    )
    words = _work_words(line)
    assert f"{work.work_id} one iceberg buy 0.100 venue:linear:BTCUSDT, working since" in words
    assert words.endswith(f"0.030 filled, 2 orders, the last of them {child.order.client_id}")
    assert _work_words(msgspec.structs.replace(line, order=None, reason="by hand")).endswith(
        "2 orders: by hand"
    )


def test_child_when_promised_then_its_work_is_told():
    run = begun(ICEBERG)
    run.match(run.venue.live()[0], 30)
    first, second = [command for command in run.log if isinstance(command, PlaceOrder)]
    words = EvidenceWords(None)
    work_id = last(run).work_id
    assert words.place(first).endswith(
        f"order 1 of work {work_id} (iceberg, 0 units of 100 units filled before)"
    )
    assert words.place(second).endswith(
        f"order 2 of work {work_id} (iceberg, 30 units of 100 units filled before)"
    )
    assert f"work {work_id} (iceberg) working, 0 units of 100 units filled" == words.work(last(run))
