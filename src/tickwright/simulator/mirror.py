"""Owns a simulated market that follows a live one, so that orders rest in it and never leave.

It refuses to make up size or to move anybody forward without evidence. The rules, in one place:
- External size is the live book's. What users take stays taken until the live level changes.
- An order queues behind all the size shown at its price. Where the live book can't be seen (deeper
  than it reaches, or not proven now) it queues behind more than anybody could trade, until the
  price is seen.
- A trade that the book had shown already (by the venue's sequence) fills and advances nobody: its
  effect on the queue is in the levels. It still triggers what waits for its price.
- While the live book isn't synced nothing fills and nothing triggers: orders rest, and who wants
  to take finds nobody. Afterwards the queue is bounded by what is shown; trades missed meanwhile
  filled nobody, and the highest and lowest price seen trigger what waited for them.
- Funding is paid when the venue names a later time for the next one, at the rate it named before.

Nothing of this market is published: the live feed is where its levels are seen.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.events import (
    FundingUpdate,
    IndexPrice,
    LastPrice,
    MarketEvent,
    MarkPrice,
    Trade,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.matching.levels import UNSEEN_UNITS
from tickwright.simulator.book import VenueBook
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import Level, PublicTrade
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["Mirror", "MirroredBook", "funding_e8_of", "listing_of", "mirror_of"]

_FUNDING_MINUTES = 480


def listing_of(instrument: Instrument) -> VenueInstrument:
    """Return the simulated venue's listing of a live instrument: its units and its filters."""
    listing = VenueInstrument(
        category=instrument.id.category,
        symbol=instrument.symbol,
        base=instrument.base_asset,
        quote=instrument.quote_asset,
        price_decimals=instrument.price_decimals,
        tick_units=instrument.tick_units,
        size_decimals=instrument.size_decimals,
        lot_units=instrument.lot_units,
        reference_price_units=instrument.tick_units,
        leverage_max=max(Decimal(1), instrument.leverage_max),
    )
    _copy_filters(listing, instrument)
    return listing


def _copy_filters(listing: VenueInstrument, instrument: Instrument) -> None:
    listing.tick_units = instrument.tick_units
    listing.lot_units = instrument.lot_units
    listing.size_min_units = instrument.size_min_units
    listing.size_max_units = instrument.size_max_units
    listing.market_size_max_units = instrument.market_size_max_units
    listing.notional_min = instrument.notional_min
    listing.leverage_max = max(Decimal(1), instrument.leverage_max)
    listing.funding_interval_minutes = instrument.funding_interval_minutes or _FUNDING_MINUTES


class MirroredBook(VenueBook):
    """Users' orders among the levels of a live book, which are read when they are needed.

    `sequence` and `venue_ns` are the live book's when it was last read.
    """

    __slots__ = ("_horizons", "_live", "_seen", "_version", "is_closed", "sequence", "venue_ns")

    def __init__(self, instrument: VenueInstrument) -> None:
        super().__init__(instrument, first_seq=1)
        self.is_closed = False
        """Set for good when the live instrument's units no longer are this book's."""
        self.sequence = 0
        self.venue_ns = 0
        self._live: OrderBook | None = None
        self._seen: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._horizons: list[int | None] = [None, None]
        self._version = -1

    def attach(self, live: OrderBook) -> None:
        """Follow this live book from now on."""
        self._live = live
        self._version = -1

    @property
    def is_seen(self) -> bool:
        """Whether the live book is proven now; without that nothing fills."""
        live = self._live
        return live is not None and live.is_synced and not self.is_closed

    @property
    def has_hooks(self) -> bool:
        """Whether anybody ever traded here."""
        return bool(self._change_hooks)

    def read(self) -> bool:
        """Take over what the live book changed since the last time; False while it can't be seen.

        Costs what the depth costs when something changed, else a few comparisons. Tells nobody:
        orders of users that rest are told by `changed`.
        """
        if not self.is_seen:
            return False
        live = self._live
        assert live is not None
        version = live.update_count + live.snapshot_count
        if version != self._version:
            self._version = version
            self.sequence = live.sequence
            self.venue_ns = live.venue_ns
            self._take_over(0, self.bids, live.bids(), live.capacity)
            self._take_over(1, self.asks, live.asks(), live.capacity)
        return True

    def _take_over(self, place: int, ladder: Ladder, levels: list[Level], capacity: int) -> None:
        # A level whose live size is the one seen before keeps what users left of it.
        seen, now = self._seen[place], dict(levels)
        sign = ladder.sign
        for price in seen.keys() - now.keys():
            ladder.set_external(sign * price, 0)
        for price, size in now.items() - seen.items():
            ladder.set_external(sign * price, size)
        self._seen = (now, self._seen[1]) if place == 0 else (self._seen[0], now)
        self._horizons[place] = sign * levels[-1][0] if len(levels) >= capacity else None

    # what the matching engine asks ----------------------------------------------------------------

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask, own orders included; own orders alone while nothing is seen."""
        if self.read():
            return super().best()
        bids, asks = self.bids.own, self.asks.own
        bid, ask = max(bids, default=None), max(asks, default=None)
        return (
            None if bid is None else (bid, bids[bid]),
            None if ask is None else (-ask, asks[ask]),
        )

    def levels(self, side: Side, limit: int | None = None) -> list[Level]:
        """Resting levels of a side as far as the live book is seen, own orders included."""
        if not self.read():
            return []
        horizon = self._horizons[0 if side is Side.BUY else 1]
        found = super().levels(side, limit)
        if horizon is None:
            return found
        return [level for level in found if side * level[0] >= horizon]

    def external_size(self, side: Side, price_units: int) -> int:
        """Live size at a price, less what users took; `UNSEEN_UNITS` where it can't be seen."""
        if not self.read():
            return UNSEEN_UNITS
        horizon = self._horizons[0 if side is Side.BUY else 1]
        if horizon is not None and side * price_units < horizon:
            return UNSEEN_UNITS
        return super().external_size(side, price_units)

    def take(self, side: Side, size_units: int, limit_price_units: int | None) -> list[Level]:
        """Consume live size as an aggressor; nothing while it can't be seen."""
        if not self.read():
            return []
        return super().take(side, size_units, limit_price_units)


class Mirror:
    """One symbol's way from the live feed into the simulated venue.

    `pay_funding(market, rate_e8)` lets every position of the contract pay.
    """

    def __init__(
        self,
        venue: SimulatedVenue,
        market: SymbolMarket,
        pay_funding: Callable[[SymbolMarket, int], None],
    ) -> None:
        assert isinstance(market.book, MirroredBook)
        self.market = market
        self.book: MirroredBook = market.book
        self._venue = venue
        self._pay_funding = pay_funding
        self._own_bids = self.book.bids.own
        self._own_asks = self.book.asks.own
        self._is_paused = True
        self._missed: tuple[int, int] | None = None
        self._funding_rate_e9 = 0
        self._funding_ns = 0

    @property
    def has_resting(self) -> bool:
        """Whether a user's order rests here, which must hear of every change of the levels."""
        return bool(self._own_bids or self._own_asks)

    def follow(self) -> None:
        """Let the resting orders see the live book as it is now.

        Trades that came before must have been told before: `on_trade`.
        """
        book = self.book
        if not book.read():
            self._is_paused = True
            return
        if book.has_hooks:
            book.changed(self._venue.now_ns, 1)
        if self._is_paused:
            self._is_paused = False
            self._resume()

    def _resume(self) -> None:
        missed, self._missed = self._missed, None
        if missed is not None:
            for price in (*missed, self.market.last_price_units):
                self._tell(Side.BUY, price, 0)

    def on_trade(self, trade: Trade) -> None:
        """Let a live trade reach the orders; one the book had shown already only triggers."""
        if trade.is_block:
            return  # agreed outside the book: it took nothing of it
        book, price = self.book, trade.price_units
        self.market.last_price_units = price
        if not book.has_hooks:
            return
        if not book.is_seen:
            low, high = self._missed or (price, price)
            self._missed = (min(low, price), max(high, price))
            self._is_paused = True
            return
        if trade.sequence:
            is_late = trade.sequence <= book.sequence
        else:
            is_late = trade.venue_ns <= book.venue_ns
        self._tell(trade.side, price, 0 if is_late else trade.size_units)

    def _tell(self, side: Side, price_units: int, size_units: int) -> None:
        trade = PublicTrade(side, price_units, size_units)
        self.book.external_trade(trade, self._venue.now_ns)

    def on_market(self, event: MarketEvent) -> None:
        """Take a price or a funding rate of the live feed."""
        market = self.market
        if isinstance(event, MarkPrice):
            market.facts = msgspec.structs.replace(market.facts, mark_units=event.price_units)
            # Stops and margins are judged by the mark; without a book nothing could be closed.
            if self.book.has_hooks and self.book.is_seen:
                self.book.changed(self._venue.now_ns, 1)
        elif isinstance(event, IndexPrice):
            market.facts = msgspec.structs.replace(market.facts, index_units=event.price_units)
        elif isinstance(event, LastPrice):
            market.last_price_units = market.last_price_units or event.price_units
        elif isinstance(event, FundingUpdate):
            self._on_funding(event)

    def _on_funding(self, event: FundingUpdate) -> None:
        market, before_ns = self.market, self._funding_ns
        if before_ns and event.next_funding_ns > before_ns and self.book.has_hooks:
            self._pay_funding(market, funding_e8_of(self._funding_rate_e9))
        self._funding_ns = event.next_funding_ns
        self._funding_rate_e9 = event.rate_e9
        market.funding_e8 = funding_e8_of(event.rate_e9)

    def change_instrument(self, instrument: Instrument) -> bool:
        """Take new filters; False when the units changed, which ends trading here for this run."""
        listing = self.market.instrument
        decimals = instrument.price_decimals, instrument.size_decimals
        if decimals != (listing.price_decimals, listing.size_decimals):
            self.book.is_closed = True
            return False
        _copy_filters(listing, instrument)
        return True


def mirror_of(
    venue: SimulatedVenue,
    instrument: Instrument,
    pay_funding: Callable[[SymbolMarket, int], None],
) -> Mirror:
    """List a live instrument at a simulated venue; `Mirror.book.attach` gives it its live book."""
    listing = listing_of(instrument)
    market = SymbolMarket(listing, MirroredBook(listing), venue.rng)
    market.label = "live"
    venue.markets[listing.key] = market
    return Mirror(venue, market, pay_funding)


def funding_e8_of(rate_e9: int) -> int:
    """Return a rate in units of 10^-8, half-even; venues name eight decimals."""
    quotient, rest = divmod(rate_e9, 10)
    return quotient + (rest > 5 or (rest == 5 and quotient & 1 == 1))
