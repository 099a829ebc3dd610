"""Owns one account's books: holdings per instrument, balances per asset, and the sums over them.

Refuses to be asked for a sum that has a part nobody can value: then equity and exposure are None,
and `unknown_*` says what is missing. Exposure of an instrument is the larger of what its working
orders could make of its position, so it counts what may happen and not only what is.
"""

from collections.abc import Callable
from dataclasses import replace

from tickwright.core.events import AccountState, PositionReport
from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.portfolio.ledger import AssetBalance
from tickwright.portfolio.position import Position
from tickwright.portfolio.valuation import Market, Valuer

__all__ = ["MARGIN_PARTS", "Account", "Holding", "LegBook", "Purse"]

MARGIN_PARTS = 1_000_000
"""A margin is parts per million of its exposure."""
# Looking a member up in its class is a Python call, and every new mark asks.
_NET = Leg.NET


class LegBook:
    """One leg of one instrument: the account's position and how strategies share it.

    `shares[None]` is the unowned part: what no strategy of ours asked for. `adopted_ns` is the
    venue time of the report whose size we took: executions up to it are in that size already.
    `told` is the venue's last report of it, for margins: never believed for the size.
    """

    __slots__ = ("adopted_ns", "position", "shares", "told")

    def __init__(self, position: Position) -> None:
        self.position = position
        self.shares: dict[StrategyId | None, Position] = {}
        self.adopted_ns = 0
        self.told: PositionReport | None = None

    def share(self, strategy_id: StrategyId | None) -> Position:
        """Return the part of one strategy, or the unowned part; made flat when it is new."""
        share = self.shares.get(strategy_id)
        if share is None:
            whole = self.position
            share = Position(whole.account_id, whole.instrument_id, whole.leg)
            self.shares[strategy_id] = share
        return share


class Holding:
    """What one account holds and has working in one instrument.

    `working_buy_units` and `working_sell_units` are the remaining sizes of orders that may still
    fill and could raise exposure: reduce-only ones left out, unknown requests counted as live.
    `open_orders` counts every order not finished. `halt_reason` is set by an execution nobody can
    book.
    """

    __slots__ = (
        "_exposure_known",
        "_margin_of",
        "_unrealised_known",
        "account",
        "down",
        "exposure",
        "halt_reason",
        "index",
        "is_hedged",
        "legs",
        "long_units",
        "margin",
        "margin_parts",
        "market",
        "open_orders",
        "short_units",
        "unknown_requests",
        "unrealised",
        "up",
        "working_buy_units",
        "working_sell_units",
    )

    def __init__(self, account: "Account", market: Market, index: int) -> None:
        self.account = account
        self.market = market
        self.index = index
        net = Position(account.account_id, market.instrument.id, Leg.NET)
        self.legs: dict[Leg, LegBook] = {Leg.NET: LegBook(net)}
        self.is_hedged = False
        """Whether the account keeps separate long and short legs here."""
        self.long_units = 0
        self.short_units = 0
        """Sizes of the net position, or of both legs, without sign."""
        self.working_buy_units = 0
        self.working_sell_units = 0
        self.open_orders = 0
        self.unknown_requests = 0
        self.halt_reason = ""
        self.unrealised = 0
        self.exposure = 0
        self.up = 0
        self.down = 0
        """Signed worth were all working buys filled, or all working sells: the ends of what may
        come."""
        self.margin_parts = MARGIN_PARTS
        self.margin = 0
        """Initial margin of the exposure, `margin_parts` parts per million of it."""
        self._margin_of: Instrument | None = None
        self._unrealised_known = True
        self._exposure_known = True
        self._follow_margin_rule()

    def leg(self, leg: Leg) -> LegBook:
        """Return one leg, made flat when it is new."""
        book = self.legs.get(leg)
        if book is None:
            position = Position(self.account.account_id, self.market.instrument.id, leg)
            book = self.legs[leg] = LegBook(position)
            self.is_hedged = True
        return book

    @property
    def net_units(self) -> int:
        """Signed size over all legs."""
        return self.long_units - self.short_units

    def worth_of(self, size_units: int) -> int | None:
        """Return the notional of a size at the mark in the equity asset; None without a price."""
        if not size_units:
            return 0
        mark = self.market.mark_units
        if mark is None:
            return None
        worth = self.market.quote_value(size_units, mark)
        return self.account.valuer.value(self.market.instrument.quote_asset, worth)

    @property
    def exposure_units(self) -> int:
        """Size that can be at risk: max(|position + buys|, |position - sells|).

        With separate legs nothing nets: both legs and all that may open them count.
        """
        if self.is_hedged:
            held = self.long_units + self.short_units
            return held + self.working_buy_units + self.working_sell_units
        position = self.long_units - self.short_units
        return max(abs(position + self.working_buy_units), abs(position - self.working_sell_units))

    def positions(self) -> list[Position]:
        """Return every leg's position and every share of it."""
        return [
            one for book in self.legs.values() for one in (book.position, *book.shares.values())
        ]

    def profit(self, position: Position) -> int | None:
        """Return the unrealised profit of a position or share here; None without a mark."""
        if not position.size_units and not position.costed:
            return 0
        mark = self.market.mark_units
        return None if mark is None else position.unrealised(self.market.instrument, mark)

    def start_day(self) -> bool:
        """Begin a day for every position; say whether all of them could be valued."""
        is_valued = True
        for position in self.positions():
            unrealised = self.profit(position)
            is_valued &= unrealised is not None
            position.start_day(unrealised)
        return is_valued

    def value_bases(self) -> bool:
        """Value what had no mark when the day began; say whether all of it is done."""
        if self.market.mark_units is None:
            return False
        for position in self.positions():
            if position.base.unrealised is None:
                position.base = replace(position.base, unrealised=self.profit(position))
        return True

    def refresh(self) -> None:
        """Take over changed positions and value the holding anew."""
        long_units = short_units = 0
        for book in self.legs.values():
            size = book.position.size_units
            if size > 0:
                long_units += size
            else:
                short_units -= size
        self.long_units = long_units
        self.short_units = short_units
        self._follow_margin_rule()
        self.revalue()

    def _follow_margin_rule(self) -> None:
        rule, instrument = self.account.margin_rule, self.market.instrument
        if rule is not None and self._margin_of is not instrument:
            self._margin_of = instrument
            self.margin_parts = rule(instrument)

    def take_margin_rule(self) -> None:
        """Value the margin by the account's rule of now."""
        self._margin_of = None
        self._follow_margin_rule()
        self.revalue()

    def revalue(self) -> None:
        """Compute unrealised PnL and exposure anew and correct the account's sums."""
        market = self.market
        instrument = market.instrument
        mark = market.mark_units
        direct = market.direct_value
        if direct and mark is not None and not self.is_hedged and not market.is_spot:
            # The common case, computed without asking anybody.
            unit = mark * direct
            position = self.long_units - self.short_units
            up = (position + self.working_buy_units) * unit
            down = (position - self.working_sell_units) * unit
            self._book_profit(position * unit - self.legs[_NET].position.cost if position else 0)
            if not self._exposure_known:
                self.account.exposure_unknown -= 1
                self._exposure_known = True
            self._take_worth(max(abs(up), abs(down)), up, down)
            return
        unrealised: int | None = 0
        exposure: int | None = 0
        units = self.exposure_units
        has_pnl = not instrument.is_spot and (self.long_units or self.short_units)
        if mark is None:
            exposure = None if units else 0
            unrealised = None if has_pnl else 0
        else:
            valuer = self.account.valuer
            if units:
                exposure = valuer.value(instrument.quote_asset, market.quote_value(units, mark))
            if has_pnl:
                profit = 0
                for book in self.legs.values():
                    profit += book.position.unrealised(instrument, mark)
                unrealised = valuer.value(instrument.settle_asset, profit)
        self._book_profit(unrealised)
        known = exposure is not None
        worth = exposure or 0
        self.account.exposure_unknown += self._exposure_known - known
        self._exposure_known = known
        if worth or self.exposure:
            self._expose(worth)

    def take_working(
        self, buy_units: int, sell_units: int, open_orders: int, unknown_requests: int
    ) -> None:
        """Take the totals of orders that may still fill; see `Portfolio.set_working`."""
        assert buy_units >= 0 <= sell_units and open_orders >= 0, "totals are counts"
        self.open_orders = open_orders
        if self.unknown_requests != unknown_requests:
            self.account.unknown_requests += unknown_requests - self.unknown_requests
            self.unknown_requests = unknown_requests
        if self.working_buy_units != buy_units or self.working_sell_units != sell_units:
            self.working_buy_units = buy_units
            self.working_sell_units = sell_units
            self.revalue_exposure()

    def revalue_exposure(self) -> None:
        """Compute exposure alone anew: all that working orders change."""
        market, mark = self.market, self.market.mark_units
        if not market.direct_value or mark is None or not self._exposure_known or self.is_hedged:
            self.revalue()
            return
        unit = mark * market.direct_value
        position = self.long_units - self.short_units
        up = (position + self.working_buy_units) * unit
        down = (position - self.working_sell_units) * unit
        self._take_worth(max(abs(up), abs(down)), up, down)

    def _expose(self, worth: int) -> None:
        """Take a new worth of the exposure, with its signed ends."""
        up = down = 0
        if worth:
            units = self.exposure_units
            position = self.long_units - self.short_units
            # A whole multiple of the units where the price is direct, so nothing is lost there.
            up = worth * (position + self.working_buy_units) // units
            down = worth * (position - self.working_sell_units) // units
        self._take_worth(worth, up, down)

    def _take_worth(self, worth: int, up: int, down: int) -> None:
        """Correct the account's sums by what the exposure is worth now, its margin among them."""
        account, before = self.account, self.exposure
        margin = worth * self.margin_parts // MARGIN_PARTS
        account.exposure_sum += worth - before
        account.active_count += (worth > 0) - (before > 0)
        account.up_sum += up - self.up
        account.down_sum += down - self.down
        account.margin_sum += margin - self.margin
        self.exposure = worth
        self.up = up
        self.down = down
        self.margin = margin

    def _book_profit(self, unrealised: int | None) -> None:
        """Correct the account's sums by what the position would make if closed now."""
        account = self.account
        known = unrealised is not None
        worth = unrealised or 0
        account.equity_sum += worth - self.unrealised
        account.equity_unknown += self._unrealised_known - known
        self.unrealised = worth
        self._unrealised_known = known

    @property
    def is_known(self) -> bool:
        """Whether profit and exposure could be valued."""
        return self._unrealised_known and self._exposure_known


class Purse:
    """One asset balance with its worth in the equity asset."""

    __slots__ = (
        "_is_known",
        "account",
        "balance",
        "pending_flow",
        "spot_holdings",
        "worth",
    )

    def __init__(self, account: "Account", balance: AssetBalance) -> None:
        self.account = account
        self.balance = balance
        self.worth = 0
        self._is_known = True
        self.pending_flow = 0
        """Unexplained changes that wait for a price."""
        self.spot_holdings: list[Holding] = []

    def note_unexplained(self, delta: int) -> None:
        """Count an unexplained change at the price of now, or of when there is one."""
        self.pending_flow += delta

    def refresh(self) -> None:
        """Take over a changed balance: value it, and show it in the spot holdings of the asset."""
        self.revalue()
        for holding in self.spot_holdings:
            holding.legs[Leg.NET].position.set_amount(
                self.balance.amount, holding.market.instrument
            )
            holding.refresh()

    def revalue(self) -> None:
        """Compute the worth and correct the account's sums."""
        account = self.account
        worth = account.valuer.value(self.balance.asset, self.balance.amount)
        known = worth is not None
        account.equity_sum += (worth or 0) - self.worth
        account.equity_unknown += self._is_known - known
        self.worth = worth or 0
        self._is_known = known
        if self.pending_flow and known:
            flow = account.valuer.value(self.balance.asset, self.pending_flow)
            if flow is not None:
                account.unexplained += flow
                account.base_version += 1
                self.pending_flow = 0

    @property
    def is_known(self) -> bool:
        """Whether the balance could be valued."""
        return self._is_known


class Account:
    """One account: its holdings and purses, with equity and gross exposure as ready sums.

    Money in units of 10^-18 of the equity asset. `transferred` sums transfers told by name and
    `unexplained` what reports changed without a reason, each at the price of its moment. Losses are
    net of transfers: a rise nobody explained counts as a transfer in (it may not hide a loss), a
    fall nobody explained stays a loss until a transfer is told. `totals` is what the venue last
    said of the whole account, margins among it, in its own unit of account.
    """

    __slots__ = (
        "_unvalued",
        "account_id",
        "active_count",
        "base_version",
        "day_end_ns",
        "day_start_equity",
        "day_start_ns",
        "day_start_transferred",
        "day_start_unexplained",
        "down_sum",
        "equity_sum",
        "equity_unknown",
        "exposure_sum",
        "exposure_unknown",
        "holdings",
        "is_funded",
        "margin_rule",
        "margin_sum",
        "peak_equity",
        "peak_transferred",
        "peak_unexplained",
        "purses",
        "totals",
        "transferred",
        "unexplained",
        "unknown_requests",
        "up_sum",
        "valuer",
    )

    def __init__(self, account_id: AccountId, valuer: Valuer) -> None:
        self.account_id = account_id
        self.valuer = valuer
        self.holdings: dict[InstrumentId, Holding] = {}
        self.purses: dict[str, Purse] = {}
        self.totals: AccountState | None = None
        # Holdings whose profit at the day's start waits for a mark.
        self._unvalued: list[Holding] = []
        self.is_funded = False
        self.equity_sum = 0
        self.equity_unknown = 0
        self.exposure_sum = 0
        self.exposure_unknown = 0
        self.up_sum = 0
        self.down_sum = 0
        """Sums of the holdings' signed ends: net exposure stays between them, whatever fills."""
        self.active_count = 0
        """Instruments with an exposure."""
        self.margin_sum = 0
        self.margin_rule: Callable[[Instrument], int] | None = None
        """Says how many parts per million of an instrument's exposure are its initial margin."""
        self.unknown_requests = 0
        self.transferred = 0
        self.unexplained = 0
        self.base_version = 0
        """Goes up whenever `day_base` or `peak_base` may have changed."""
        self.day_start_ns = 0
        self.day_end_ns = 0
        self.day_start_equity: int | None = None
        self.day_start_transferred = 0
        self.day_start_unexplained = 0
        self.peak_equity: int | None = None
        self.peak_transferred = 0
        self.peak_unexplained = 0

    @property
    def equity(self) -> int | None:
        """Balances + unrealised PnL; None before the first balance or when a price is missing."""
        return None if self.equity_unknown or not self.is_funded else self.equity_sum

    def equity_in(self, asset: str) -> int | None:
        """Return the equity as money of another asset; None when a price is missing."""
        equity = None if self.equity_unknown or not self.is_funded else self.equity_sum
        if equity is None or asset in self.valuer.one_to_one:
            return equity
        return self.valuer.value_in(asset, equity)

    @property
    def exposure(self) -> int | None:
        """Gross exposure with working orders; None when a price is missing."""
        return None if self.exposure_unknown else self.exposure_sum

    def set_margin_rule(self, rule: Callable[[Instrument], int]) -> None:
        """Value margins by a rule from now on; until one is set the whole exposure counts."""
        self.margin_rule = rule
        for holding in self.holdings.values():
            holding.take_margin_rule()

    @property
    def day_transfers(self) -> int:
        """Net transfers since the day began."""
        rise = self.unexplained - self.day_start_unexplained
        return self.transferred - self.day_start_transferred + max(0, rise)

    @property
    def day_loss(self) -> int | None:
        """Loss since the day began, positive is a loss; None when it can't be told."""
        if self.equity_unknown or self.day_start_equity is None:
            return None
        return self.day_start_equity + self.day_transfers - self.equity_sum

    @property
    def day_change(self) -> int | None:
        """Change of equity since the day began, net of transfers; None when it can't be told."""
        loss = self.day_loss
        return None if loss is None else -loss

    @property
    def held_worth(self) -> int | None:
        """Gross notional of the positions alone, without orders; None when a price is missing."""
        total = 0
        for holding in self.holdings.values():
            worth = holding.worth_of(holding.long_units + holding.short_units)
            if worth is None:
                return None
            total += worth
        return total

    @property
    def net_worth(self) -> int | None:
        """Signed notional of the positions, longs less shorts; None when a price is missing."""
        total = 0
        for holding in self.holdings.values():
            worth = holding.worth_of(holding.net_units)
            if worth is None:
                return None
            total += worth if holding.net_units > 0 else -worth
        return total

    @property
    def day_base(self) -> int | None:
        """Equity of the day's start with the transfers since: what the day's loss is a part of."""
        start = self.day_start_equity
        return None if start is None else start + self.day_transfers

    @property
    def peak_base(self) -> int | None:
        """Highest equity seen, with the transfers since: what the drawdown is a part of."""
        if self.peak_equity is None:
            return None
        rise = self.unexplained - self.peak_unexplained
        if rise < 0:
            rise = 0
        return self.peak_equity + self.transferred - self.peak_transferred + rise

    def start_day(self, start_ns: int, end_ns: int) -> None:
        """Begin a day; its starting equity is taken as soon as one is known."""
        self.day_start_ns = start_ns
        self.day_end_ns = end_ns
        self.day_start_equity = None
        self.base_version += 1
        self._unvalued = [one for one in self.holdings.values() if not one.start_day()]
        self.observe()

    def observe(self) -> None:
        """Take the equity of now for the day's start, when it has none, and for the peak."""
        if self._unvalued:
            self._unvalued = [one for one in self._unvalued if not one.value_bases()]
        if self.equity_unknown or not self.is_funded:
            return
        equity = self.equity_sum
        if self.day_start_equity is None and self.day_end_ns:
            self.day_start_equity = equity
            self.day_start_transferred = self.transferred
            self.day_start_unexplained = self.unexplained
            self.base_version += 1
        if (
            self.peak_equity is not None
            and equity <= self.peak_equity
            and self.transferred == self.peak_transferred
            and self.unexplained == self.peak_unexplained
        ):
            # Nearly always: below the peak, and nothing came or left since.
            return
        peak = self.peak_base
        if peak is None or equity > peak:
            self.peak_equity = equity
            self.peak_transferred = self.transferred
            self.peak_unexplained = self.unexplained
            self.base_version += 1

    def purse(self, asset: str) -> Purse:
        """Return the purse of an asset, made empty and hung on its prices when it is new."""
        purse = self.purses.get(asset)
        if purse is None:
            purse = self.purses[asset] = Purse(self, AssetBalance(asset))
            for market in self.valuer.routes(asset):
                market.attach(purse)
        return purse

    def missing(self) -> tuple[str, ...]:
        """Name what has no price, or that no balance is known at all."""
        names = [str(key) for key, holding in sorted(self.holdings.items()) if not holding.is_known]
        names += [asset for asset, purse in sorted(self.purses.items()) if not purse.is_known]
        if not self.is_funded:
            names.append("no balance reported")
        return tuple(names)
