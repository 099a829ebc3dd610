"""Trades on their way into Redis: in order, under ids that stay, none lost but the counted."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.oracle.instruments import make_instrument
from tests.oracle.redis_layout import trade_command
from tickwright.core.events import Trade
from tickwright.core.orders import Side
from tickwright.storage.redis_pack import CommandBuffer
from tickwright.storage.redis_trades import TradeQueue

KEYS = (b"k:{a}", b"k:{b}")


def trade_of(
    number: int, *, price: int = 5, size: int = 7, trade_id: str = "", received_ns: int = 10**15
) -> Trade:
    return Trade(
        instrument_id=make_instrument().id,
        side=Side.BUY if number % 2 else Side.SELL,
        price_units=price,
        size_units=size,
        trade_id=trade_id or f"t{number}",
        venue_ns=3,
        received_ns=received_ns,
    )


def queue_of(bytes_max: int = 10**8) -> TradeQueue:
    made = TradeQueue(bytes_max=bytes_max, entries_max=10)
    assert [0, 1] == [made.add_stream(key) for key in KEYS]
    return made


@given(
    price=st.integers(0, 2**63 - 1),
    size=st.integers(0, 2**63 - 1),
    decimals=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    trade_id=st.text(min_size=1, max_size=40),
    received_ns=st.integers(0, 2**62),
)
def test_trade_when_written_then_is_the_plain_command_byte_for_byte(
    price: int, size: int, decimals: tuple[int, int], trade_id: str, received_ns: int
):
    instrument = make_instrument(price_decimals=decimals[0], size_decimals=decimals[1])
    trade = trade_of(0, price=price, size=size, trade_id=trade_id, received_ns=received_ns)
    queue, buffer = queue_of(), CommandBuffer()

    queue.push(1, trade, price_decimals=decimals[0], size_decimals=decimals[1])
    queue.begin()

    assert (1, 0) == (queue.pack([buffer], [0, 0], 5), queue.pack([buffer], [0, 0], 5))
    expected = trade_command(KEYS[1].decode(), instrument, trade, number=1, entries_max=10)
    assert expected == bytes(buffer)
    assert [1] == queue.touched_streams()


class Queue(RuleBasedStateMachine):
    """The queue beside a plain list of (number, stream, id)."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queue_of()
        self.waiting: list[tuple[int, int, str]] = []
        self.number = 0
        self.packed = 0
        self.written: list[tuple[int, int, str]] = []
        self.queue.begin()

    @rule(count=st.integers(1, 9_000))
    def push(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            trade = trade_of(self.number, trade_id=f"{self.number:036d}")
            self.queue.push(self.number % 2, trade, price_decimals=1, size_decimals=1)
            self.waiting.append((self.number, self.number % 2, trade.trade_id))

    @rule(count=st.integers(1, 9_000))
    def pack(self, count: int) -> None:
        buffers = [CommandBuffer(), CommandBuffer()]
        done = self.queue.pack(buffers, [0, 1], count)
        expected = self.waiting[self.packed : self.packed + count]
        self.packed += done
        assert len(expected) == done
        for stream in range(2):
            entries = bytes(buffers[stream]).split(b"*18\r\n")[1:]
            found = []
            for entry in entries:
                words = entry.split(b"\r\n")[1::2]
                assert KEYS[stream] == words[1]
                found.append((int(words[5].split(b"-")[1]), stream, words[13].decode()))
            assert [one for one in expected if one[1] == stream] == found

    @rule()
    def commit(self) -> None:
        assert self.packed == self.queue.commit()
        del self.waiting[: self.packed]
        self.packed = 0

    @rule()
    def roll_back(self) -> None:
        self.queue.roll_back()
        self.packed = 0

    @invariant()
    def counts_agree(self) -> None:
        assert (len(self.waiting), 0) == (self.queue.waiting, self.queue.lost)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


def test_queue_when_full_then_the_oldest_are_lost_and_numbers_go_on():
    queue = queue_of(bytes_max=0)
    for number in range(1, 20_001):
        queue.push(0, trade_of(number, trade_id="x" * 36), price_decimals=0, size_decimals=0)
    kept = queue.waiting
    buffer = CommandBuffer()
    queue.begin()
    queue.pack([buffer], [0, 0], 1)

    assert 20_000 == kept + queue.lost
    assert 2_000 < kept < 10_000
    first = int(bytes(buffer).split(b"\r\n")[12].split(b"-")[1])
    assert queue.lost + 1 == first


def test_queue_when_what_is_under_way_is_pushed_out_then_its_write_decides():
    for is_written in (True, False):
        queue, buffer = queue_of(bytes_max=0), CommandBuffer()
        for number in range(10_000):
            queue.push(0, trade_of(number, trade_id="x" * 36), price_decimals=0, size_decimals=0)
        before = queue.lost
        queue.begin()
        assert 500 == queue.pack([buffer], [0, 0], 500)
        for number in range(10_000):
            queue.push(0, trade_of(number, trade_id="x" * 36), price_decimals=0, size_decimals=0)
        assert 20_000 == queue.waiting + queue.lost + 500
        if is_written:
            assert 500 == queue.commit()
            assert 20_000 == queue.waiting + queue.lost + 500
        else:
            queue.roll_back()
            assert 20_000 == queue.waiting + queue.lost
        assert queue.lost > before
