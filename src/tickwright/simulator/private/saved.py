"""Owns what accounts keep over a restart of their venue, as text and back; refuses files.

Kept are money, positions, leverages, modes, and the take profit and stop loss of whole positions.
Working orders, trailing and partial stops end with the venue, as do the lists of past orders and
executions. Money is exact: whole money units as text, since they are beyond what JSON's readers
hold. Sizes are kept with their decimals, which an instrument may change.
"""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

import msgspec

from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import Category
from tickwright.core.orders import Side, TriggerBy
from tickwright.core.units import decimal_from_units, units_from_decimal
from tickwright.matching import BookOrder, StopKind
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import AccountLedger, Position
from tickwright.simulator.private.settlement import SymbolDesk, position_key
from tickwright.simulator.sources.operations import MarketFacts
from tickwright.simulator.whole import WholeVenue

__all__ = ["SavedAccount", "SavedVenue", "read_saved", "restore", "saved_of", "written"]

FORMAT = 1
_SUMS = tuple(
    one.name for one in fields(AccountLedger) if one.name not in ("positions", "revision")
)
_FIGURES = tuple(one.name for one in fields(Position) if one.name != "size_units")


class SavedStop(msgspec.Struct, frozen=True, kw_only=True):
    """One full stop of a position: exact price text, and which price triggers it."""

    price: str
    by: str
    is_profit: bool


class SavedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of a contract: its signed size as exact text, its figures as whole money units.

    `mark` is the mark price by which it was valued last; it counts until a live one comes.
    """

    symbol: str
    index: int
    size: str
    mark: str
    figures: dict[str, str]
    stops: tuple[SavedStop, ...] = ()


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account, or the house. `sums` by their names and assets, in whole money units as text."""

    sums: dict[str, dict[str, str]]
    positions: tuple[SavedPosition, ...]
    leverages: dict[str, str] = {}
    hedged: tuple[str, ...] = ()


class SavedVenue(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts by the names their owner gave them, and the other side of their trades."""

    format: int
    accounts: dict[str, SavedAccount]
    house: SavedAccount

    @property
    def held(self) -> set[str]:
        """Symbols in which an account holds a position."""
        return {
            position.symbol
            for account in self.accounts.values()
            for position in account.positions
            if Decimal(position.size)
        }


def written(saved: SavedVenue) -> bytes:
    """Return the text of a saved venue."""
    return msgspec.json.format(msgspec.json.encode(saved), indent=1) + b"\n"


def read_saved(text: bytes, *, where: str) -> SavedVenue:
    """Read a text back.

    Raises:
        StorageError: it isn't one, or one of another version; names `where` it stood.
    """
    try:
        saved = msgspec.json.decode(text, type=SavedVenue)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{where} holds no paper accounts: {error}") from None
    if saved.format != FORMAT:
        raise StorageError(f"{where} has format {saved.format}; this version reads {FORMAT}")
    return saved


# out --------------------------------------------------------------------------------------------


def saved_of(whole: WholeVenue, names: Mapping[int, str]) -> SavedVenue:
    """Return what the accounts have now; `names` by uid."""
    return SavedVenue(
        format=FORMAT,
        accounts={
            names[uid]: _account_of(whole, account)
            for uid, account in whole.accounts.by_uid.items()
        },
        house=_ledger_of(whole, whole.ledger.house, None),
    )


def _account_of(whole: WholeVenue, account: Account) -> SavedAccount:
    return msgspec.structs.replace(
        _ledger_of(whole, account.ledger, account),
        leverages={symbol: str(one) for symbol, one in account.leverages.items()},
        hedged=tuple(sorted(account.hedged)),
    )


def _ledger_of(whole: WholeVenue, ledger: AccountLedger, account: Account | None) -> SavedAccount:
    positions = []
    for (symbol, index), position in sorted(ledger.positions.items()):
        market = whole.venue.markets[Category.LINEAR, symbol]
        stops = () if account is None else _stops_of(whole, market, account, index)
        size = decimal_from_units(position.size_units, market.instrument.size_decimals)
        mark = decimal_from_units(market.mark_units, market.instrument.price_decimals)
        positions.append(
            SavedPosition(
                symbol=symbol,
                index=index,
                size=f"{size:f}",
                mark=f"{mark:f}",
                figures={name: str(getattr(position, name)) for name in _FIGURES},
                stops=stops,
            )
        )
    return SavedAccount(
        sums={
            name: {asset: str(amount) for asset, amount in getattr(ledger, name).items()}
            for name in _SUMS
        },
        positions=tuple(positions),
    )


def _stops_of(
    whole: WholeVenue, market: SymbolMarket, account: Account, index: int
) -> tuple[SavedStop, ...]:
    key = position_key(account.uid, index)
    decimals = market.instrument.price_decimals
    return tuple(
        SavedStop(
            price=f"{decimal_from_units(order.trigger_price_units, decimals):f}",
            by=order.trigger_by.name,
            is_profit=order.stop_kind is StopKind.TAKE_PROFIT,
        )
        for order in whole.desk.desk_of(market).matching.orders.values()
        if order.position == key and order.stop_kind in (StopKind.STOP_LOSS, StopKind.TAKE_PROFIT)
    )


# back -------------------------------------------------------------------------------------------


def restore(whole: WholeVenue, saved: SavedVenue, uids: Mapping[str, int]) -> None:
    """Give fresh accounts, opened without any money, what they had; `uids` by name.

    Nothing may trade yet: no market has a live book.

    Raises:
        ConfigError: a position in a contract that isn't listed, or a size that no longer fits.
    """
    for name, one in saved.accounts.items():
        account = whole.accounts.by_uid[uids[name]]
        account.leverages |= {symbol: Decimal(text) for symbol, text in one.leverages.items()}
        account.hedged |= set(one.hedged)
        _fill(whole, account.ledger, one)
        for position in one.positions:
            held = account.ledger.positions.get((position.symbol, position.index))
            if held is not None and held.size_units:
                _seat(whole, account, position, held.size_units)
    _fill(whole, whole.ledger.house, saved.house)
    faults = whole.ledger.faults()
    if faults:
        raise ConfigError(f"the saved paper accounts don't balance: {faults[0]}")


def _fill(whole: WholeVenue, ledger: AccountLedger, one: SavedAccount) -> None:
    for name, amounts in one.sums.items():
        if name in _SUMS:
            setattr(ledger, name, {asset: int(amount) for asset, amount in amounts.items()})
    for saved in one.positions:
        market = whole.venue.markets.get((Category.LINEAR, saved.symbol))
        size = Decimal(saved.size)
        if market is None:
            if size:
                raise ConfigError(f"a position of {size} in {saved.symbol}, which isn't listed")
            continue  # flat, and nobody trades it any more
        units = units_from_decimal(size, market.instrument.size_decimals)
        figures = {name: int(text) for name, text in saved.figures.items() if name in _FIGURES}
        ledger.positions[saved.symbol, saved.index] = Position(size_units=units, **figures)
    ledger.revision += 1


def _seat(whole: WholeVenue, account: Account, saved: SavedPosition, size_units: int) -> None:
    """Let the matching engine know a position: it is the fold of executions there."""
    market = whole.venue.markets[Category.LINEAR, saved.symbol]
    desk = whole.desk.desk_of(market)
    matching, tick, now_ns = desk.matching, market.instrument.tick_units, whole.now_ns
    key = position_key(account.uid, saved.index)
    side = Side.BUY if size_units > 0 else Side.SELL
    # The one way in is a fill, at any price: its events are dropped, the ledger has it already.
    order = BookOrder(0, account.uid, side, abs(size_units), 2 * tick, position=key)
    matching.submit(order, now_ns)
    matching.on_trade(side.opposite, (2 - side) * tick, abs(size_units), now_ns)
    matching.drain()
    assert size_units == matching.position(key)
    mark = units_from_decimal(Decimal(saved.mark), market.instrument.price_decimals)
    market.facts = MarketFacts(mark_units=mark)
    matching.last_price_units = mark
    market.past.moved(0, size_units)
    _arm(desk, account, key, saved.stops, now_ns)
    whole.desk.settlement.settle(desk)


def _arm(
    desk: SymbolDesk, account: Account, key: int, stops: tuple[SavedStop, ...], now_ns: int
) -> None:
    decimals = desk.market.instrument.price_decimals
    for stop in stops:
        units = units_from_decimal(Decimal(stop.price), decimals)
        by = TriggerBy[stop.by]
        if stop.is_profit:
            desk.matching.set_stops(
                account.uid, key, now_ns, take_profit_units=units, take_profit_by=by
            )
        else:
            desk.matching.set_stops(
                account.uid, key, now_ns, stop_loss_units=units, stop_loss_by=by
            )
