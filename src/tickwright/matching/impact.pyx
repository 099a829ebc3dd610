"""Owns levels that our own taking has moved against us; refuses to move what the market shows.

The model is Obizhaeva and Wang's, "Optimal trading strategy and supply/demand dynamics" (Journal of
Financial Markets 16, 2013): impact is linear in what is taken, a part of it stays, the rest decays
exponentially. Linear, because with exponential decay anything else would let a round trip earn by
its own impact (Gatheral, "No-dynamic-arbitrage and market impact", Quantitative Finance 10, 2010).
The two sides are apart, as in Alfonsi and Schied, "Optimal trade execution and absence of price
manipulations in limit order book models" (SIAM Journal on Financial Mathematics 1, 2010): buying
moves the asks that we meet up, selling moves the bids that we meet down, nothing moves either the
other way. The part that stays is of what was bought and sold on balance.

Arithmetic is of whole numbers alone, so that every machine finds the same.
"""

cimport cython
from libc.stdint cimport INT64_MIN, int64_t

from tickwright.matching.levels cimport Cell, ExternalLevels, LevelSource
from tickwright.matching.orders cimport int128

from collections import deque
from math import isqrt

__all__ = ["FINE_UNITS", "PAID_WAITING_MAX", "PARTS_MAX", "ImpactLevels"]

FINE_UNITS = 1 << 20
"""Parts of one price unit in which impact is kept; it is rounded to ticks where orders meet it."""
PARTS_MAX = 4
"""Neither part of the impact exceeds a quarter of the price at which was taken last."""
PAID_WAITING_MAX = 100_000
"""Impacts paid that nobody asked for yet; there is one who asks, within the same step."""

cdef enum:
    FINE_BITS = 20
    ONE_BITS = 62
    ROOTS = 32
    HALVINGS_MAX = 63

cdef int64_t[ROOTS] _ROOTS     # 2^-(1/2), 2^-(1/4), 2^-(1/8) ... times 2^62
_root = 2**61
for _place in range(ROOTS):
    _root = isqrt(_root << ONE_BITS)
    _ROOTS[_place] = _root
_PART_MAX = 2**62 - 1


cdef int64_t decayed(int64_t amount, int64_t age_ns, int64_t half_life_ns) noexcept:
    """Return amount x 2^-(age / half life), rounded down."""
    cdef int64_t halvings, left, factor = (<int64_t> 1) << ONE_BITS
    cdef int128 part
    cdef int place
    if amount == 0 or age_ns <= 0:
        return amount
    halvings = age_ns // half_life_ns
    if halvings >= HALVINGS_MAX:
        return 0
    left = age_ns - halvings * half_life_ns
    part = ((<int128> left) << ROOTS) // half_life_ns
    for place in range(ROOTS):
        if (part >> (ROOTS - 1 - place)) & 1:
            factor = <int64_t> ((<int128> factor * _ROOTS[place]) >> ONE_BITS)
    return (<int64_t> ((<int128> amount * factor) >> ONE_BITS)) >> halvings


@cython.final
cdef class ImpactLevels(LevelSource):
    """A market's levels as orders of ours meet them after what we took.

    Taking `size` at `price` (units, as the market shows it) adds price^2 x size x `permanent` and
    price^2 x size x `transient` `FINE_UNITS`th of a price unit, both exact fractions told as
    (numerator, denominator); the transient part halves every `half_life_ns`. Both are rounded down,
    their sum to the nearest tick.

    Orders that take, and levels that the market moves onto our orders, meet the moved prices.
    Trades of the market, places in queues and whether a post-only order would take are those of the
    levels as they are shown. An order that those would have filled, and the moved ones don't, rests
    and pays as a taker.
    """

    cdef ExternalLevels inner
    cdef int64_t tick
    cdef object permanent
    cdef object transient
    cdef int64_t half_life_ns
    cdef int64_t now_ns
    cdef int64_t[2] offsets        # by place: 0 the bids, 1 the asks
    cdef int64_t[2] decaying       # fine units at `decaying_ns`
    cdef int64_t[2] decaying_ns
    cdef int64_t lasting           # fine units, signed
    cdef bint is_pending
    cdef int pending_side
    cdef int64_t pending_price
    cdef int64_t pending_ns
    cdef object pending
    cdef readonly object paid

    def __init__(
        self, ExternalLevels inner not None, *, int64_t tick_units, tuple permanent,
        tuple transient, int64_t half_life_ns,
    ):
        assert tick_units > 0 and half_life_ns > 0
        for part in (permanent, transient):
            assert part[0] >= 0 and part[1] > 0, f"impact of {part}"
        self.inner = inner
        self.tick = tick_units
        self.permanent = permanent
        self.transient = transient
        self.half_life_ns = half_life_ns
        self.paid = deque(maxlen=PAID_WAITING_MAX)
        self.pending = 0

    def see_time(self, int64_t now_ns):
        """Let the impact be what it is at a time; it never goes back."""
        self.look(now_ns)

    def moved_units(self, int side):
        """Return how far an aggressor on `side` finds the levels moved, at the time last seen."""
        return self.offsets[1 if side > 0 else 0]

    # what the engine asks -----------------------------------------------------------------------

    cdef int look(self, int64_t now_ns) except -1:
        cdef int place
        cdef int128 fine, tick = (<int128> self.tick) << FINE_BITS
        if self.is_pending:
            self.fold()
        if now_ns > self.now_ns:
            self.now_ns = now_ns
        for place in range(2):
            fine = decayed(
                self.decaying[place], self.now_ns - self.decaying_ns[place], self.half_life_ns
            )
            if place == 1 and self.lasting > 0:
                fine += self.lasting
            elif place == 0 and self.lasting < 0:
                fine -= self.lasting
            self.offsets[place] = <int64_t> ((fine + tick // 2) // tick) * self.tick
        return 0

    cdef int took(self, int side) except -1:
        cdef int64_t price
        cdef int i
        for i in range(self.found_count):
            price = self.inner.found[i].price
            self.paid.append(side * (self.found[i].price - price))
            self.pending += <object> price * price * self.found[i].size
            self.pending_price = price
        if self.found_count:
            self.is_pending = True
            self.pending_side = side
            self.pending_ns = self.now_ns
        return 0

    cdef int fold(self) except -1:
        """Let what the last order took move what the next one meets."""
        cdef int place = 1 if self.pending_side > 0 else 0
        cdef int64_t before
        taken = self.pending
        most = min((<object> self.pending_price << FINE_BITS) // PARTS_MAX, _PART_MAX)
        number, parts = self.permanent
        lasting = <object> self.lasting + self.pending_side * (taken * number // parts)
        self.lasting = max(-most, min(most, lasting))
        number, parts = self.transient
        before = decayed(
            self.decaying[place], self.pending_ns - self.decaying_ns[place], self.half_life_ns
        )
        self.decaying[place] = min(most, <object> before + taken * number // parts)
        self.decaying_ns[place] = self.pending_ns
        self.is_pending = False
        self.pending = 0
        return 0

    cdef bint is_moved(self, int side) noexcept:
        return self.offsets[1 if side > 0 else 0] != 0

    cdef int64_t shown_best(self, int side) except? -1:
        return self.inner.best_price(side)

    cdef int64_t best_price(self, int side) except? -1:
        cdef int64_t key = self.best_key(0 if side > 0 else 1)
        return 0 if key == INT64_MIN else self.on_grid(side * key)

    cdef bint is_crossed(self) except -1:
        cdef int64_t bid = self.best_key(0), ask = self.best_key(1)
        if bid == INT64_MIN or ask == INT64_MIN:
            return False
        return bid >= -ask

    cdef int64_t external_at(self, int side, int64_t price) except? -1:
        return self.inner.external_at(side, price)

    cdef int show(self, int side, int64_t price, int64_t size) except -1:
        return self.inner.show(side, price, size)

    cdef int hide(self, int side, int64_t price, int64_t size) except -1:
        return self.inner.hide(side, price, size)

    cdef int take_within(self, int side, int64_t size, int64_t limit) except -1:
        cdef int64_t offset = self.offsets[1 if side > 0 else 0]
        cdef int i
        self.inner.take_keys(side, size, -side * limit + offset)
        self.found_count = 0
        for i in range(self.inner.found_count):
            self.find(
                self.on_grid(self.inner.found[i].price + side * offset), self.inner.found[i].size
            )
        return 0

    cdef int see_within(self, int side, int64_t limit) except -1:
        """Find moved levels and users' own prices together, best first."""
        cdef int place = 1 if side > 0 else 0
        cdef int64_t offset = self.offsets[place], limit_key = -side * limit, key, theirs, ours
        cdef Cell* cells = self.inner.cells[place]
        cdef int external = self.inner.counts[place] - 1, own = external
        self.found_count = 0
        while True:
            while external >= 0 and cells[external].external == 0:
                external -= 1
            while own >= 0 and cells[own].own == 0:
                own -= 1
            theirs = cells[external].key - offset if external >= 0 else INT64_MIN
            ours = cells[own].key if own >= 0 else INT64_MIN
            key = theirs if theirs > ours else ours
            if key == INT64_MIN or key < limit_key:
                return 0
            self.find(self.on_grid(-side * key), cells[external].external if theirs == key else 0)
            if theirs == key:
                external -= 1
            if ours == key:
                own -= 1

    # keys ---------------------------------------------------------------------------------------

    cdef int64_t best_key(self, int place) noexcept:
        """Return the best key of moved levels and users' orders; INT64_MIN for an empty side."""
        cdef Cell* cells = self.inner.cells[place]
        cdef int64_t theirs = INT64_MIN
        cdef int i
        for i in range(self.inner.counts[place] - 1, -1, -1):
            if theirs != INT64_MIN and cells[i].key <= theirs:
                return theirs
            if cells[i].own:
                return cells[i].key if cells[i].key > theirs else theirs
            if theirs == INT64_MIN and cells[i].external:
                theirs = cells[i].key - self.offsets[place]
        return theirs

    cdef int64_t on_grid(self, int64_t price) noexcept:
        """Return a price that can be: no bid is moved below the first tick."""
        return price if price >= self.tick else self.tick
