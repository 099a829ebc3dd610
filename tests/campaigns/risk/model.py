"""The limits told a second time: own bookkeeping in Decimal, nothing of the gate or the portfolio.

Cash is what fills paid, equity is cash and positions at their marks; no average entry, no ready
sums. `violations` names every limit an order of a size would pass; `worst` gives the figures that
must never rise beyond their bound.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal, getcontext

getcontext().prec = 60

ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000
SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Bounds:
    """The configured figures, as a person wrote them."""

    order_notional: Decimal
    order_size: dict[str, Decimal]
    position_percent: dict[str, Decimal]
    position_notional: Decimal
    exposure_percent: Decimal
    net_percent: Decimal
    total_notional: Decimal
    leverage: Decimal
    margin_percent: Decimal
    margin_leverage: dict[str, Decimal]
    positions: int
    daily_loss_percent: Decimal
    drawdown_percent: Decimal
    loss_streak: int
    open_orders: int
    unknown: int
    unknown_total: int
    orders_second: int
    orders_minute: int
    cancels_second: int
    cancels_minute: int
    band_bps: Decimal
    spread_bps: Decimal
    depth_notional: Decimal
    book_age_ns: int
    mark_age_ns: int
    skew_ns: int
    groups: tuple[tuple[str, str, tuple[str, ...], Decimal], ...]
    denied: dict[str, tuple[str, ...]]
    hours: tuple[int, int]
    funding_ns: tuple[int, int]


@dataclass(slots=True)
class Pending:
    """An order that may still fill."""

    strategy: str
    sign: int
    left: Decimal
    is_reducing: bool
    is_unknown: bool = False


@dataclass(slots=True)
class Coin:
    """One symbol: its rules, its market and what is held and ordered of it."""

    symbol: str
    tick: Decimal
    lot: Decimal
    size_min: Decimal
    size_max: Decimal
    market_size_max: Decimal
    notional_min: Decimal
    price_max: Decimal
    bids: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    asks: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    proof_ns: int = 0
    is_synced: bool = True
    mark: Decimal = ZERO
    mark_ns: int = 0
    mark_mid: Decimal = ZERO
    funding_next_ns: int = 0
    funding_last_ns: int = 0
    held: Decimal = ZERO
    orders: dict[str, Pending] = field(default_factory=dict)

    @property
    def mid(self) -> Decimal:
        return (self.bids[0][0] + self.asks[0][0]) / 2

    def working(self, sign: int) -> Decimal:
        return sum(
            (o.left for o in self.orders.values() if o.sign == sign and not o.is_reducing), ZERO
        )

    def end(self, sign: int) -> Decimal:
        """Return the position were all orders of a side filled."""
        return self.held + sign * self.working(sign)

    @property
    def size_at_risk(self) -> Decimal:
        return max(abs(self.end(1)), abs(self.end(-1)))


@dataclass(slots=True)
class Ask:
    """An intent as the model sees it."""

    strategy: str
    symbol: str
    sign: int
    size: Decimal
    price: Decimal | None
    is_reducing: bool
    now_ns: int


class Model:
    """One account."""

    def __init__(self, bounds: Bounds, coins: dict[str, Coin], cash: Decimal) -> None:
        self.bounds = bounds
        self.coins = coins
        self.cash = cash
        self.day_end_ns = 0
        self.day_base = cash
        self.peak = cash
        self.lost_today = False
        self.fell = False
        self.sent: deque[int] = deque()
        self.cancels: deque[int] = deque()
        self.losses = 0
        self.skew_ns: int | None = None
        self.venue_margin: Decimal | None = None

    # bookkeeping ----------------------------------------------------------------------------------

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((c.held * c.mark for c in self.coins.values()), ZERO)

    def fill(self, symbol: str, order: str, size: Decimal, price: Decimal, fee: Decimal) -> None:
        coin = self.coins[symbol]
        pending = coin.orders[order]
        pending.left -= size
        coin.held += pending.sign * size
        self.cash -= pending.sign * size * price + fee
        if pending.left == 0:
            del coin.orders[order]

    def transfer(self, amount: Decimal) -> None:
        self.cash += amount
        self.day_base += amount
        self.peak += amount
        self.peak = max(self.peak, self.equity)

    def roll(self, now_ns: int, *, is_observed: bool) -> None:
        """Begin the day when it is over, and look at the losses."""
        equity = self.equity
        if now_ns >= self.day_end_ns:
            self.day_end_ns = now_ns // DAY_NS * DAY_NS + DAY_NS
            self.day_base = equity
            self.lost_today = False
            self.losses = 0
            is_observed = True
        if is_observed:
            self.peak = max(self.peak, equity)
        b = self.bounds
        self.lost_today |= equity <= self.day_base * (1 - b.daily_loss_percent / 100)
        self.fell |= equity <= self.peak * (1 - b.drawdown_percent / 100)

    def forget(self, now_ns: int) -> None:
        for stamps in (self.sent, self.cancels):
            while stamps and stamps[0] <= now_ns - 60 * SECOND_NS:
                stamps.popleft()

    def count(self, stamps: deque[int], now_ns: int, seconds: int) -> int:
        return sum(1 for stamp in stamps if stamp > now_ns - seconds * SECOND_NS)

    # sums -----------------------------------------------------------------------------------------

    def worst(self, symbol: str = "", sign: int = 0, size: Decimal = ZERO) -> dict[str, Decimal]:
        """Return the sums that are limited, a further order included."""
        gross = up = down = margin = ZERO
        groups = {name: ZERO for name, *_ in self.bounds.groups}
        ends: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
        for name, coin in self.coins.items():
            more = size if name == symbol else ZERO
            high = coin.end(1) + (more if sign > 0 else ZERO)
            low = coin.end(-1) - (more if sign < 0 else ZERO)
            worth = max(abs(high), abs(low)) * coin.mark
            gross += worth
            up += high * coin.mark
            down += low * coin.mark
            leverage = self.bounds.margin_leverage.get(name, self.bounds.margin_leverage[""])
            margin += worth / leverage
            ends[name] = (worth, high * coin.mark, low * coin.mark)
        for name, direction, symbols, _ in self.bounds.groups:
            members = [ends[member] for member in symbols]
            if direction == "gross":
                groups[name] = sum((worth for worth, _, _ in members), ZERO)
            else:
                groups[name] = max(
                    abs(sum((high for _, high, _ in members), ZERO)),
                    abs(sum((low for _, _, low in members), ZERO)),
                )
        return {"gross": gross, "net": max(abs(up), abs(down)), "margin": margin, **groups}

    def bounds_now(self) -> dict[str, Decimal]:
        b, equity = self.bounds, self.equity
        return {
            "gross": min(equity * b.exposure_percent / 100, equity * b.leverage, b.total_notional),
            "net": equity * b.net_percent / 100,
            "margin": equity * b.margin_percent / 100,
            **{name: equity * percent / 100 for name, _, _, percent in b.groups},
        }

    # judging --------------------------------------------------------------------------------------

    def violations(self, ask: Ask, size: Decimal) -> set[str]:
        """Name every limit that an order of this size would pass."""
        coin = self.coins[ask.symbol]
        found = self._of_shape(ask, coin, size)
        factor = 2 if ask.is_reducing else 1
        b = self.bounds
        if (
            self.count(self.sent, ask.now_ns, 1) >= factor * b.orders_second
            or self.count(self.sent, ask.now_ns, 60) >= factor * b.orders_minute
        ):
            found.add("rate_limit")
        if ask.is_reducing:
            against = -ask.sign * coin.held
            room = (
                max(ZERO, against) + coin.working(-ask.sign) if ask.price is not None else against
            )
            if size > room:
                found.add("nothing_to_close")
            return found
        found |= self._of_moment(ask, coin)
        found |= self._of_state(ask, coin)
        if self.equity <= 0:
            return found
        return found | self._of_size(ask, coin, size)

    def _of_shape(self, ask: Ask, coin: Coin, size: Decimal) -> set[str]:
        found = set()
        if not coin.is_synced:
            found.add("book_not_synced")
        if ask.now_ns - coin.proof_ns > self.bounds.book_age_ns:
            found.add("book_too_old")
        most = coin.market_size_max if ask.price is None else coin.size_max
        if size <= 0 or size % coin.lot or not coin.size_min <= size <= most:
            found.add("size_invalid")
        price = ask.price
        if price is not None and (not 0 < price <= coin.price_max or price % coin.tick):
            found.add("price_invalid")
        if price is None:
            price = _reach(coin.asks if ask.sign > 0 else coin.bids, size)
            if price is None:
                found.add("depth_too_thin")
        if price is not None:
            for around in (coin.mid, coin.mark):
                if abs(price - around) * 10_000 > self.bounds.band_bps * around:
                    found.add("price_band")
        if not ask.is_reducing and size > 0:
            at = ask.price if ask.price is not None else coin.mark
            if size * at < coin.notional_min:
                found.add("notional_too_small")
        return found

    def _of_moment(self, ask: Ask, coin: Coin) -> set[str]:
        found, b, now_ns = set(), self.bounds, ask.now_ns
        spread = coin.asks[0][0] - coin.bids[0][0]
        if spread * 10_000 > b.spread_bps * coin.mid:
            found.add("spread_too_wide")
        levels = coin.asks if ask.sign > 0 else coin.bids
        if sum((size for _, size in levels[:10]), ZERO) * coin.mark < b.depth_notional:
            found.add("depth_limit")
        if now_ns - coin.mark_ns > b.mark_age_ns and coin.mid != coin.mark_mid:
            found.add("mark_frozen")
        if self.skew_ns is not None and self.skew_ns > b.skew_ns:
            found.add("clock_skew")
        minute = now_ns // (60 * SECOND_NS) % 1_440
        if not b.hours[0] <= minute < b.hours[1]:
            found.add("outside_hours")
        if coin.funding_next_ns - now_ns < b.funding_ns[0]:
            found.add("funding_window")
        if now_ns - coin.funding_last_ns < b.funding_ns[1]:
            found.add("funding_window")
        if coin.symbol in b.denied.get(ask.strategy, ()):
            found.add("symbol_denied")
        return found

    def _of_state(self, ask: Ask, coin: Coin) -> set[str]:
        found, b, now_ns = set(), self.bounds, ask.now_ns
        if len(coin.orders) >= b.open_orders:
            found.add("open_orders_limit")
        if sum(o.is_unknown for o in coin.orders.values()) > b.unknown:
            found.add("unknown_request")
        if (
            sum(o.is_unknown for c in self.coins.values() for o in c.orders.values())
            > b.unknown_total
        ):
            found.add("unknown_total")
        active = sum(c.size_at_risk > 0 for c in self.coins.values())
        if coin.size_at_risk == 0 and active >= b.positions:
            found.add("positions_limit")
        if self.equity <= 0:
            found.add("no_equity")
        if self.lost_today:
            found.add("daily_loss")
        if self.fell:
            found.add("drawdown")
        if self.losses >= b.loss_streak:
            found.add("loss_streak")
        if (
            self.count(self.cancels, now_ns, 1) >= b.cancels_second
            or self.count(self.cancels, now_ns, 60) >= b.cancels_minute
        ):
            found.add("cancel_rate")
        return found

    def _of_size(self, ask: Ask, coin: Coin, size: Decimal) -> set[str]:
        found, b, equity = set(), self.bounds, self.equity
        if size * coin.mark > b.order_notional:
            found.add("order_notional")
        if size > b.order_size.get(ask.symbol, size):
            found.add("order_size")
        # In the direction of the order: what the other one holds is not this order's doing.
        end = ask.sign * coin.end(ask.sign) + size
        mine = max(ZERO, end) * coin.mark
        others = {c.symbol: c.size_at_risk * c.mark for c in self.coins.values() if c is not coin}
        percent = b.position_percent.get(ask.strategy, b.position_percent[""])
        if mine > equity * percent / 100 and mine > 0:
            found.add("position_limit")
        if mine > b.position_notional:
            found.add("position_notional")
        gross = mine + sum(others.values(), ZERO)
        if mine > 0:
            if gross > equity * b.exposure_percent / 100:
                found.add("exposure_limit")
            if gross > b.total_notional:
                found.add("total_position")
            if gross > equity * b.leverage:
                found.add("leverage_limit")
            rate = b.margin_leverage
            margin = mine / rate.get(ask.symbol, rate[""]) + sum(
                (worth / rate.get(name, rate[""]) for name, worth in others.items()), ZERO
            )
            most = equity * b.margin_percent / 100
            if margin > most:
                found.add("margin_use")
            if self.venue_margin is not None:
                # What this symbol has at risk is in the venue's figure; what grows comes on top.
                growth = max(ZERO, mine - coin.size_at_risk * coin.mark)
                free = max(ZERO, most - self.venue_margin)
                if growth / rate.get(ask.symbol, rate[""]) > free:
                    found.add("margin_use")
        signed = {c.symbol: ask.sign * c.end(ask.sign) * c.mark for c in self.coins.values()}
        signed[ask.symbol] = end * coin.mark
        if sum(signed.values(), ZERO) > equity * b.net_percent / 100:
            found.add("net_exposure")
        for _, direction, symbols, share in b.groups:
            if ask.symbol not in symbols:
                continue
            if direction == "gross":
                total = mine + sum((others[s] for s in symbols if s != ask.symbol), ZERO)
                is_over = mine > 0 and total > equity * share / 100
            else:
                is_over = sum((signed[s] for s in symbols), ZERO) > equity * share / 100
            if is_over:
                found.add("group_exposure")
        return found


def _reach(levels: list[tuple[Decimal, Decimal]], size: Decimal) -> Decimal | None:
    """Return the last price a market order would reach; None beyond the book."""
    if size <= 0:
        return None
    for price, visible in levels:
        size -= visible
        if size <= 0:
            return price
    return None
