"""A difference is believed only when nothing can explain it twice."""

from typing import Any

from tickwright.execution.reconcile import DOUBTS_MAX, Finding, PositionAudit


def judged(audit: PositionAudit, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "key": "BTC",
        "ours": 5,
        "venue": 7,
        "venue_ns": 100,
        "asked_ns": 1_000,
        "executions": 3,
        "last_execution_ns": 90,
        "is_settled": True,
    }
    values |= changes
    return audit.compare(values.pop("key"), **values)


def test_audit_when_different_twice_with_nothing_between_then_it_stands():
    audit = PositionAudit()
    assert Finding.DOUBTED == judged(audit)
    assert Finding.STANDS == judged(audit, asked_ns=2_000)
    assert 0 == audit.doubted


def test_audit_when_an_execution_came_between_then_the_doubt_begins_anew():
    audit = PositionAudit()
    judged(audit)
    assert Finding.DOUBTED == judged(audit, asked_ns=2_000, executions=4)
    assert Finding.STANDS == judged(audit, asked_ns=3_000, executions=4)


def test_audit_when_the_venues_size_changed_between_then_the_doubt_begins_anew():
    audit = PositionAudit()
    judged(audit)
    assert Finding.DOUBTED == judged(audit, asked_ns=2_000, venue=8)


def test_audit_when_the_answer_is_older_than_our_last_execution_then_nothing_is_said():
    audit = PositionAudit()
    judged(audit)
    assert Finding.UNDECIDED == judged(audit, asked_ns=2_000, venue_ns=89)
    assert Finding.DOUBTED == judged(audit, asked_ns=3_000)


def test_audit_when_something_is_unknown_then_nothing_is_said():
    audit = PositionAudit()
    judged(audit)
    assert Finding.UNDECIDED == judged(audit, asked_ns=2_000, is_settled=False)
    assert Finding.DOUBTED == judged(audit, asked_ns=3_000)


def test_audit_when_they_agree_again_then_the_doubt_is_gone():
    audit = PositionAudit()
    judged(audit)
    assert Finding.AGREES == judged(audit, asked_ns=2_000, venue=5)
    assert Finding.DOUBTED == judged(audit, asked_ns=3_000)


def test_audit_when_the_same_answer_comes_twice_then_it_is_one_reading():
    audit = PositionAudit()
    judged(audit)
    assert Finding.DOUBTED == judged(audit)


def test_audit_when_many_are_in_doubt_then_the_oldest_leave():
    audit = PositionAudit()
    for number in range(DOUBTS_MAX + 5):
        judged(audit, key=number)
    assert DOUBTS_MAX == audit.doubted
