"""Owns how much room every limit of size leaves an opening order; refuses to round upwards.

A room is in size units and may be negative. Exposure counts what working orders and unknown
requests may still make of a position. Shrinking what the other direction holds raises no gross
exposure and is free down to zero; a net exposure has no such part.
"""

from collections.abc import Callable
from operator import attrgetter

from tickwright.core.orders import Side
from tickwright.core.verdicts import Reason
from tickwright.portfolio.account import Account, Holding
from tickwright.risk.bound_limits import NO_LIMIT, PARTS, BoundGroup
from tickwright.risk.memory import JudgedLane
from tickwright.risk.question import (
    Question,
    Room,
    Words,
    money_text,
    percent_text,
    size_text,
    worth_of,
)

__all__ = ["OPENING_ROOMS", "fits_every_room", "group_exposure", "margin_in_use"]

_EXPOSURE: Callable[[Holding], int] = attrgetter("exposure")
_UP: Callable[[Holding], int] = attrgetter("up")
_DOWN: Callable[[Holding], int] = attrgetter("down")


def _units_for(q: Question, money: int) -> int:
    return money * q.worth_scale // q.worth


def _order_room(q: Question) -> int:
    return _units_for(q, q.limits.order_notional)


def _order_words(q: Question) -> Words:
    return money_text(
        q, worth_of(q, q.size_units)
    ), f"{money_text(q, q.limits.order_notional)} an order"


def _room_under(q: Question, money: int) -> int:
    # Shrinking what the other direction holds raises nothing, so it is always free down to zero.
    return max(_units_for(q, money), 0) - q.held_units


def _position_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.position_parts // PARTS


def _position_room(q: Question) -> int:
    return _room_under(q, _position_bound(q))


def _position_words(q: Question) -> Words:
    value = money_text(q, worth_of(q, abs(q.held_units + q.size_units)))
    share = percent_text(q.limits.position_parts)
    bound = money_text(q, _position_bound(q))
    return f"{value} in {q.instrument.symbol}", f"{bound} ({share} of equity)"


def _others(q: Question) -> int:
    return q.account.exposure_sum - q.holding.exposure


def _exposure_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.exposure_parts // PARTS


def _exposure_room(q: Question) -> int:
    return _room_under(q, _exposure_bound(q) - _others(q))


def _total(q: Question) -> int:
    """Return the gross exposure there would be, this order included."""
    units = max(abs(q.held_units + q.size_units), q.holding.exposure_units)
    return _others(q) + worth_of(q, units)


def _exposure_words(q: Question) -> Words:
    bound = (
        f"{money_text(q, _exposure_bound(q))} ({percent_text(q.limits.exposure_parts)} of equity)"
    )
    return f"{money_text(q, _total(q))} in all", bound


def _leverage_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.leverage_parts // PARTS


def _leverage_room(q: Question) -> int:
    return _room_under(q, _leverage_bound(q) - _others(q))


def _leverage_words(q: Question) -> Words:
    assert q.equity is not None
    return f"{_total(q) / q.equity:.4g} times equity", f"{q.limits.leverage_parts / PARTS:g} times"


def _size_room(q: Question) -> int:
    return q.order_size_units


def _size_words(q: Question) -> Words:
    bound = "off" if q.order_size_units >= NO_LIMIT else size_text(q, q.order_size_units)
    return size_text(q, q.size_units), f"{bound} an order"


def _notional_room(q: Question) -> int:
    return _room_under(q, q.limits.position_notional)


def _notional_words(q: Question) -> Words:
    value = money_text(q, worth_of(q, abs(q.held_units + q.size_units)))
    return f"{value} in {q.instrument.symbol}", _off_or_money(q, q.limits.position_notional)


def _total_room(q: Question) -> int:
    return _room_under(q, q.limits.total_notional - _others(q))


def _total_words(q: Question) -> Words:
    return f"{money_text(q, _total(q))} in all", _off_or_money(q, q.limits.total_notional)


def _off_or_money(q: Question, amount: int) -> str:
    return "off" if amount >= NO_LIMIT else money_text(q, amount)


# signed -------------------------------------------------------------------------------------------


def _net_held(q: Question) -> int:
    """Return what the order's direction may come to, signed so that the order adds to it."""
    holding = q.holding
    net = holding.long_units - holding.short_units
    if q.intent.side is Side.BUY:
        return net + holding.working_buy_units
    return holding.working_sell_units - net


def _net_others(q: Question) -> int:
    """Return the same of all other instruments, as worth."""
    account, holding = q.account, q.holding
    if q.intent.side is Side.BUY:
        return account.up_sum - holding.up
    return holding.down - account.down_sum


def _net_bound(q: Question) -> int:
    assert q.equity is not None
    return NO_LIMIT if q.limits.net_parts >= NO_LIMIT else q.equity * q.limits.net_parts // PARTS


def _net_room(q: Question) -> int:
    return _units_for(q, _net_bound(q) - _net_others(q)) - _net_held(q)


def _net_words(q: Question) -> Words:
    net = _net_others(q) + worth_of(q, _net_held(q) + q.size_units)
    side = "long" if q.intent.side is Side.BUY else "short"
    value = f"{money_text(q, net)} net {side} at worst"
    if q.limits.net_parts >= NO_LIMIT:
        return value, "off"
    share = percent_text(q.limits.net_parts)
    return value, f"{money_text(q, _net_bound(q))} ({share} of equity)"


# margin -------------------------------------------------------------------------------------------


def margin_in_use(account: Account) -> int:
    """Return the initial margin in use: ours, or the venue's where it is larger and in USD."""
    ours, totals = account.margin_sum, account.totals
    if totals is None or "USD" not in account.valuer.one_to_one:
        return ours
    return max(ours, totals.initial_margin)


def _margin_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.margin_use_parts // PARTS


def _margin_room(q: Question) -> int:
    account, holding, bound = q.account, q.holding, _margin_bound(q)
    parts = holding.margin_parts
    money = (bound - account.margin_sum + holding.margin) * PARTS // parts
    totals = account.totals
    if totals is not None and "USD" in account.valuer.one_to_one:
        # The venue's figure holds this instrument's margin already: only what grows comes on top.
        money = min(
            money, holding.exposure + max(0, bound - totals.initial_margin) * PARTS // parts
        )
    return _room_under(q, money)


def _margin_words(q: Question) -> Words:
    account, holding = q.account, q.holding
    units = max(abs(q.held_units + q.size_units), holding.exposure_units)
    growth = max(0, worth_of(q, units) - holding.exposure) * holding.margin_parts // PARTS
    value = f"{money_text(q, margin_in_use(account) + growth)} margin"
    share = percent_text(q.limits.margin_use_parts)
    return value, f"{money_text(q, _margin_bound(q))} ({share} of equity)"


# groups -------------------------------------------------------------------------------------------


def group_exposure(group: BoundGroup, members: tuple[Holding, ...], *, is_buy: bool) -> int:
    """Return what members' exposures sum to in the group's direction.

    For `net` to the side of an order: long for a buy, short for a sell, which may be below zero.
    """
    if group.direction == "gross":
        return sum(member.exposure for member in members)
    if group.direction == "net":
        if is_buy:
            return sum(member.up for member in members)
        return -sum(member.down for member in members)
    if group.direction == "long":
        return sum(max(0, member.up) for member in members)
    return sum(max(0, -member.down) for member in members)


def _group_bound(q: Question, group: BoundGroup) -> int:
    assert q.equity is not None
    return q.equity * group.parts // PARTS


def _one_group_room(q: Question, group: BoundGroup) -> int:
    is_buy = q.intent.side is Side.BUY
    if group.direction == ("short" if is_buy else "long"):
        return NO_LIMIT
    members = q.memory.members(group, q.account)
    others = _others_exposure(group.direction, members, q.holding, is_buy=is_buy)
    left = _group_bound(q, group) - others
    if group.direction == "gross":
        return _room_under(q, left)
    if group.direction == "net":
        return _units_for(q, left) - _net_held(q)
    return max(_units_for(q, left), 0) - _net_held(q)


def _group_room(q: Question) -> int:
    return min((_one_group_room(q, group) for group in q.limits.groups), default=NO_LIMIT)


def _group_words(q: Question) -> Words:
    groups = q.limits.groups
    if not groups:
        return "in no group", "off"
    group = min(groups, key=lambda g: _one_group_room(q, g))
    is_buy = q.intent.side is Side.BUY
    members = tuple(m for m in q.memory.members(group, q.account) if m is not q.holding)
    others = group_exposure(group, members, is_buy=is_buy)
    if group.direction == "gross":
        units = max(abs(q.held_units + q.size_units), q.holding.exposure_units)
    else:
        units = _net_held(q) + q.size_units
        units = units if group.direction == "net" else max(0, units)
    value = f"{money_text(q, others + worth_of(q, units))} {group.direction} in {group.name}"
    share = percent_text(group.parts)
    return value, f"{money_text(q, _group_bound(q, group))} ({share} of equity)"


OPENING_ROOMS: tuple[Room, ...] = (
    Room(Reason.ORDER_NOTIONAL, _order_room, _order_words),
    Room(Reason.ORDER_SIZE, _size_room, _size_words),
    Room(Reason.POSITION_LIMIT, _position_room, _position_words),
    Room(Reason.POSITION_NOTIONAL, _notional_room, _notional_words),
    Room(Reason.EXPOSURE_LIMIT, _exposure_room, _exposure_words),
    Room(Reason.NET_EXPOSURE, _net_room, _net_words),
    Room(Reason.TOTAL_POSITION, _total_room, _total_words),
    Room(Reason.LEVERAGE_LIMIT, _leverage_room, _leverage_words),
    Room(Reason.MARGIN_USE, _margin_room, _margin_words),
    Room(Reason.GROUP_EXPOSURE, _group_room, _group_words),
)
"""Limits an opening order may shrink to."""


def fits_every_room(
    lane: JudgedLane,
    size_units: int,
    after_units: int,
    unit: int,
    scale: int,
    equity: int,
    is_buy: bool,  # noqa: FBT001 (every order waits for the call)
) -> bool:
    """Say yes only when no room of `OPENING_ROOMS` is smaller than the order, without a division.

    A no means nothing: then every room is asked. `after_units` is what the order's direction would
    hold with it; `scale` size units are worth `unit`. Not for accounts with separate legs.
    """
    limits, holding, memory = lane.limits, lane.holding, lane.memory
    account = holding.account
    worth = unit * after_units if after_units > 0 else 0
    others = (account.exposure_sum - holding.exposure) * scale
    margin = (account.margin_sum - holding.margin) * scale
    gross, equity_scaled = worth + others, equity * scale
    if (
        size_units * unit > limits.order_notional * scale
        or size_units > lane.order_size_units
        or worth * PARTS > equity_scaled * limits.position_parts
        or worth > limits.position_notional * scale
        or gross > limits.total_notional * scale
        or margin * PARTS + worth * holding.margin_parts > equity_scaled * limits.margin_use_parts
    ):
        return False
    totals = account.totals
    if totals is not None and "USD" in account.valuer.one_to_one:
        left = equity * limits.margin_use_parts // PARTS - totals.initial_margin
        growth = max(0, left) * PARTS // holding.margin_parts
        if worth > (holding.exposure + growth) * scale:
            return False
    if gross * PARTS <= equity_scaled * limits.sum_parts:
        return True
    if worth and gross * PARTS > equity_scaled * limits.gross_parts:
        return False
    signed = after_units * unit
    if limits.net_parts < NO_LIMIT:
        net = account.up_sum - holding.up if is_buy else holding.down - account.down_sum
        if (net * scale + signed) * PARTS > equity_scaled * limits.net_parts:
            return False
    for group in limits.groups:
        direction = group.direction
        if direction != ("short" if is_buy else "long"):
            members = memory.members(group, account)
            total = _others_exposure(direction, members, holding, is_buy=is_buy) * scale
            own = signed if direction == "net" else worth
            if (total + own) * PARTS > equity_scaled * group.parts:
                return False
    return True


def _others_exposure(
    direction: str, members: tuple[Holding, ...], holding: Holding, *, is_buy: bool
) -> int:
    """Return `group_exposure` without one member; summed by the interpreter's own loops."""
    if direction == "gross":
        return sum(map(_EXPOSURE, members)) - holding.exposure
    if direction == "net":
        if is_buy:
            return sum(map(_UP, members)) - holding.up
        return holding.down - sum(map(_DOWN, members))
    if direction == "long":
        return sum(max(0, member.up) for member in members if member is not holding)
    return sum(max(0, -member.down) for member in members if member is not holding)
