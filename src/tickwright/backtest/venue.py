"""Owns the venue of a backtest: the simulated exchange with a tape's market in it.

Filters, refusals with the venue's codes, request limits, matching, fees, funding, margin and
liquidation are the simulator's own (`simulator.private`); here is only where its markets come from.
It refuses to know when things happen: `now_ns` comes with every call.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import msgspec

from tickwright.backtest.impact import ImpactSpec
from tickwright.backtest.loop import TapeLoop
from tickwright.backtest.tape import Tape
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import SelfTradeRule, Side, TriggerBy
from tickwright.matching import Execution, FillCause, MatchEvent, QueueModel, Working
from tickwright.matching.impact import ImpactLevels
from tickwright.matching.levels import ExternalLevels, LevelSource
from tickwright.matching.liquidity import Level
from tickwright.simulator.book import VenueBook
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.gateway import AccountGateway, News
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.mirror import funding_e8_of, listing_of
from tickwright.simulator.private.accounts import FEES_PPM, AccountSpec
from tickwright.simulator.private.margin import SETTLE_ASSET
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.private.settlement import SymbolDesk, account_of
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

__all__ = ["AccountTerms", "FillCircumstance", "RestCircumstance", "TapeVenue"]

FACTS_WAITING_MAX = 100_000
"""Fills whose circumstances nobody took yet; there is one taker, within the same step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What an account starts with. Fees are (maker, taker) in parts per million, by category."""

    balances: tuple[tuple[str, Decimal], ...]
    fees_ppm: Mapping[Category, tuple[int, int]] = field(default_factory=lambda: FEES_PPM)
    leverage: Decimal = Decimal(10)
    self_trade: SelfTradeRule = SelfTradeRule.NONE


class FillCircumstance(msgspec.Struct, frozen=True, gc=False):
    """Why a fill happened, and the venue's mid (without our orders, twice) just before it.

    `impact_units` is how much worse its price was than what the market showed, because of us.
    """

    cause: str
    mid_twice: int | None
    impact_units: int = 0


class RestCircumstance(msgspec.Struct, frozen=True, gc=False):
    """When an order first rested, and how much was before it."""

    venue_ns: int
    ahead_units: int


class TapeBook(VenueBook):
    """A simulated book whose external levels the tape sets; `moved` is how our orders meet them."""

    __slots__ = ("moved", "source")

    def __init__(
        self, instrument: VenueInstrument, source: ExternalLevels, moved: ImpactLevels | None
    ) -> None:
        super().__init__(instrument, first_seq=1)
        self.source = source
        self.moved = moved

    @property
    def liquidity(self) -> LevelSource:
        """The compiled levels themselves."""
        return self.source if self.moved is None else self.moved

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask, own orders included."""
        return self.source.best()

    def levels(self, side: Side, limit: int | None = None) -> list[Level]:
        """Resting levels of a side, best first, own orders included."""
        return self.source.levels(side, limit)

    def external_size(self, side: Side, price_units: int) -> int:
        """Size of others at a price."""
        return self.source.external_size(side, price_units)


class TapeMarket(SymbolMarket):
    """A simulated market whose prices are the tape's."""

    __slots__ = ("loop", "slot")

    def __init__(
        self, instrument: VenueInstrument, book: TapeBook, rng: Random, *, slot: int
    ) -> None:
        super().__init__(instrument, book, rng)
        self.label = "tape"
        self.slot = slot
        self.loop: TapeLoop | None = None

    def mid_twice(self) -> int | None:
        """Twice the venue's mid without orders of ours; None when a side is empty."""
        return None if self.loop is None else self.loop.mid_twice(self.slot)

    @property
    def mid_units(self) -> int:
        """The venue's mid without orders of ours, or the last price when a side is empty."""
        twice = self.mid_twice()
        if twice is None:
            return self.last_price_units or self.instrument.reference_price_units
        return twice // 2

    @property
    def has_mark(self) -> bool:
        """Whether the tape has told a mark."""
        return self.loop is not None and self.loop.mark(self.slot) != 0

    @property
    def mark_units(self) -> int:
        """The tape's mark, or the mid before the first."""
        mark = 0 if self.loop is None else self.loop.mark(self.slot)
        return mark or self.mid_units

    @property
    def index_units(self) -> int:
        """The tape's index price, or the mark before the first."""
        index = 0 if self.loop is None else self.loop.index(self.slot)
        return index or self.mark_units

    def tick(self, at_ms: int) -> None:
        """Nothing is smoothed here: index and mark are the tape's."""


class TapeVenue:
    """The exchange of one backtest.

    `on_news(account_id, news, venue_ns)` is called with what private streams would carry.

    Raises:
        ConfigError: an instrument that doesn't settle in USDT; an account without money.
    """

    def __init__(
        self,
        tape: Tape,
        accounts: Mapping[AccountId, AccountTerms],
        *,
        seed: int,
        start_ns: int,
        rate_scale: float,
        queue: QueueModel,
        queue_exponent: float,
        impact: ImpactSpec | None,
        on_news: Callable[[AccountId, News, int], None],
    ) -> None:
        self._tape = tape
        self._queue = (queue, queue_exponent)
        self._impact = impact
        self._moved: list[ImpactLevels | None] = []
        rng = Random(seed)
        self._venue = SimulatedVenue([], [], rng=Random(rng.getrandbits(64)), start_ns=start_ns)
        self.sides: list[ExternalLevels] = []
        self._markets: list[TapeMarket] = []
        self._slots: dict[VenueBook, int] = {}
        for slot, instrument in enumerate(tape.instruments):
            self._list(slot, instrument)
        self.whole = WholeVenue(
            self._venue,
            FaultBoard(Random(rng.getrandbits(64))),
            PrivateOptions(
                accounts=tuple(
                    AccountSpec(str(one), "in process", terms.balances, fees_ppm=terms.fees_ppm)
                    for one, terms in accounts.items()
                ),
                seed=rng.getrandbits(32),
                rate_scale=rate_scale,
                has_funding=False,
            ),
        )
        self._desk = self.whole.desk
        self._desk.settlement.on_event = self._on_event
        instruments: dict[InstrumentId, Instrument] = {one.id: one for one in tape.instruments}
        self.gateways: dict[AccountId, AccountGateway] = {}
        for account_id, terms in accounts.items():
            key = self.whole.key(str(account_id))
            for one in tape.instruments:
                if not one.is_spot:
                    most = max(Decimal(1), one.leverage_max)
                    key.account.leverages[one.symbol] = min(terms.leverage, most)

            def told(news: News, account_id: AccountId = account_id) -> None:
                on_news(account_id, news, self._venue.now_ns)

            self.gateways[account_id] = AccountGateway(
                self.whole, account_id, key, instruments, told, self_trade=terms.self_trade
            )
        self.fills: deque[FillCircumstance] = deque(maxlen=FACTS_WAITING_MAX)
        """In the order of the executions that `on_news` tells."""
        self.rests: dict[str, RestCircumstance] = {}
        """By client id, since somebody last emptied it."""
        self._mid_before: int | None = None
        self._fundings: dict[int, tuple[int, int]] = {}
        self._loop: TapeLoop | None = None
        self._desks: list[SymbolDesk | None] = [None] * len(tape.instruments)
        self._watched_revision = 0

    def _list(self, slot: int, instrument: Instrument) -> None:
        if not instrument.is_spot and instrument.settle_asset != SETTLE_ASSET:
            raise ConfigError(
                f"backtests trade what settles in {SETTLE_ASSET}; {instrument.id} settles in "
                f"{instrument.settle_asset}"
            )
        listing = listing_of(instrument)
        side = ExternalLevels(depth=self._tape.header.depths[slot])
        moved = None if self._impact is None else self._impact.levels(instrument, side)
        self._moved.append(moved)
        book = TapeBook(listing, side, moved)
        market = TapeMarket(listing, book, self._venue.rng, slot=slot)
        self._venue.markets[listing.key] = market
        self.sides.append(side)
        self._markets.append(market)
        self._slots[book] = slot

    def follow(self, loop: TapeLoop) -> None:
        """Read prices from this walk along the tape."""
        self._loop = loop
        for market in self._markets:
            market.loop = loop

    # what the tape does -------------------------------------------------------------------------

    def on_matched(self, slot: int, now_ns: int) -> None:
        """Settle what the market did to orders of ours."""
        self._venue.now_ns = max(self._venue.now_ns, now_ns)
        desk = self._desks[slot]
        assert desk is not None and self._loop is not None
        desk.market.last_price_units = self._loop.last_price(slot)
        self._desk.follow(desk)
        self._watch(slot, desk)

    def on_mark(self, slot: int, now_ns: int) -> None:
        """Look at triggers and margins: the market's mid, mark or index has moved."""
        self._venue.now_ns = max(self._venue.now_ns, now_ns)
        desk = self._desks[slot]
        assert desk is not None
        self._desk.look(desk, now_ns)
        self._watch(slot, desk)

    def on_funding(self, slot: int, rate_e9: int, due_ns: int, now_ns: int) -> None:
        """Take a funding rate that is paid at `due_ns`."""
        self._venue.now_ns = max(self._venue.now_ns, now_ns)
        market, desk = self._markets[slot], self._desks[slot]
        rate_before, due_before = self._fundings.get(slot, (0, 0))
        if due_before and due_ns > due_before and desk is not None:
            # The venue names a later time: what it named before has been paid.
            self._desk.pay_funding(market, funding_e8_of(rate_before))
            self._watch(slot, desk)
        self._fundings[slot] = rate_e9, due_ns
        market.funding_e8 = funding_e8_of(rate_e9)

    # what we ask --------------------------------------------------------------------------------

    def at(self, now_ns: int, instrument_id: InstrumentId) -> None:
        """Move to a venue time at which a request for an instrument arrives."""
        self._venue.now_ns = max(self._venue.now_ns, now_ns)
        market = self._venue.markets[instrument_id.category, instrument_id.symbol]
        slot = self._slots[market.book]
        assert self._loop is not None
        market.last_price_units = self._loop.last_price(slot) or market.last_price_units
        self._loop.attend(slot)
        self._mid_before = self._markets[slot].mid_twice()
        moved = self._moved[slot]
        if moved is not None:
            # A market order is bounded by what it would meet now, before it enters the book.
            moved.see_time(self._venue.now_ns)
        if self._desks[slot] is None:
            desk = self._desks[slot] = self._desk.desk_of(market)
            desk.matching.queue_by(*self._queue)
            self._loop.trade_at(slot, desk.matching)

    def at_all(self, now_ns: int) -> None:
        """Move to a venue time at which a request for whole accounts arrives."""
        self._venue.now_ns = max(self._venue.now_ns, now_ns)
        assert self._loop is not None
        for slot, desk in enumerate(self._desks):
            if desk is not None:
                self._loop.attend(slot)

    def after(self, instrument_id: InstrumentId) -> None:
        """See to what must be watched after a request was carried out."""
        market = self._venue.markets[instrument_id.category, instrument_id.symbol]
        slot = self._slots[market.book]
        desk = self._desks[slot]
        self._mid_before = None
        if desk is not None:
            self._watch(slot, desk)

    def _watch(self, slot: int, desk: SymbolDesk) -> None:
        """Let the walk tell us of prices that matter, and of no others."""
        revision = sum(one.ledger.revision for one in self.whole.accounts.by_uid.values())
        if revision == self._watched_revision:
            self._watch_one(slot, desk)
            return
        # What one instrument cost an account, it has less of for its positions in the others.
        self._watched_revision = revision
        for place, other in enumerate(self._desks):
            if other is not None:
                self._watch_one(place, other)

    def _watch_one(self, slot: int, desk: SymbolDesk) -> None:
        loop, matching = self._loop, desk.matching
        assert loop is not None
        loop.trail(slot, self._desk.stops.follows_trades(desk))
        if matching.waiting_for(TriggerBy.MARK) or matching.waiting_for(TriggerBy.INDEX):
            loop.watch(slot, True)
            loop.watch_mark(slot, 1, 0)
            return
        symbol = desk.market.instrument.symbol
        low, high, is_held = 1, 1 << 61, False
        if desk.market.instrument.category is not Category.SPOT:
            accounts = self.whole.accounts.by_uid
            for key, size in matching.positions.items():
                if size:
                    is_held = True
                    bounds = self._desk.liquidator.bounds(accounts[account_of(key)], symbol)
                    low, high = max(low, bounds[0]), min(high, bounds[1])
        # Marks on the tape decide; before the first the mid stands for them.
        has_mark = self._markets[slot].has_mark
        loop.watch(slot, is_held and not has_mark, 2 * low, 2 * high + 1)
        if is_held:
            loop.watch_mark(slot, low, high)
        else:
            loop.watch_mark(slot)

    def _on_event(self, desk: SymbolDesk, event: MatchEvent) -> None:
        if isinstance(event, Execution):
            # What we take ourselves is gone from the levels by now.
            twice, paid = self._mid_before, 0
            if twice is None:
                twice = self._markets[self._slots[desk.market.book]].mid_twice()
            if self._impact is not None and _took_from_others(event):
                moved = self._moved[self._slots[desk.market.book]]
                assert moved is not None
                paid = moved.paid.popleft()
            self.fills.append(FillCircumstance(event.cause.value, twice, paid))
        elif isinstance(event, Working):
            link = desk.orders[event.order.order_id].link_id
            if link and link not in self.rests:
                self.rests[link] = RestCircumstance(event.now_ns, event.ahead_units)

    def faults(self) -> Sequence[str]:
        """Say where the venue's books and its ledger disagree; nothing when all is well."""
        return self._desk.faults()


def _took_from_others(event: Execution) -> bool:
    return event.cause is FillCause.TOOK and not event.counter_order_id
