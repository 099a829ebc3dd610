from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

cdef extern from *:
    """
    typedef __int128 tw_int128;
    """
    ctypedef long long int128 "tw_int128"

# The words of matching/kinds.py and core/orders.py by place or value; a test holds them equal.
cdef enum:
    NEW = 0
    ARMED = 1
    DUE = 2
    RESTING = 3
    DONE = 4

cdef enum:
    SELF_TRADE_NONE = 0
    CANCEL_MAKER = 1
    CANCEL_TAKER = 2
    CANCEL_BOTH = 3

cdef enum:
    STOP_NONE = 0
    STOP = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3

cdef enum:
    GTC = 0
    IOC = 1
    FOK = 2

cdef enum:
    BY_LAST = 0
    BY_MARK = 1
    BY_INDEX = 2

cdef enum:
    BUY = 1
    SELL = -1

cdef int64_t PRICE_UNITS_LIMIT

cdef int trigger_code(object by) except -1


cdef class OrderIds:
    cdef int64_t last

    cdef int64_t draw(self) noexcept


cdef class BookOrder:
    cdef readonly int64_t order_id
    cdef readonly int64_t account
    cdef readonly int64_t position
    cdef readonly int64_t size_units
    cdef readonly int64_t remaining_units
    cdef readonly int64_t filled_units
    cdef readonly int64_t price_units
    cdef readonly int64_t trigger_price_units
    cdef readonly int64_t take_profit_units
    cdef readonly int64_t stop_loss_units
    cdef readonly int64_t ahead_units
    cdef readonly int64_t arrival
    cdef int128 quote_max
    cdef int128 spent
    # Neighbours in the queue and what follows the order's position. Borrowed: the book that holds
    # the order keeps all of them alive, and clears these when the order leaves.
    cdef PyObject* before
    cdef PyObject* behind
    cdef PyObject* holding
    cdef int side_code
    cdef int tif_code
    cdef int phase_code
    cdef int self_trade_code
    cdef int stop_code
    cdef int trigger_by_code
    cdef int take_profit_by_code
    cdef int stop_loss_by_code
    cdef readonly bint is_market
    cdef readonly bint post_only
    cdef readonly bint reduce_only
    cdef readonly bint closes_position
    cdef readonly bint trigger_rises
    # What is shown would have filled it when it came, and what it met didn't: it pays as a taker.
    cdef readonly bint was_kept_off

    cdef void resize(self, int64_t size_units) noexcept
