from typing_extensions import disjoint_base

from tickwright.matching.live_orders import LiveOrders

__all__ = ["Arrivals"]

@disjoint_base
class Arrivals(LiveOrders): ...
