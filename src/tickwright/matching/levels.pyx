"""Owns others' resting size by price as the engine reads it; refuses to hold users' orders.

`ExternalLevels` is the plain compiled `Liquidity`. Any other one is asked through `PortLevels`, by
the same compiled calls.

Per side one array of cells, ascending by signed key (bids +price, asks -price), so that the best
level is last, one routine serves both sides, and changes near the top move few bytes.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from tickwright.matching.orders cimport PRICE_UNITS_LIMIT, int128

from tickwright.core.orders import Side

__all__ = ["UNSEEN_UNITS", "ExternalLevels", "LevelSource", "PortLevels"]

UNSEEN_UNITS = INT64_MAX // 4
"""Size before an order where levels can't be seen: more than trades can ever use up."""
cdef int64_t _UNSEEN = UNSEEN_UNITS

cdef enum:
    STEPS_MAX = 8      # how far from the best a plain walk beats a binary search

cdef object _BUY = Side.BUY
cdef object _SELL = Side.SELL


cdef class LevelSource:
    """What the compiled engine asks of external levels; `side` as a place: BUY is the bids."""

    def __dealloc__(self):
        free(self.found)

    cdef int find(self, int64_t price, int64_t size) except -1:
        """Note one level taken or seen."""
        cdef int room
        cdef Found* moved
        if self.found_count == self.found_room:
            room = 2 * self.found_room if self.found_room else 16
            moved = <Found*> realloc(self.found, room * sizeof(Found))
            if moved == NULL:
                raise MemoryError
            self.found = moved
            self.found_room = room
        self.found[self.found_count].price = price
        self.found[self.found_count].size = size
        self.found_count += 1
        return 0

    cdef int look(self, int64_t now_ns) except -1:
        """Hear what time it is, before an order arrives or the levels are compared with others."""
        return 0

    cdef int took(self, int side) except -1:
        """Hear that an order on `side` was filled by all that `take_within` just found."""
        return 0

    cdef bint is_moved(self, int side) noexcept:
        """Whether an aggressor on `side` meets the levels elsewhere than they are shown."""
        return False

    cdef int64_t shown_best(self, int side) except? -1:
        """Return a side's best price as it is shown; `best_price` is as an order meets it."""
        return self.best_price(side)

    cdef int64_t best_price(self, int side) except? -1:
        """Return a side's best price, users' orders included; 0 for an empty side."""
        raise NotImplementedError

    cdef bint is_crossed(self) except -1:
        """Whether the best bid, users' orders included, has reached the best ask."""
        raise NotImplementedError

    cdef int64_t external_at(self, int side, int64_t price) except? -1:
        """Return the external size at a price."""
        raise NotImplementedError

    cdef int show(self, int side, int64_t price, int64_t size) except -1:
        """Show a user's resting size."""
        raise NotImplementedError

    cdef int hide(self, int side, int64_t price, int64_t size) except -1:
        """Take a user's resting size back."""
        raise NotImplementedError

    cdef int take_within(self, int side, int64_t size, int64_t limit) except -1:
        """Consume external size as an aggressor on `side`; `found` tells what was taken."""
        raise NotImplementedError

    cdef int see_within(self, int side, int64_t limit) except -1:
        """Find the external size of every level an aggressor on `side` could reach."""
        raise NotImplementedError


@cython.final
cdef class ExternalLevels(LevelSource):
    """The plain `Liquidity`: levels set one by one by whoever replays a market.

    `depth` is how many levels a side of the source shows at most; 0 says all. Beyond what is shown,
    and everywhere after `lose_sight`, an order queues behind more than anybody could trade, and
    there is nothing to take.
    """

    def __cinit__(self, *, int depth=0):
        assert depth >= 0, f"depth {depth}"
        self.depth = depth
        self.is_seen = True

    def __dealloc__(self):
        free(self.cells[0])
        free(self.cells[1])

    # for Python: `Liquidity` --------------------------------------------------------------------

    def set_level(self, int side, int64_t price_units, int64_t size_units):
        """Set the external size at a price; 0 removes it. Forgets what users took there."""
        self.put(side, price_units, size_units)
        self.see_depth()

    def lose_sight(self):
        """Forget all external size: nobody knows what rests until `see`."""
        self.forget()

    def see(self):
        """Say that the levels set since `lose_sight` are the whole truth again."""
        self.is_seen = True

    def best(self):
        """Return the best bid and ask, users' orders included."""
        return self.best_of(0), self.best_of(1)

    def levels(self, int side, limit=None):
        """Return a side's levels best first, users' orders included."""
        cdef int place = 0 if side > 0 else 1, i, count = self.counts[place], last = 0
        if limit is not None and limit < count:
            last = count - max(0, <int> limit)
        return [self.level_at(place, i) for i in range(count - 1, last - 1, -1)]

    def external_size(self, int side, int64_t price_units):
        """Return the external size resting at a price."""
        return self.external_at(side, price_units)

    def add_own(self, int side, int64_t price_units, int64_t size_units):
        """Show a user's resting size."""
        self.change_own(side, price_units, size_units)

    def remove_own(self, int side, int64_t price_units, int64_t size_units):
        """Take a user's resting size back."""
        self.change_own(side, price_units, -(<int128> size_units))

    def take(self, int side, int64_t size_units, limit_price_units):
        """Consume external size as an aggressor on `side`, best first, within the limit price."""
        cdef int i
        cdef int64_t limit_key = INT64_MIN
        if limit_price_units is not None:
            limit_key = -side * <int64_t> limit_price_units
        self.take_keys(side, size_units, limit_key)
        return [(self.found[i].price, self.found[i].size) for i in range(self.found_count)]

    cdef object best_of(self, int place):
        cdef int last = self.counts[place] - 1
        return None if last < 0 else self.level_at(place, last)

    cdef tuple level_at(self, int place, int at):
        cdef Cell* cell = self.cells[place] + at
        return cell.key if place == 0 else -cell.key, cell.external + cell.own

    # for the engine -----------------------------------------------------------------------------

    cdef int64_t best_price(self, int side) except? -1:
        cdef int place = 0 if side > 0 else 1
        cdef int count = self.counts[place]
        return side * self.cells[place][count - 1].key if count else 0

    cdef bint is_crossed(self) except -1:
        cdef int bids = self.counts[0], asks = self.counts[1]
        if bids == 0 or asks == 0:
            return False
        return self.cells[0][bids - 1].key >= -self.cells[1][asks - 1].key

    cdef int64_t external_at(self, int side, int64_t price) except? -1:
        cdef int place = 0 if side > 0 else 1
        cdef int64_t key = side * price
        cdef int at = self.place_of(place, key), i
        if not self.is_seen:
            return _UNSEEN
        if at < self.counts[place] and self.cells[place][at].key == key:
            if self.cells[place][at].external:
                return self.cells[place][at].external
        if self.is_cut[place]:
            # Nothing external is shown here; whether that means nothing depends on the worst shown.
            for i in range(at):
                if self.cells[place][i].external:
                    return 0
            return _UNSEEN
        return 0

    cdef int show(self, int side, int64_t price, int64_t size) except -1:
        return self.change_own(side, price, size)

    cdef int hide(self, int side, int64_t price, int64_t size) except -1:
        return self.change_own(side, price, -(<int128> size))

    cdef int take_within(self, int side, int64_t size, int64_t limit) except -1:
        return self.take_keys(side, size, -side * limit)

    cdef int see_within(self, int side, int64_t limit) except -1:
        cdef int place = 1 if side > 0 else 0, i
        cdef int64_t limit_key = -side * limit
        cdef Cell* cells = self.cells[place]
        self.found_count = 0
        for i in range(self.counts[place] - 1, -1, -1):
            if cells[i].key < limit_key:
                break
            self.find(-side * cells[i].key, cells[i].external)
        return 0

    cdef int forget(self) except -1:
        cdef int place, i, kept
        cdef Cell* cells
        self.is_seen = False
        for place in range(2):
            cells = self.cells[place]
            kept = 0
            for i in range(self.counts[place]):
                if cells[i].own:
                    cells[kept] = cells[i]
                    cells[kept].external = 0
                    kept += 1
            self.counts[place] = kept
            self.external_counts[place] = 0
            self.is_cut[place] = False
            self.taken_counts[place] = 0
        return 0

    # for who follows a market elsewhere ---------------------------------------------------------

    cdef bint is_untouched(self) noexcept:
        """Whether no user changes what the market shows: nothing rests, nothing is missing."""
        return self.own_count == 0 and self.taken_counts[0] == 0 and self.taken_counts[1] == 0

    cdef int load(
        self, int place, const int64_t* keys, const int64_t* sizes, int count
    ) except -1:
        """Set a whole side, keys ascending, where nothing stood before."""
        cdef int i
        assert self.counts[place] == 0, f"{self.counts[place]} levels where none should be"
        self.make_room(place, count)
        for i in range(count):
            self.cells[place][i].key = keys[i]
            self.cells[place][i].external = sizes[i]
            self.cells[place][i].own = 0
        self.counts[place] = self.external_counts[place] = count
        self.is_cut[place] = self.depth != 0 and count >= self.depth
        return 0

    cdef void note_taken(self, int place, int64_t key) noexcept:
        """Remember that a user took from a level, until the market sets it again."""
        cdef int i
        for i in range(min(self.taken_counts[place], TAKEN_MAX)):
            if self.taken[place][i] == key:
                return
        if self.taken_counts[place] < TAKEN_MAX:
            self.taken[place][self.taken_counts[place]] = key
        # One more than fits can't be told apart any more: until `forget`, something is missing.
        if self.taken_counts[place] <= TAKEN_MAX:
            self.taken_counts[place] += 1

    cdef void note_set(self, int place, int64_t key) noexcept:
        """Remember that the market set a level itself."""
        cdef int i
        if self.taken_counts[place] > TAKEN_MAX:
            return
        for i in range(self.taken_counts[place]):
            if self.taken[place][i] == key:
                self.taken_counts[place] -= 1
                self.taken[place][i] = self.taken[place][self.taken_counts[place]]
                return

    # the cells ----------------------------------------------------------------------------------

    cdef int place_of(self, int place, int64_t key) noexcept:
        """Return where a key is, or where it would be."""
        cdef Cell* cells = self.cells[place]
        cdef int low = 0, high = self.counts[place], middle, _
        for _ in range(STEPS_MAX):
            if high == 0 or cells[high - 1].key < key:
                return high
            high -= 1
        while low < high:
            middle = (low + high) >> 1
            if cells[middle].key < key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int make_room(self, int place, int wanted) except -1:
        cdef int room = max(self.rooms[place], 64)
        cdef Cell* cells
        if wanted <= self.rooms[place]:
            return 0
        while room < wanted:
            room *= 2
        cells = <Cell*> realloc(self.cells[place], room * sizeof(Cell))
        if cells == NULL:
            raise MemoryError
        self.cells[place] = cells
        self.rooms[place] = room
        return 0

    cdef int insert(self, int place, int at, int64_t key) except -1:
        cdef int count = self.counts[place]
        cdef Cell* cells
        self.make_room(place, count + 1)
        cells = self.cells[place]
        memmove(cells + at + 1, cells + at, (count - at) * sizeof(Cell))
        cells[at].key = key
        cells[at].external = 0
        cells[at].own = 0
        self.counts[place] = count + 1
        return 0

    cdef void remove(self, int place, int at) noexcept:
        cdef Cell* cells = self.cells[place]
        self.counts[place] -= 1
        memmove(cells + at, cells + at + 1, (self.counts[place] - at) * sizeof(Cell))

    cdef int put(self, int side, int64_t price, int64_t size) except -1:
        """Set the external size at a price."""
        cdef int place = 0 if side > 0 else 1
        cdef int64_t key = side * price
        cdef int at = self.place_of(place, key)
        cdef bint is_there = at < self.counts[place] and self.cells[place][at].key == key
        assert side * side == 1 and 0 < price <= PRICE_UNITS_LIMIT, f"side {side}, price {price}"
        assert size >= 0, f"size at {price} would be {size}"
        if self.taken_counts[place]:
            self.note_set(place, key)
        if not is_there:
            if size == 0:
                return 0
            self.insert(place, at, key)
        self.external_counts[place] += (size != 0) - (self.cells[place][at].external != 0)
        self.cells[place][at].external = size
        if size == 0 and self.cells[place][at].own == 0:
            self.remove(place, at)
        return 0

    cdef void see_depth(self) noexcept:
        """Note, after a message, whether a side shows as many levels as the source ever does."""
        cdef int place
        if self.depth:
            for place in range(2):
                if self.external_counts[place] >= self.depth:
                    # For good: users may take levels away, and the source still shows no more.
                    self.is_cut[place] = True

    cdef int change_own(self, int side, int64_t price, int128 change) except -1:
        cdef int place = 0 if side > 0 else 1
        cdef int64_t key = side * price
        cdef int at = self.place_of(place, key)
        cdef bint is_there = at < self.counts[place] and self.cells[place][at].key == key
        cdef int128 size = change
        if is_there:
            size += self.cells[place][at].own
        assert side * side == 1 and 0 < price <= PRICE_UNITS_LIMIT, f"side {side}, price {price}"
        assert size >= 0, f"own size at {price} would be {size}"
        if not is_there:
            if size == 0:
                return 0
            self.insert(place, at, key)
        self.own_count += (size != 0) - (self.cells[place][at].own != 0)
        self.cells[place][at].own = size
        if size == 0 and self.cells[place][at].external == 0:
            self.remove(place, at)
        return 0

    cdef int take_keys(self, int side, int64_t size, int64_t limit_key) except -1:
        cdef int place = 1 if side > 0 else 0, i
        cdef Cell* cells = self.cells[place]
        cdef int64_t taken
        self.found_count = 0
        for i in range(self.counts[place] - 1, -1, -1):
            if size <= 0 or cells[i].key < limit_key:
                break
            taken = cells[i].external
            if taken == 0:
                continue
            if taken > size:
                taken = size
            self.find(-side * cells[i].key, taken)
            self.note_taken(place, cells[i].key)
            cells[i].external -= taken
            if cells[i].external == 0:
                self.external_counts[place] -= 1
            size -= taken
            if cells[i].external == 0 and cells[i].own == 0:
                self.remove(place, i)
        return 0


@cython.final
cdef class PortLevels(LevelSource):
    """Asks any other `Liquidity`, written in Python."""

    def __init__(self, port):
        self.port = port

    cdef int64_t best_price(self, int side) except? -1:
        bid, ask = self.port.best()
        level = bid if side > 0 else ask
        return 0 if level is None else level[0]

    cdef bint is_crossed(self) except -1:
        bid, ask = self.port.best()
        return bid is not None and ask is not None and bid[0] >= ask[0]

    cdef int64_t external_at(self, int side, int64_t price) except? -1:
        return self.port.external_size(_BUY if side > 0 else _SELL, price)

    cdef int show(self, int side, int64_t price, int64_t size) except -1:
        self.port.add_own(_BUY if side > 0 else _SELL, price, size)
        return 0

    cdef int hide(self, int side, int64_t price, int64_t size) except -1:
        self.port.remove_own(_BUY if side > 0 else _SELL, price, size)
        return 0

    cdef int take_within(self, int side, int64_t size, int64_t limit) except -1:
        taken = self.port.take(_BUY if side > 0 else _SELL, size, limit)
        self.found_count = 0
        for price, part in taken:
            self.find(price, part)
        return 0

    cdef int see_within(self, int side, int64_t limit) except -1:
        cdef int64_t price
        place = _SELL if side > 0 else _BUY
        levels = self.port.levels(place)
        self.found_count = 0
        for level in levels:
            price = level[0]
            if side * price > side * limit:
                break
            self.find(price, self.port.external_size(place, price))
        return 0


cdef LevelSource level_source(object liquidity):
    """Return what the engine asks: the levels themselves, or a way to ask them."""
    if isinstance(liquidity, LevelSource):
        return liquidity
    return PortLevels(liquidity)
