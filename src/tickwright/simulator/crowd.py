"""Owns a seeded crowd of traders that send every kind of order; refuses to trade well.

A trader knows what a client knows: the market, its own orderLinkIds, the answers it got. It sends
bodies as they go over the wire, so a request may be refused, come too late or hit nothing: that is
part of the flow. Times are those of a Poisson process in venue time.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from tickwright.core.identity import Category
from tickwright.core.units import units_to_text
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import AccountSpec, ApiKey
from tickwright.simulator.private.service import Answer
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

__all__ = ["LINKS_KEPT", "Crowd", "CrowdCounts", "crowd_accounts"]

LINKS_KEPT = 40
"""Latest orders a trader remembers, to amend or cancel one of them."""

_CASH_USDT = 100_000
_COINS_USDT = 20_000
_ORDER_USDT = (20, 400)
_BATCH = (2, 5)

_Body = dict[str, Any]
_Link = tuple[str, str, str]

_ACTIONS = {
    "create": 50,
    "amend": 12,
    "cancel": 18,
    "create_batch": 3,
    "cancel_batch": 2,
    "cancel_all": 1,
    "protect": 5,
    "settle": 1,
    "ask": 8,
}
_KINDS = {
    "rest": 40,
    "cross": 10,
    "market": 14,
    "ioc": 6,
    "fok": 4,
    "post_only": 10,
    "reduce": 4,
    "trigger": 6,
    "bracket": 6,
}
_SELF_TRADES = ("None", "CancelMaker", "CancelTaker", "CancelBoth")
_TRIGGERS = ("LastPrice", "MarkPrice", "IndexPrice")
_QUERIES = (
    "order.realtime",
    "order.history",
    "execution.list",
    "position.list",
    "account.wallet-balance",
    "position.closed-pnl",
)


def crowd_accounts(venue: SimulatedVenue, count: int) -> tuple[AccountSpec, ...]:
    """Return accounts that can pay for a crowd's orders in every market of a venue."""
    balances = {"USDT": Decimal(_CASH_USDT)}
    for market in venue.markets.values():
        instrument = market.instrument
        if instrument.category is Category.SPOT:
            price = Decimal(instrument.reference_price_units).scaleb(-instrument.price_decimals)
            balances[instrument.base] = (_COINS_USDT / price).quantize(Decimal("0.0001"))
    return tuple(
        AccountSpec(f"crowd-{number}", f"crowd-secret-{number}", tuple(balances.items()))
        for number in range(1, count + 1)
    )


@dataclass(slots=True)
class CrowdCounts:
    """What a crowd sent and what came back."""

    requests: int = 0
    orders: int = 0
    refused: int = 0
    lost: int = 0


@dataclass(slots=True, eq=False)
class _Trader:
    key: ApiKey
    is_hedged: bool
    links: deque[_Link] = field(default_factory=lambda: deque(maxlen=LINKS_KEPT))


class Crowd:
    """Traders of every account of a venue; each answer's bytes go to `sink` when it arrives."""

    def __init__(
        self,
        whole: WholeVenue,
        rng: Random,
        sink: Callable[[bytes], None],
        *,
        requests_per_s: float,
    ) -> None:
        assert requests_per_s > 0, requests_per_s
        self._whole = whole
        self._rng = rng
        self._sink = sink
        self._rate = requests_per_s
        self._links = 0
        self._markets = list(whole.venue.markets.values())
        self._linear = [m for m in self._markets if m.instrument.category is Category.LINEAR]
        keys = list(whole.accounts.keys.values())
        # The last account hedges, so that both position modes are lived.
        self._traders = [
            _Trader(key, is_hedged=number == len(keys) > 1 and bool(self._linear))
            for number, key in enumerate(keys, start=1)
        ]
        self._actions: dict[str, Callable[[_Trader], None]] = {
            "create": self._create,
            "amend": self._amend,
            "cancel": self._cancel,
            "create_batch": self._create_batch,
            "cancel_batch": self._cancel_batch,
            "cancel_all": self._cancel_all,
            "protect": self._protect,
            "settle": self._settle,
            "ask": self._ask,
        }
        self.counts = CrowdCounts()

    def begin(self) -> None:
        """Start sending, for as long as venue time moves."""
        for trader in self._traders:
            if trader.is_hedged:
                body = {"category": "linear", "coin": "USDT", "mode": 3}
                self._post(trader, "position.switch-mode", body)
        self._ask_again()

    def _ask_again(self) -> None:
        venue = self._whole.venue
        wait_ns = int(self._rng.expovariate(self._rate) * 1e9)
        venue.schedule(venue.now_ns + wait_ns, self._act)

    def _act(self, due_ns: int) -> None:
        rng = self._rng
        (action,) = rng.choices(_ACTION_NAMES, cum_weights=_ACTION_WEIGHTS)
        self._actions[action](rng.choice(self._traders))
        self._ask_again()

    # requests
    # ---------------------------------------------------------------------------------------

    def _post(self, trader: _Trader, name: str, body: _Body) -> Answer | None:
        reply = self._whole.post(trader.key, name, body)
        self.counts.requests += 1
        answer = reply.answer
        if answer is None:
            self.counts.lost += 1
            return None
        self.counts.refused += answer.code != 0
        if reply.delay_s:
            venue = self._whole.venue
            due_ns = venue.now_ns + int(reply.delay_s * 1e9)
            venue.schedule(due_ns, lambda _: self._hear(answer))
        else:
            self._hear(answer)
        return answer

    def _hear(self, answer: Answer) -> None:
        self._sink(answer.body(self._whole.clock_ms()))

    def _get(self, trader: _Trader, name: str, query: Mapping[str, str]) -> Answer:
        answer = self._whole.get(trader.key, name, query)
        self.counts.requests += 1
        self.counts.refused += answer.code != 0
        self._hear(answer)
        return answer

    # actions
    # ----------------------------------------------------------------------------------------

    def _create(self, trader: _Trader) -> None:
        self._post(trader, "order.create", self._order(trader, self._rng.choice(self._markets)))

    def _create_batch(self, trader: _Trader) -> None:
        category = self._rng.choice(self._markets).instrument.category
        markets = [m for m in self._markets if m.instrument.category is category]
        orders = [
            self._order(trader, self._rng.choice(markets))
            for _ in range(self._rng.randint(*_BATCH))
        ]
        body = {"category": category.value, "request": orders}
        self._post(trader, "order.create-batch", body)

    def _amend(self, trader: _Trader) -> None:
        link = self._link(trader)
        if link is None:
            return
        category, symbol, link_id = link
        market = self._whole.venue.markets[Category(category), symbol]
        body = {"category": category, "symbol": symbol, "orderLinkId": link_id}
        if self._rng.random() < 0.7:
            side = self._rng.choice((1, -1))
            body["price"] = self._price(market, side, self._away())
        else:
            body["qty"] = self._quantity(market)
        self._post(trader, "order.amend", body)

    def _cancel(self, trader: _Trader) -> None:
        link = self._link(trader)
        if link is not None:
            category, symbol, link_id = link
            body = {"category": category, "symbol": symbol, "orderLinkId": link_id}
            self._post(trader, "order.cancel", body)

    def _cancel_batch(self, trader: _Trader) -> None:
        first = self._link(trader)
        if first is None:
            return
        chosen = [link for link in trader.links if link[0] == first[0]][: _BATCH[1]]
        orders = [{"symbol": symbol, "orderLinkId": link_id} for _, symbol, link_id in chosen]
        self._post(trader, "order.cancel-batch", {"category": first[0], "request": orders})

    def _cancel_all(self, trader: _Trader) -> None:
        instrument = self._rng.choice(self._markets).instrument
        body = {"category": instrument.category.value, "symbol": instrument.symbol}
        self._post(trader, "order.cancel-all", body)

    def _protect(self, trader: _Trader) -> None:
        """Set stops on a position, if there is one."""
        if not self._linear:
            return
        rng, market = self._rng, self._rng.choice(self._linear)
        symbol = market.instrument.symbol
        answer = self._get(trader, "position.list", {"category": "linear", "symbol": symbol})
        held = [row for row in answer.result.get("list", ()) if row["side"]]
        if not held:
            return
        row = rng.choice(held)
        sign = 1 if row["side"] == "Buy" else -1
        body: _Body = {
            "category": "linear",
            "symbol": symbol,
            "positionIdx": row["positionIdx"],
            "tpslMode": "Full",
        }
        last = market.last_or_mid_units()
        if rng.random() < 0.3:
            body["trailingStop"] = self._distance(market, rng.randint(10, 60))
        else:
            body["takeProfit"] = self._near(market, last, sign * rng.randint(5, 60))
            body["stopLoss"] = self._near(market, last, -sign * rng.randint(5, 60))
        self._post(trader, "position.trading-stop", body)

    def _settle(self, trader: _Trader) -> None:
        """Choose a leverage."""
        if self._linear:
            leverage = str(self._rng.randint(2, 20))
            symbol = self._rng.choice(self._linear).instrument.symbol
            body = {"category": "linear", "symbol": symbol}
            both = {"buyLeverage": leverage, "sellLeverage": leverage}
            self._post(trader, "position.set-leverage", body | both)

    def _ask(self, trader: _Trader) -> None:
        name = self._rng.choice(_QUERIES)
        instrument = self._rng.choice(self._markets).instrument
        query = {"category": instrument.category.value, "symbol": instrument.symbol, "limit": "20"}
        if name == "account.wallet-balance":
            query = {"accountType": "UNIFIED"}
        self._get(trader, name, query)

    # bodies
    # -----------------------------------------------------------------------------------------

    def _order(self, trader: _Trader, market: SymbolMarket) -> _Body:
        """Return a new order's body, of a kind that the market's category has."""
        rng, instrument = self._rng, market.instrument
        is_linear = instrument.category is Category.LINEAR
        sign = rng.choice((1, -1))
        (kind,) = rng.choices(_KIND_NAMES, cum_weights=_KIND_WEIGHTS)
        if not is_linear and kind in ("reduce", "bracket"):
            kind = "rest"
        self._links += 1
        link_id = f"crowd-{self._links}"
        trader.links.append((instrument.category.value, instrument.symbol, link_id))
        self.counts.orders += 1
        body: _Body = {
            "category": instrument.category.value,
            "symbol": instrument.symbol,
            "side": "Buy" if sign > 0 else "Sell",
            "orderType": "Market" if kind == "market" else "Limit",
            "qty": self._quantity(market),
            "orderLinkId": link_id,
        }
        if rng.random() < 0.2:
            body["smpType"] = rng.choice(_SELF_TRADES)
        if is_linear and trader.is_hedged:
            body["positionIdx"] = rng.choice((1, 2))
        if kind == "market":
            self._finish_market(body, is_linear=is_linear)
            return body
        beyond = kind in ("cross", "ioc", "fok")
        body["price"] = self._price(market, sign, -rng.randint(0, 3) if beyond else self._away())
        times = {"ioc": "IOC", "fok": "FOK", "post_only": "PostOnly"}
        body["timeInForce"] = times.get(kind, "GTC")
        if kind == "reduce":
            body["reduceOnly"] = True
        elif kind == "trigger":
            self._finish_trigger(body, market, is_linear=is_linear)
        elif kind == "bracket":
            self._finish_bracket(body, market, sign)
        return body

    def _finish_market(self, body: _Body, *, is_linear: bool) -> None:
        if not is_linear and self._rng.random() < 0.5:
            body["marketUnit"] = "quoteCoin"
            body["qty"] = str(self._rng.randint(*_ORDER_USDT))
        elif not is_linear:
            body["marketUnit"] = "baseCoin"
        if self._rng.random() < 0.3:
            body["slippageToleranceType"] = "TickSize"
            body["slippageTolerance"] = str(self._rng.randint(1, 20))

    def _finish_trigger(self, body: _Body, market: SymbolMarket, *, is_linear: bool) -> None:
        up = self._rng.choice((1, -1))
        ticks = up * self._rng.randint(2, 40)
        body["triggerPrice"] = self._near(market, market.last_or_mid_units(), ticks)
        if is_linear:
            body["triggerDirection"] = 1 if up > 0 else 2
            body["triggerBy"] = self._rng.choice(_TRIGGERS)
        else:
            body["orderFilter"] = self._rng.choice(("tpslOrder", "StopOrder"))

    def _finish_bracket(self, body: _Body, market: SymbolMarket, sign: int) -> None:
        last = market.last_or_mid_units()
        body["takeProfit"] = self._near(market, last, sign * self._rng.randint(20, 80))
        body["stopLoss"] = self._near(market, last, -sign * self._rng.randint(20, 80))
        body["tpslMode"] = self._rng.choice(("Full", "Partial"))

    def _link(self, trader: _Trader) -> _Link | None:
        return self._rng.choice(trader.links) if trader.links else None

    def _away(self) -> int:
        """Return ticks behind the touch: mostly near, sometimes far enough to rest for long."""
        mean = 6 if self._rng.random() < 0.7 else 60
        return min(400, int(self._rng.expovariate(1 / mean)))

    def _price(self, market: SymbolMarket, sign: int, away: int) -> str:
        """Return a price so many ticks behind a side's touch; negative: beyond the other's."""
        bid, ask = market.book.best()
        if bid is None or ask is None:
            return self._near(market, market.last_or_mid_units(), -sign * away)
        touch = (bid if (sign > 0) == (away >= 0) else ask)[0]
        return self._near(market, touch, -sign * away)

    @staticmethod
    def _near(market: SymbolMarket, units: int, ticks: int) -> str:
        tick = market.instrument.tick_units
        return market.instrument.price_text[max(tick, (units // tick + ticks) * tick)]

    @staticmethod
    def _distance(market: SymbolMarket, ticks: int) -> str:
        instrument = market.instrument
        return units_to_text(ticks * instrument.tick_units, instrument.price_decimals)

    def _quantity(self, market: SymbolMarket) -> str:
        instrument = market.instrument
        one = 10 ** (instrument.price_decimals + instrument.size_decimals)
        worth = self._rng.randint(*_ORDER_USDT) * one
        units = worth // max(1, market.last_or_mid_units()) // instrument.lot_units
        return instrument.size_text[max(1, units) * instrument.lot_units]


def _cumulative(weights: Mapping[str, int]) -> list[int]:
    total, sums = 0, []
    for weight in weights.values():
        total += weight
        sums.append(total)
    return sums


_ACTION_NAMES, _ACTION_WEIGHTS = list(_ACTIONS), _cumulative(_ACTIONS)
_KIND_NAMES, _KIND_WEIGHTS = list(_KINDS), _cumulative(_KINDS)
