from collections.abc import Callable, Iterator, Mapping

from typing_extensions import disjoint_base

from tickwright.core.orders import Side, TriggerBy
from tickwright.matching.events import MatchEvent
from tickwright.matching.levels import LevelSource
from tickwright.matching.liquidity import Liquidity
from tickwright.matching.orders import BookOrder

__all__ = ["MARKET_BOUND_PPM", "LiveOrders"]

MARKET_BOUND_PPM: int

@disjoint_base
class LiveOrders:
    last_price_units: int
    def __init__(
        self,
        liquidity: Liquidity | LevelSource,
        *,
        new_id: Callable[[], int],
        lot_units: int = 1,
        tick_units: int = 1,
        admit: Callable[[BookOrder, int], bool] | None = None,
    ) -> None: ...
    @property
    def events(self) -> list[MatchEvent]: ...
    @property
    def orders(self) -> Mapping[int, BookOrder]: ...
    @property
    def positions(self) -> Mapping[int, int]: ...
    def position(self, key: int) -> int: ...
    def drain(self) -> list[MatchEvent]: ...
    def resting(self, side: Side) -> Iterator[BookOrder]: ...
    def stops(self, position: int) -> tuple[int, int]: ...
    def waiting_for(self, by: TriggerBy) -> bool: ...
    def market_bound(self, side: Side, slippage_units: int | None = None) -> int: ...
    def take_over(self, position: int) -> None: ...
    def set_stops(
        self,
        account: int,
        position: int,
        now_ns: int,
        *,
        take_profit_units: int | None = None,
        stop_loss_units: int | None = None,
        take_profit_by: TriggerBy = ...,
        stop_loss_by: TriggerBy = ...,
    ) -> None: ...
