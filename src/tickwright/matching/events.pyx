"""Owns what the matching engine reports, a record per change of an order; refuses to decide.

Each record carries the order itself and the figures as they were at that moment, because an order
may have moved on before the reader sees the record. Only the engine makes them.
"""

cimport cython

from tickwright.matching.kinds import CancelReason, FillCause

__all__ = [
    "Amended",
    "Armed",
    "Cancelled",
    "Execution",
    "MatchEvent",
    "StopsChanged",
    "Trimmed",
    "Triggered",
    "Working",
]

cdef tuple _REASONS = tuple(CancelReason)
cdef tuple _CAUSES = tuple(FillCause)


cdef int reason_code(object reason) except -1:
    """Return the place of a `CancelReason`."""
    return _REASONS.index(reason)


cdef _refuse():
    raise TypeError("records are made by the matching engine alone")


cdef str _shown(object record, tuple names):
    return f"{type(record).__name__}({', '.join(f'{n}={getattr(record, n)!r}' for n in names)})"


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Working:
    """The order (or what an immediate match left of it) rests in the book."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(self, ("order", "remaining_units", "ahead_units", "now_ns"))


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Armed:
    """The conditional order waits for its trigger."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(self, ("order", "now_ns"))


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Triggered:
    """The conditional order's price was seen; what it does as an order follows."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(self, ("order", "seen_price_units", "now_ns"))


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Execution:
    """One fill of one order. The two sides of a match between users share `match_id`.

    `counter_order_id` is the other user's order, 0 when the other side is external.
    """

    def __init__(self):
        _refuse()

    @property
    def cause(self):
        """What made the fill happen."""
        return _CAUSES[self.cause_code]

    def __repr__(self):
        return _shown(
            self,
            (
                "order", "match_id", "price_units", "size_units", "remaining_units",
                "filled_units", "is_maker", "cause", "counter_order_id", "now_ns",
            ),
        )


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Amended:
    """The order has new terms; without `kept_priority` it queues anew."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(self, ("order", "price_units", "size_units", "kept_priority", "now_ns"))


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Trimmed:
    """A reduce-only order was made smaller to fit its position."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(self, ("order", "size_units", "remaining_units", "now_ns"))


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Cancelled:
    """The order ended with `remaining_units` unfilled."""

    def __init__(self):
        _refuse()

    @property
    def reason(self):
        """Why the order ended."""
        return _REASONS[self.reason_place]

    def __repr__(self):
        return _shown(
            self,
            (
                "order", "remaining_units", "filled_units",
                "reason", "was_armed", "now_ns",
            ),
        )


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class StopsChanged:
    """A position's take profit or stop loss prices are now these; 0 is none."""

    def __init__(self):
        _refuse()

    def __repr__(self):
        return _shown(
            self,
            (
                "account", "position",
                "take_profit_units", "stop_loss_units", "now_ns",
            ),
        )


MatchEvent = Working | Armed | Triggered | Execution | Amended | Trimmed | Cancelled | StopsChanged
