from libc.stdint cimport int64_t

from tickwright.matching.orders cimport int128

cdef enum:
    TAKEN_MAX = 64     # levels remembered as changed by users' takes; beyond them: all of them

cdef struct Found:
    int64_t price
    int64_t size

cdef struct Cell:
    int64_t key
    int64_t external
    int128 own


cdef class LevelSource:
    # What the last `take_within` took or `see_within` saw, best first.
    cdef Found* found
    cdef int found_count
    cdef int found_room

    cdef int find(self, int64_t price, int64_t size) except -1
    cdef int look(self, int64_t now_ns) except -1
    cdef int took(self, int side) except -1
    cdef bint is_moved(self, int side) noexcept
    cdef int64_t shown_best(self, int side) except? -1
    cdef int64_t best_price(self, int side) except? -1
    cdef bint is_crossed(self) except -1
    cdef int64_t external_at(self, int side, int64_t price) except? -1
    cdef int show(self, int side, int64_t price, int64_t size) except -1
    cdef int hide(self, int side, int64_t price, int64_t size) except -1
    cdef int take_within(self, int side, int64_t size, int64_t limit) except -1
    cdef int see_within(self, int side, int64_t limit) except -1


cdef class ExternalLevels(LevelSource):
    cdef Cell* cells[2]
    cdef int[2] counts
    cdef int[2] rooms
    cdef int[2] external_counts
    cdef bint[2] is_cut
    cdef int64_t[2][TAKEN_MAX] taken
    cdef int[2] taken_counts
    cdef int own_count
    cdef readonly int depth
    cdef readonly bint is_seen

    cdef int forget(self) except -1
    cdef int load(
        self, int place, const int64_t* keys, const int64_t* sizes, int count
    ) except -1
    cdef bint is_untouched(self) noexcept
    cdef void see_depth(self) noexcept
    cdef void note_taken(self, int place, int64_t key) noexcept
    cdef void note_set(self, int place, int64_t key) noexcept
    cdef int make_room(self, int place, int wanted) except -1
    cdef object best_of(self, int place)
    cdef tuple level_at(self, int place, int at)
    cdef int place_of(self, int place, int64_t key) noexcept
    cdef int insert(self, int place, int at, int64_t key) except -1
    cdef void remove(self, int place, int at) noexcept
    cdef int put(self, int side, int64_t price, int64_t size) except -1
    cdef int change_own(self, int side, int64_t price, int128 change) except -1
    cdef int take_keys(self, int side, int64_t size, int64_t limit_key) except -1


cdef class PortLevels(LevelSource):
    cdef object port


cdef LevelSource level_source(object liquidity)
