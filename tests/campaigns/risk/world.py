"""A seeded world: random intents, fills, lost answers, moving prices, days and the real gate.

The gate, the portfolio and the blotter are the real ones; `Model` knows what they should say. Every
verdict is compared, and no sum that is limited may rise beyond its bound by an approval.
"""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from tests.campaigns.risk.model import DAY_NS, SECOND_NS, ZERO, Ask, Bounds, Coin, Model, Pending
from tickwright.book.order_book import OrderBook
from tickwright.core.events import AccountState, BalanceReport, OrderReport
from tickwright.core.identity import (
    AccountId,
    Category,
    InstrumentId,
    StrategyId,
    VenueOrderId,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Purpose,
    RequestKind,
    Side,
    TimeInForce,
)
from tickwright.core.units import money_from_decimal
from tickwright.core.verdicts import Approved, Rejected
from tickwright.execution.blotter import Blotter
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.records import Record
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.gate import Gate, RiskView
from tickwright.risk.limits import LimitOverrides, RiskGroup, RiskLimits

ACCOUNT = AccountId("venue", "main")
STRATEGIES = (StrategyId("alpha"), StrategyId("beta"), StrategyId("gamma"))
START_NS = 20_000 * DAY_NS
CASH = Decimal(20_000)
# symbol, price decimals, size decimals, tick units, lot units, first mid in units
SYMBOLS = (
    ("AUSDT", 2, 3, 10, 1, 6_000_000),
    ("BUSDT", 2, 2, 5, 5, 300_000),
    ("CUSDT", 4, 0, 1, 1, 12_000),
    ("DUSDT", 3, 1, 1, 2, 150_000),
    ("EUSDT", 5, 0, 10, 10, 52_000),
    ("FUSDT", 1, 3, 5, 1, 9_000),
)
NAMES = tuple(symbol for symbol, *_ in SYMBOLS)

LIMITS = RiskLimits(
    position_percent_max=Decimal(25),
    position_notional_usdt_max=Decimal(4_900),
    order_notional_usdt_max=Decimal(2_500),
    exposure_percent_max=Decimal(60),
    net_exposure_percent_max=Decimal(42),
    total_notional_usdt_max=Decimal(12_200),
    leverage_max=Decimal("0.58"),
    margin_use_percent_max=Decimal("6.4"),
    margin_leverage=Decimal(10),
    positions_max=5,
    daily_loss_percent_max=Decimal(1),
    drawdown_percent_max=Decimal(3),
    loss_streak_max=4,
    open_orders_per_instrument_max=6,
    unknown_requests_per_instrument_max=1,
    unknown_requests_max=3,
    orders_per_second_max=8,
    orders_per_minute_max=150,
    cancels_per_second_max=4,
    cancels_per_minute_max=40,
    book_age_ms_max=4_000,
    mark_age_ms_max=6_000,
    spread_bps_max=Decimal(25),
    depth_notional_usdt_min=Decimal(2_000),
    price_band_bps_max=Decimal(150),
    clock_skew_ms_max=300,
    trading_hours=("01:00-23:00",),
    funding_pause_before_s=300,
    funding_pause_after_s=120,
    deny_conflicting_position=False,
    groups=(
        RiskGroup(name="majors", symbols=("AUSDT", "BUSDT"), exposure_percent_max=Decimal(30)),
        RiskGroup(
            name="alts",
            symbols=("venue:linear:CUSDT", "DUSDT", "EUSDT"),
            exposure_percent_max=Decimal(28),
            direction="net",
        ),
    ),
    strategies={
        "beta": LimitOverrides(position_percent_max=Decimal(10)),
        "gamma": LimitOverrides(symbols_denied=("FUSDT",)),
    },
    symbols={
        "BUSDT": LimitOverrides(order_size_max=Decimal("0.65")),
        "FUSDT": LimitOverrides(margin_leverage=Decimal(5)),
    },
)
BOUNDS = Bounds(
    order_notional=Decimal(2_500),
    order_size={"BUSDT": Decimal("0.65")},
    position_percent={"": Decimal(25), "beta": Decimal(10)},
    position_notional=Decimal(4_900),
    exposure_percent=Decimal(60),
    net_percent=Decimal(42),
    total_notional=Decimal(12_200),
    leverage=Decimal("0.58"),
    margin_percent=Decimal("6.4"),
    margin_leverage={"": Decimal(10), "FUSDT": Decimal(5)},
    positions=5,
    daily_loss_percent=Decimal(1),
    drawdown_percent=Decimal(3),
    loss_streak=4,
    open_orders=6,
    unknown=1,
    unknown_total=3,
    orders_second=8,
    orders_minute=150,
    cancels_second=4,
    cancels_minute=40,
    band_bps=Decimal(150),
    spread_bps=Decimal(25),
    depth_notional=Decimal(2_000),
    book_age_ns=4 * SECOND_NS,
    mark_age_ns=6 * SECOND_NS,
    skew_ns=300_000_000,
    groups=(
        ("majors", "gross", ("AUSDT", "BUSDT"), Decimal(30)),
        ("alts", "net", ("CUSDT", "DUSDT", "EUSDT"), Decimal(28)),
    ),
    denied={"gamma": ("FUSDT",)},
    hours=(60, 1_380),
    funding_ns=(300 * SECOND_NS, 120 * SECOND_NS),
)
"""The same figures once more, for the model."""


class LimitPassed(AssertionError):
    """The gate and the model disagree."""


@dataclass(slots=True)
class Figures:
    """What a campaign met."""

    intents: int = 0
    approved: int = 0
    closing: int = 0
    fills: int = 0
    unknown: int = 0
    days: int = 0
    resets: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    reduced: Counter[str] = field(default_factory=Counter)


class Market:
    """One symbol's real book and rules beside the model's coin."""

    def __init__(self, name: str, price: int, size: int, tick: int, lot: int, mid: int) -> None:
        self.instrument = Instrument(
            id=InstrumentId("venue", Category.LINEAR, name),
            base_asset=name[:-4],
            quote_asset="USDT",
            settle_asset="USDT",
            price_decimals=price,
            size_decimals=size,
            tick_units=tick,
            lot_units=lot,
            size_min_units=2 * lot,
            size_max_units=400_000 * lot,
            market_size_max_units=90_000 * lot,
            notional_min=Decimal(5),
            leverage_max=Decimal(50),
            funding_interval_minutes=480,
        )
        i = self.instrument
        self.coin = Coin(
            symbol=name,
            tick=i.price(tick),
            lot=i.quantity(lot),
            size_min=i.quantity(i.size_min_units),
            size_max=i.quantity(i.size_max_units),
            market_size_max=i.quantity(i.market_size_max_units),
            notional_min=Decimal(5),
            price_max=i.price(i.price_max_units),
        )
        self.book = OrderBook(i)
        self.mid_units = mid
        self.first_mid = mid
        self.update_id = 0


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.figures = Figures()
        self.now_ns = START_NS
        self.gate = Gate(LIMITS)
        self.portfolio = Portfolio()
        self.view = RiskView(self.portfolio, ready_accounts={ACCOUNT})
        client_ids = ClientIds(seed)
        for strategy_id in STRATEGIES:
            client_ids.register(strategy_id)
        self.blotter = Blotter(client_ids, evidence_delay_ns=SECOND_NS)
        self.markets = [Market(*row) for row in SYMBOLS]
        self.by_symbol = {market.coin.symbol: market for market in self.markets}
        self.model = Model(BOUNDS, {m.coin.symbol: m.coin for m in self.markets}, CASH)
        self.live: list[Record] = []
        self.executions = 0
        for market in self.markets:
            self.portfolio.set_instrument(market.instrument)
            self.portfolio.holding(ACCOUNT, market.instrument.id)
            self.quote(market, 0.0)
            self.mark(market)
        self.fund(CASH)
        self.portfolio.start_day(self.now_ns)
        self.model.roll(self.now_ns, is_observed=True)
        self.funding()

    def run(self, intents: int) -> Figures:
        """Go on until so many intents were judged."""
        actions = (
            (self.intent, 620),
            (self.fill, 150),
            (self.cancel, 60),
            (self.settle, 90),
            (self.lose, 20),
            (self.resolve, 14),
            (self.move, 60),
            (self.refresh, 60),
            (self.rest, 10),
            (self.skew, 2),
            (self.totals_told, 4),
        )
        calls = [call for call, _ in actions]
        weights = [weight for _, weight in actions]
        until = self.figures.intents + intents
        step = 0
        while self.figures.intents < until:
            for call in self.random.choices(calls, weights, k=64):
                step += 1
                self.now_ns += self.random.randrange(1, 120_000_000)
                try:
                    call()
                except AssertionError as error:
                    raise LimitPassed(f"seed {self.seed}, step {step}: {error}") from error
        return self.figures

    # the market -----------------------------------------------------------------------------------

    def quote(self, market: Market, move: float) -> None:
        """Place the book around a mid that moved by a fraction."""
        i, random = market.instrument, self.random
        tick = i.tick_units
        mid = max(60 * tick, int(market.mid_units * (1 + move)))
        # It may wander, not leave: every limit is meant to be met again and again.
        mid = min(max(mid, market.first_mid // 2), 2 * market.first_mid)
        market.mid_units = mid = mid // tick * tick
        half = max(1, int(mid * random.choice((1, 1, 2, 2, 5, 5, 8, 16)) / 10_000 / tick)) * tick
        price = i.price(mid)
        thickness = random.choice((40, 500, 3_000, 3_000, 9_000))
        unit = max(1, int(thickness / price / i.quantity(i.lot_units))) * i.lot_units
        gap = max(1, int(mid * 0.0004 / tick)) * tick
        bids = [(mid - half - n * gap, unit * (n + 1)) for n in range(8)]
        asks = [(mid + half + n * gap, unit * (n + 1)) for n in range(8)]
        market.update_id += 1
        market.book.apply_snapshot(bids, asks, update_id=market.update_id, received_ns=self.now_ns)
        coin = market.coin
        coin.bids = [(i.price(p), i.quantity(s)) for p, s in bids]
        coin.asks = [(i.price(p), i.quantity(s)) for p, s in asks]
        coin.proof_ns = self.now_ns
        coin.is_synced = True

    def mark(self, market: Market) -> None:
        """Tell a mark near the mid."""
        i = market.instrument
        units = max(1, int(market.mid_units * (1 + self.random.uniform(-0.004, 0.004))))
        twice = market.book.mid_twice_units
        assert twice is not None
        self.portfolio.set_mark(i.id, units, now_ns=self.now_ns, mid_twice_units=twice)
        coin = market.coin
        coin.mark, coin.mark_ns, coin.mark_mid = i.price(units), self.now_ns, coin.mid

    def move(self) -> None:
        """Let one price move, the mark with it or frozen."""
        market = self.random.choice(self.markets)
        self.quote(market, self.random.gauss(0, 0.06 if self.random.random() < 0.03 else 0.01))
        if self.random.random() < 0.8:
            self.mark(market)
        if self.random.random() < 0.02:
            market.book.mark_stale("gap")
            market.coin.is_synced = False

    def refresh(self) -> None:
        """Prove books and tell marks, as a feed does all the time."""
        for market in self.markets:
            if self.random.random() < 0.93:
                self.quote(market, self.random.gauss(0, 0.001))
                if self.random.random() < 0.9:
                    self.mark(market)

    def rest(self) -> None:
        """Let time pass: seconds or, now and then, most of a day."""
        long = self.random.random() < 0.2
        self.now_ns += self.random.randrange(
            SECOND_NS, 20 * 3_600 * SECOND_NS if long else 9 * SECOND_NS
        )
        self.funding()
        self.observe()
        if self.model.fell and self.random.random() < 0.7:
            self.gate.reset_drawdown(ACCOUNT, self.view)
            self.model.fell = False
            self.model.peak = self.model.equity
            self.figures.resets += 1
        if self.model.equity < 12_000:
            self.fund(CASH - self.model.equity)

    def funding(self) -> None:
        """Tell when funding is paid: every eight hours of the day."""
        interval_ns = 8 * 3_600 * SECOND_NS
        last_ns = self.now_ns // interval_ns * interval_ns
        for market in self.markets:
            coin = market.coin
            coin.funding_last_ns, coin.funding_next_ns = last_ns, last_ns + interval_ns
            self.portfolio.set_funding_time(market.instrument.id, last_ns)
            self.portfolio.set_funding_time(market.instrument.id, last_ns + interval_ns)

    def skew(self) -> None:
        """Measure the venue's clock."""
        skew_ns = self.random.choice((1_000_000,) * 8 + (300_000_000, 300_000_001))
        self.view.clock_skew_ns["venue"] = skew_ns
        self.model.skew_ns = skew_ns

    def totals_told(self) -> None:
        """Let the venue tell its own figure of the margin in use, in every second world."""
        if self.seed % 2:
            return
        margin = Decimal(self.random.randint(0, 1_500))
        self.portfolio.note_totals(
            AccountState(
                account_id=ACCOUNT,
                equity=0,
                available=0,
                initial_margin=money_from_decimal(margin),
                maintenance_margin=0,
                venue_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )
        self.model.venue_margin = margin

    def fund(self, amount: Decimal) -> None:
        """Pay money in."""
        if self.now_ns == START_NS:
            report = BalanceReport(
                account_id=ACCOUNT,
                asset="USDT",
                wallet_balance=money_from_decimal(amount),
                locked=0,
                venue_ns=1,
                received_ns=1,
            )
            self.portfolio.apply_balance(report)
            return
        self.portfolio.transfer(ACCOUNT, "USDT", money_from_decimal(amount), self.now_ns)
        self.model.transfer(amount)

    def observe(self) -> None:
        """Look at losses, as the engine does on fills and once a second."""
        days = self.model.day_end_ns
        self.gate.observe(ACCOUNT, self.now_ns, self.view)
        self.model.roll(self.now_ns, is_observed=True)
        self.figures.days += days != self.model.day_end_ns

    # orders ---------------------------------------------------------------------------------------

    def intent(self) -> None:
        """Ask the gate and the model; send what both allow."""
        random, figures = self.random, self.figures
        market = random.choice(self.markets)
        strategy_id = random.choice(STRATEGIES)
        i, coin = market.instrument, market.coin
        side = random.choice((Side.BUY, Side.SELL))
        wish, price_units = self.size(market), self.price(market, side)
        is_reducing = random.random() < 0.15
        if is_reducing and random.random() < 0.8 and coin.held:
            side = Side.SELL if coin.held > 0 else Side.BUY
        intent = OrderIntent(
            instrument_id=i.id,
            side=side,
            size_units=wish,
            order_type=OrderType.MARKET if price_units is None else OrderType.LIMIT,
            price_units=price_units,
            time_in_force=random.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.FOK)),
            reduce_only=is_reducing,
            purpose=Purpose.CLOSE if is_reducing else Purpose.OPEN,
        )
        figures.intents += 1
        figures.closing += is_reducing
        self.model.roll(self.now_ns, is_observed=False)
        self.model.forget(self.now_ns)
        ask = Ask(
            strategy=strategy_id,
            symbol=coin.symbol,
            sign=int(side),
            size=i.quantity(wish),
            price=None if price_units is None else i.price(price_units),
            is_reducing=is_reducing,
            now_ns=self.now_ns,
        )
        before = self.model.worst()
        passed = self.model.violations(ask, ask.size)
        verdict = self.gate.check(
            intent,
            strategy_id=strategy_id,
            account_id=ACCOUNT,
            event_id=figures.intents,
            now_ns=self.now_ns,
            book=market.book,
            instrument=i,
            view=self.view,
        )
        if isinstance(verdict, Rejected):
            check = verdict.check
            assert check.value and check.bound, f"a refusal without figures: {verdict}"
            name = check.reason.value
            # What was reduced first may be too small at the end: then another limit was passed.
            is_told = name in passed or (name == "notional_too_small" and passed)
            if name == "price_band" and ask.price is None and passed:
                # The whole order reached into the band, the part of it that may go doesn't.
                least = i.quantity(i.size_min_units)
                is_told = is_told or name in self.model.violations(ask, least)
            assert is_told, f"refused by {verdict}, the model finds {sorted(passed)} for {ask}"
            figures.refused[name] += 1
            return
        self.approve(ask, intent, verdict, passed, before)
        self.send(ask, intent, verdict, market)

    def approve(
        self,
        ask: Ask,
        intent: OrderIntent,
        verdict: Approved,
        passed: set[str],
        before: dict[str, Decimal],
    ) -> None:
        """Compare an approval with the model."""
        i = self.by_symbol[ask.symbol].instrument
        size = i.quantity(verdict.size_units)
        left = self.model.violations(ask, size)
        assert not left, f"approved {size} of {ask} past {sorted(left)}"
        self.figures.approved += 1
        if size == ask.size:
            assert not passed, f"approved whole past {sorted(passed)}: {ask}"
        else:
            assert 0 < size < ask.size, "reduced to more"
            assert intent.time_in_force is not TimeInForce.FOK or ask.is_reducing
            reasons = {check.reason.value for check in verdict.reduced_by}
            assert reasons <= passed, f"reduced by {reasons}, the model finds {sorted(passed)}"
            more = self.model.violations(ask, size + i.quantity(i.lot_units))
            assert more, f"reduced {ask} to {size}, and a lot more would do"
            self.figures.reduced.update(reasons)
        if ask.is_reducing:
            return
        # Whatever fills and in which order: no sum rises beyond its bound.
        after = self.model.worst(ask.symbol, ask.sign, size)
        for name, bound in self.model.bounds_now().items():
            is_kept = after[name] <= bound or after[name] <= before[name]
            assert is_kept, f"{name} {after[name]} above {bound} by {size} of {ask}"

    def size(self, market: Market) -> int:
        """Return a wished size: mostly sensible, now and then anything."""
        random, i = self.random, market.instrument
        if random.random() < 0.04:
            return random.choice(
                (0, -i.lot_units, 10**30, i.lot_units // 2, i.size_max_units + i.lot_units)
            )
        worth = random.choice((6, 60, 300, 900, 2_500, 2_600, 8_000))
        lots = int(
            worth
            * random.uniform(0.7, 1.1)
            / float(i.price(market.mid_units) * i.quantity(i.lot_units))
        )
        return max(2, lots) * i.lot_units

    def price(self, market: Market, side: Side) -> int | None:
        """Return a limit price near the book, now and then impossible; None for a market order."""
        random, i = self.random, market.instrument
        draw = random.random()
        if draw < 0.3:
            return None
        if draw < 0.33:
            return random.choice((0, -i.tick_units, market.mid_units * 2, 10**30))
        away = int(market.mid_units * random.uniform(-0.001, 0.016) / i.tick_units)
        units = market.mid_units - int(side) * away * i.tick_units
        return units + (1 if draw < 0.34 and i.tick_units > 1 else 0)

    def send(self, ask: Ask, intent: OrderIntent, verdict: Approved, market: Market) -> None:
        """Let an approved order live."""
        strategy_id = StrategyId(ask.strategy)
        order = Order(
            client_id=self.blotter.client_ids.next(strategy_id),
            strategy_id=strategy_id,
            account_id=ACCOUNT,
            intent=intent,
            instrument_id=intent.instrument_id,
            price_units=intent.price_units,
            size_units=verdict.size_units,
            cause_event_id=self.figures.intents,
            created_ns=self.now_ns,
        )
        record = self.blotter.open(order, self.now_ns)
        self.live.append(record)
        size = market.instrument.quantity(verdict.size_units)
        market.coin.orders[order.client_id] = Pending(ask.strategy, ask.sign, size, ask.is_reducing)
        self.model.sent.append(self.now_ns)
        self.publish(record)

    def publish(self, record: Record) -> None:
        """Tell the portfolio what works, as the engine does after every change."""
        working = record.working
        self.portfolio.set_working(
            ACCOUNT,
            record.order.instrument_id,
            buy_units=working.buy_units,
            sell_units=working.sell_units,
            open_orders=working.open_orders,
            unknown_requests=working.unknown_requests,
        )

    def report(self, record: Record, state: OrderState) -> None:
        """Let the venue tell of an order."""
        order = record.order
        self.blotter.on_report(
            OrderReport(
                account_id=ACCOUNT,
                instrument_id=order.instrument_id,
                client_id=order.client_id,
                venue_id=VenueOrderId(f"v{order.client_id}"),
                side=order.side,
                order_type=order.intent.order_type,
                state=state,
                price_units=order.price_units,
                size_units=order.size_units,
                filled_units=order.filled_units,
                reason="",
                venue_ns=self.now_ns,
                received_ns=self.now_ns,
                reduce_only=order.intent.reduce_only,
            ),
            self.now_ns,
        )
        self.publish(record)

    def pick(self) -> tuple[Record, Market] | None:
        """Choose a live order."""
        if not self.live:
            return None
        record = self.random.choice(self.live)
        return record, self.by_symbol[record.order.instrument_id.symbol]

    def fill(self) -> None:
        """Fill a part of an order, or all of it; the portfolio hears of it before the order."""
        chosen = self.pick()
        if chosen is None:
            return
        record, market = chosen
        order, coin, i = record.order, market.coin, market.instrument
        left = order.size_units - order.filled_units
        size_units = left if self.random.random() < 0.5 else self.random.randint(1, left)
        if order.intent.reduce_only:
            # The venue closes what is there and not more.
            against = -int(order.side) * coin.held / i.quantity(1)
            size_units = min(size_units, max(0, int(against)))
            if size_units == 0:
                return
        # Around the market and not at the order's price, or equity would only ever rise.
        slip = self.random.uniform(-0.002, 0.006) * int(order.side)
        price_units = max(1, int(market.mid_units * (1 + slip)))
        fee = Decimal(self.random.randint(-3, 9)) / 100
        self.executions += 1
        fill = Fill(
            account_id=ACCOUNT,
            instrument_id=i.id,
            execution_id=f"e{self.executions}",
            kind=ExecutionKind.TRADE,
            side=order.side,
            price_units=price_units,
            size_units=size_units,
            fee=money_from_decimal(fee),
            fee_asset="USDT",
            is_maker=False,
            venue_ns=self.now_ns,
            received_ns=self.now_ns,
            client_id=order.client_id,
        )
        assert self.blotter.is_new_fill(fill)
        self.portfolio.apply_fill(fill, order.strategy_id)
        if self.random.random() < 0.3 and not order.intent.reduce_only:
            self.check_between(record, market, size_units)
        self.blotter.on_fill(fill, self.now_ns)
        self.publish(record)
        self.gate.note_fill(ACCOUNT, self.now_ns)
        self.figures.fills += 1
        pending = coin.orders[order.client_id]
        pending.is_unknown = False
        size = i.quantity(size_units)
        self.model.fill(coin.symbol, order.client_id, size, i.price(price_units), fee)
        if order.client_id not in coin.orders:
            self.live.remove(record)
        self.observe()
        if self.random.random() < 0.1:
            money = self.random.choice((-1, 0, 1))
            self.gate.note_trade(ACCOUNT, order.strategy_id, money, self.view)
            self.model.losses = (
                self.model.losses + 1 if money < 0 else 0 if money else self.model.losses
            )

    def check_between(self, record: Record, market: Market, size_units: int) -> None:
        """Between the fill and the order's change a size counts twice, and never not at all."""
        holding = self.portfolio.holding(ACCOUNT, market.instrument.id)
        worst = market.instrument.quantity(holding.exposure_units)
        least = market.coin.size_at_risk
        filled = market.instrument.quantity(size_units)
        # The fill may also have closed what the other direction held.
        assert worst >= least - filled, f"{record.order} vanished between fill and order"

    def cancel(self) -> None:
        """Ask for a cancel; it is counted when sent and changes nothing yet."""
        chosen = self.pick()
        if chosen is None:
            return
        record, _ = chosen
        if self.blotter.start_cancel(record, self.now_ns, "campaign"):
            self.gate.note_cancel(ACCOUNT, self.now_ns)
            self.model.cancels.append(self.now_ns)
            # Only as many as the bound are remembered, which is all that is asked.
            while len(self.model.cancels) > BOUNDS.cancels_minute:
                self.model.cancels.popleft()

    def settle(self) -> None:
        """Let the venue end an order."""
        chosen = self.pick()
        if chosen is None:
            return
        record, market = chosen
        self.report(record, OrderState.CANCELLED)
        self.live.remove(record)
        del market.coin.orders[record.order.client_id]

    def lose(self) -> None:
        """Lose the answer to a create."""
        chosen = self.pick()
        if chosen is None or chosen[0].order.state is not OrderState.INTENDED:
            return
        record, market = chosen
        if not record.create.is_open:
            return
        self.blotter.lose(record, RequestKind.CREATE, "no answer")
        self.publish(record)
        market.coin.orders[record.order.client_id].is_unknown = True
        self.figures.unknown += 1

    def resolve(self) -> None:
        """Let a query answer what became of it: the order works."""
        for record in self.live:
            if record.create.is_unknown:
                market = self.by_symbol[record.order.instrument_id.symbol]
                self.report(record, OrderState.WORKING)
                market.coin.orders[record.order.client_id].is_unknown = False
                return

    def totals(self) -> dict[str, Any]:
        """Return the sums of portfolio and model, side by side; equal when all is right."""
        account = self.portfolio.account(ACCOUNT)
        worst = self.model.worst()
        return {
            "equity": (account.equity, money_from_decimal(self.model.equity)),
            "gross": (account.exposure_sum, money_from_decimal(worst["gross"])),
            "net": (max(account.up_sum, -account.down_sum, ZERO), money_from_decimal(worst["net"])),
        }
