"""Owns what a crowd of agents is like: rates, sizes, regimes; refuses to trade.

Some styles are set against recordings (`CALIBRATED`); every other symbol gets the plain one, less
active the further down the list it stands.
"""

from collections.abc import Mapping

import msgspec

from tickwright.core.identity import Category

__all__ = ["CALIBRATED", "MAKERS_MAX", "REGIMES", "AgentsStyle", "Regime", "style_for"]

MAKERS_MAX = 32
"""Most market makers of one symbol: each trade asks every one of them."""
_RANK_EXPONENT = 0.8


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch with one character; factors multiply the style's rates.

    `share` is the probability of being next, `seconds` the mean of its exponential length. `bias`
    is how much likelier than one in two a taker trades the regime's side, drawn at its start.
    """

    name: str
    share: float
    seconds: float
    takers: float
    news: float
    depth: float
    bias: float = 0.0


REGIMES: tuple[Regime, ...] = (
    Regime(name="calm", share=0.46, seconds=8.0, takers=0.45, news=0.6, depth=0.9),
    Regime(name="active", share=0.34, seconds=4.0, takers=1.6, news=1.5, depth=1.1),
    Regime(name="burst", share=0.08, seconds=2.0, takers=7.0, news=4.0, depth=1.6),
    Regime(name="one-sided", share=0.12, seconds=4.0, takers=1.8, news=1.6, depth=1.1, bias=0.3),
)


class AgentsStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How one symbol's agents behave. Rates are turns per second, sizes are worth quote units.

    Sizes are lognormal: a median and the deviation of the logarithm. A book is as dense as
    `level_gap_bps` allows: with a coarser tick every tick holds a level.
    """

    makers: int = 8
    maker_rate: float = 40.0
    maker_median: float = 6_000.0
    maker_deviation: float = 0.8
    noise_rate: float = 60.0
    noise_levels: int = 4
    """Levels that one turn of the noise changes at most."""
    noise_depth: int = 100
    """Levels a side among which the noise resizes."""
    churn: float = 0.3
    """Share of the noise that places and cancels levels; the rest resizes."""
    levels: int = 500
    level_gap_bps: float = 0.1
    level_median: float = 10_000.0
    level_deviation: float = 1.0
    touch_share: float = 0.6
    """Size of a level at the touch, as a share of one `ramp_levels` away or further."""
    ramp_levels: int = 8
    taker_rate: float = 4.0
    taker_median: float = 1_000.0
    taker_deviation: float = 2.0
    taker_through: float = 0.1
    """Share of takers that go on past the touch."""
    print_median: float = 800.0
    """Size of one of the resting orders that a taker meets: how its trade is cut into prints."""
    print_deviation: float = 1.5
    trend_rate: float = 2.0
    trend_threshold: float = 3.0
    """Move over a second at which trend followers trade, in news of typical size."""
    news_rate: float = 0.8
    """Changes of the fair value."""
    news_bps: float = 0.8
    news_taken: float = 0.3
    """Share of news in which a taker is faster than the makers' cancels."""
    impact: float = 0.4
    """Share of a move of the mid by trades that the fair value keeps."""
    rest_s: float = 0.6
    """How long, in the mean, a maker stays away from a side that was swept."""
    regimes: tuple[Regime, ...] = REGIMES

    def scaled(self, activity: float) -> "AgentsStyle":
        """Return the same crowd, so many times as active."""
        return msgspec.structs.replace(
            self,
            maker_rate=self.maker_rate * activity,
            noise_rate=self.noise_rate * activity,
            taker_rate=self.taker_rate * activity,
            trend_rate=self.trend_rate * activity,
            news_rate=self.news_rate * activity,
        )


CALIBRATED: Mapping[tuple[Category, str], AgentsStyle] = {
    # A fine tick: a thick touch, thin levels several ticks apart behind it, heavy-tailed trades.
    (Category.LINEAR, "BTCUSDT"): AgentsStyle(
        makers=10,
        maker_rate=90.0,
        maker_median=21_000.0,
        maker_deviation=0.9,
        noise_rate=262.0,
        noise_levels=4,
        noise_depth=200,
        churn=0.45,
        levels=1_000,
        level_gap_bps=0.065,
        level_median=3_000.0,
        level_deviation=2.0,
        touch_share=1.0,
        taker_rate=14.5,
        taker_median=1_850.0,
        taker_deviation=2.2,
        taker_through=0.1,
        print_median=2_100.0,
        print_deviation=2.4,
        trend_rate=3.0,
        news_rate=1.2,
        news_bps=0.75,
        news_taken=0.2,
    ),
    # A coarse tick: every tick holds a level, sizes grow away from the touch.
    (Category.LINEAR, "XRPUSDT"): AgentsStyle(
        makers=6,
        maker_rate=30.0,
        maker_median=1_350.0,
        maker_deviation=0.6,
        noise_rate=310.0,
        noise_levels=4,
        noise_depth=140,
        churn=0.1,
        level_median=30_500.0,
        level_deviation=0.5,
        touch_share=0.2,
        ramp_levels=8,
        taker_rate=3.0,
        taker_median=900.0,
        news_rate=0.8,
        news_bps=0.65,
    ),
    # A tick finer still: levels dozens of ticks apart, most of them small.
    (Category.SPOT, "BTCUSDT"): AgentsStyle(
        makers=10,
        maker_rate=70.0,
        maker_median=12_500.0,
        maker_deviation=0.9,
        noise_rate=88.0,
        noise_levels=4,
        noise_depth=200,
        churn=0.6,
        levels=1_000,
        level_gap_bps=0.048,
        level_median=1_150.0,
        level_deviation=2.0,
        touch_share=1.0,
        taker_rate=9.5,
        taker_median=256.0,
        taker_deviation=2.45,
        print_median=60.0,
        print_deviation=3.3,
        trend_rate=3.0,
        news_rate=1.2,
        news_bps=0.75,
        news_taken=0.2,
    ),
}
"""Set against the packaged recordings; XRPUSDT's has no trades, so its takers are a guess."""


def style_for(
    category: Category, symbol: str, rank: int, style: AgentsStyle | None = None
) -> AgentsStyle:
    """Return a symbol's style: the given one, else its calibrated one, else by its place (from 0).

    A given style is slowed down by the place too: symbols differ in how busy they are.
    """
    if style is None and (category, symbol) in CALIBRATED:
        return CALIBRATED[category, symbol]
    return (style or AgentsStyle()).scaled((rank + 1) ** -_RANK_EXPONENT)
