"""Owns a position's plan as a record, out and in again; refuses levels in units of another meaning.

What is under way (a request for stops, a try to close) is not written: its answer went with the
process, so it is unknown, and asked for anew.
"""

from tickwright.core.instrument import Instrument
from tickwright.core.kept_state import HeldRecord, LevelsRecord, PlanRecord
from tickwright.execution.exit_levels import ExitLevels
from tickwright.execution.held_stops import HeldStops
from tickwright.execution.planner import Bracket
from tickwright.execution.position_plan import PositionPlan

__all__ = ["restore_levels", "restore_plan", "write_plan"]


def write_plan(plan: PositionPlan, instrument: Instrument, *, entry_due_ns: int) -> PlanRecord:
    """Return a plan as a record; `entry_due_ns` is when its resting entry is withdrawn."""
    levels, held = plan.levels, plan.held
    return PlanRecord(
        strategy_id=plan.strategy_id,
        account_id=plan.account_id,
        instrument_id=plan.instrument_id,
        price_decimals=instrument.price_decimals,
        exits=plan.exits,
        opened_ns=plan.opened_ns,
        entry_id=plan.entry_id,
        entry_due_ns=entry_due_ns,
        exit_id=plan.exit_id,
        bracket_side=plan.bracket_side,
        fixed_stop_units=plan.fixed_bracket.stop_units,
        fixed_take_units=plan.fixed_bracket.take_units,
        attached_stop_units=plan.attached.stop_units,
        attached_take_units=plan.attached.take_units,
        levels=None if levels is None or not levels.entry_units else _write_levels(levels),
        held=HeldRecord(
            stop_units=held.stop_units,
            take_units=held.take_units,
            distance_units=held.distance_units,
            proven_ns=held.proven_ns,
            was_asked=held.was_asked,
        ),
        closing=plan.closing,
        closing_reason=plan.closing_reason,
        attempts=plan.attempts,
    )


def _write_levels(levels: ExitLevels) -> LevelsRecord:
    return LevelsRecord(
        entry_units=levels.entry_units,
        best_twice=levels.best_twice,
        is_trailing=levels.is_trailing,
        trail_units=levels.trail_units,
        break_even_units=levels.break_even_units,
    )


def restore_plan(
    plan: PositionPlan, record: PlanRecord, size_units: int, instrument: Instrument
) -> bool:
    """Fill a new plan from a record for the size that is held; its levels come after.

    Returns:
        Whether the recorded prices still mean the same.
    """
    plan.exits = record.exits
    plan.entry_id = record.entry_id
    plan.exit_id = record.exit_id
    plan.bracket_side = record.bracket_side
    plan.size_units = size_units
    if size_units:
        plan.opened_ns = record.opened_ns
        plan.closing = record.closing
        plan.closing_reason = record.closing_reason
        plan.attempts = record.attempts
    is_same = record.price_decimals == instrument.price_decimals
    if is_same:
        plan.fixed_bracket = Bracket(record.fixed_stop_units, record.fixed_take_units)
        plan.attached = Bracket(record.attached_stop_units, record.attached_take_units)
    return is_same


def restore_levels(plan: PositionPlan, levels: ExitLevels, record: PlanRecord) -> None:
    """Guard a restored position by its levels, as far as they had come."""
    written, held = record.levels, record.held
    if written is not None:
        levels.entry_units = written.entry_units
        levels.best_twice = written.best_twice
        levels.is_trailing = written.is_trailing
        levels.trail_units = written.trail_units
        levels.break_even_units = written.break_even_units
    plan.levels = levels
    plan.held = HeldStops(
        stop_units=held.stop_units,
        take_units=held.take_units,
        distance_units=held.distance_units,
        proven_ns=held.proven_ns,
        was_asked=held.was_asked,
    )
