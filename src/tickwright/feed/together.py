"""Owns which requests of one step may leave in one message; refuses to let one overtake its own.

Creates go with creates, amends with amends and cancels with cancels, of one product line, in their
order. Cancels go first, unless one of them is about an order that the same step creates or amends.
"""

from collections.abc import Callable, Iterator, Sequence

from tickwright.core.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceOrder,
    QueryOrder,
    SetPositionStops,
)
from tickwright.core.identity import Category

__all__ = ["AccountCommand", "together"]

AccountCommand = PlaceOrder | AmendOrder | CancelOrder | CancelAll | QueryOrder | SetPositionStops
"""What an engine may ask of one account."""


def together(
    commands: Sequence[AccountCommand], batch_max: Callable[[Category], int]
) -> Iterator[Sequence[AccountCommand]]:
    """Yield the commands of one account in the order to send them, in groups of one message each.

    A group of more than one is of one kind, at most `batch_max` of them.
    """
    group: list[AccountCommand] = []
    key: tuple[type, Category] | None = None
    room = 1
    for command in _cancels_first(commands):
        if isinstance(command, (PlaceOrder, AmendOrder, CancelOrder)):
            its = (type(command), command.instrument_id.category)
            if its == key and len(group) < room:
                group.append(command)
                continue
            key, room = its, batch_max(command.instrument_id.category)
        else:
            key = None
        if group:
            yield group
        group = [command]
    if group:
        yield group


def _cancels_first(commands: Sequence[AccountCommand]) -> Sequence[AccountCommand]:
    cancels = [one for one in commands if isinstance(one, CancelOrder)]
    others = [one for one in commands if not isinstance(one, CancelOrder)]
    if not cancels or not others:
        return commands
    touched = {one.client_id for one in others if isinstance(one, (PlaceOrder, AmendOrder))}
    if any(one.client_id in touched for one in cancels):
        return commands
    return [*cancels, *others]
