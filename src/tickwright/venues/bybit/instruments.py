"""Owns turning Bybit's instruments-info into instruments and holding them; refuses to guess a step.

Decimals are those of the step, of the smallest size and of the venue's `priceScale`, so that its
printed prices fit exactly. A row that can't be used doesn't stop the others: it becomes a fault
that names symbol and field, and its symbol stays unknown.
"""

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from tickwright.core.errors import ConfigError, FrameError, InstrumentUnknown, UnitsError
from tickwright.core.events import InstrumentChanged
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import (
    AmendKind,
    Capabilities,
    Instrument,
    InstrumentStatus,
    Payoff,
    SizeUnit,
)
from tickwright.core.units import INT64_MAX, decimals_of, units_from_decimal
from tickwright.venues.bybit.wire import read_strict, shortened

__all__ = [
    "INSTRUMENTS_MAX",
    "VENUE",
    "InstrumentFault",
    "InstrumentListing",
    "InstrumentPage",
    "Instruments",
    "load_instruments",
    "page_of",
    "parse_instruments",
]

VENUE = "bybit"
INSTRUMENTS_MAX = 10_000
"""Most instruments held per category; Bybit lists under 1,500."""

_EXACT = Context(prec=60)
_NUMBER_LENGTH_MAX = 40
_SPOT = Capabilities(
    can_short=False,
    has_reduce_only=False,
    has_native_stop=True,
    has_attached_brackets=False,
    amend=AmendKind.IN_PLACE,
    batch_size_max=10,
)
_CONTRACT = Capabilities(
    can_short=True,
    has_reduce_only=True,
    has_native_stop=True,
    has_attached_brackets=True,
    amend=AmendKind.IN_PLACE,
    batch_size_max=20,
)
# A status we don't know may not trade.
_STATUS = {
    "Trading": InstrumentStatus.TRADING,
    "PreLaunch": InstrumentStatus.PRELAUNCH,
    "Closed": InstrumentStatus.CLOSED,
}


class PriceFilter(msgspec.Struct, frozen=True):
    """Price bounds and step; spot has the step alone."""

    tickSize: str  # noqa: N815
    minPrice: str = ""  # noqa: N815
    maxPrice: str = ""  # noqa: N815


class LotSizeFilter(msgspec.Struct, frozen=True):
    """Size bounds and step, with the names of contracts and of spot."""

    qtyStep: str = ""  # noqa: N815
    minOrderQty: str = ""  # noqa: N815
    maxOrderQty: str = ""  # noqa: N815
    maxMktOrderQty: str = ""  # noqa: N815
    minNotionalValue: str = ""  # noqa: N815
    basePrecision: str = ""  # noqa: N815
    minOrderAmt: str = ""  # noqa: N815
    maxLimitOrderQty: str = ""  # noqa: N815
    maxMarketOrderQty: str = ""  # noqa: N815


class LeverageFilter(msgspec.Struct, frozen=True):
    """Largest leverage of a contract."""

    maxLeverage: str = ""  # noqa: N815


class InstrumentRow(msgspec.Struct, frozen=True):
    """One entry of instruments-info, spot or contract."""

    symbol: str
    status: str
    baseCoin: str  # noqa: N815
    quoteCoin: str  # noqa: N815
    priceFilter: PriceFilter  # noqa: N815
    lotSizeFilter: LotSizeFilter  # noqa: N815
    settleCoin: str = ""  # noqa: N815
    leverageFilter: LeverageFilter | None = None  # noqa: N815
    priceScale: str = ""  # noqa: N815
    fundingInterval: int | str | None = None  # noqa: N815


class InstrumentFault(msgspec.Struct, frozen=True):
    """Why one listed symbol can't be used: the field and what is wrong with it."""

    symbol: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.field}: {self.text}"


class InstrumentPage(msgspec.Struct, frozen=True):
    """One page of instruments; `next_cursor` is "" on the last, else sent back as it is."""

    instruments: tuple[Instrument, ...]
    faults: tuple[InstrumentFault, ...]
    next_cursor: str


class InstrumentListing(msgspec.Struct, frozen=True):
    """The `result` of an instruments-info answer; `nextPageCursor` may be missing or null."""

    list: list[dict[str, Any]]
    category: str = ""
    nextPageCursor: str | None = None  # noqa: N815


class _Envelope(msgspec.Struct):
    result: InstrumentListing


class _Fault(Exception):
    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def parse_instruments(body: bytes, category: Category, *, valid_from_ns: int = 0) -> InstrumentPage:
    """Read an instruments-info answer, or its bare `result`, of one category.

    Raises:
        FrameError: not such a body, or of another category.
    """
    return page_of(_result(body), category, valid_from_ns=valid_from_ns)


def page_of(
    result: InstrumentListing, category: Category, *, valid_from_ns: int = 0
) -> InstrumentPage:
    """Turn a listing into instruments and faults.

    Raises:
        FrameError: it is of another category.
    """
    if result.category and result.category != category.value:
        raise FrameError(f"instruments of {shortened(result.category)}, asked for {category.value}")
    instruments, faults = [], []
    for raw in result.list:
        made = _instrument_or_fault(raw, category, valid_from_ns)
        if isinstance(made, Instrument):
            instruments.append(made)
        else:
            faults.append(made)
    return InstrumentPage(tuple(instruments), tuple(faults), result.nextPageCursor or "")


def load_instruments(path: Path, category: Category) -> InstrumentPage:
    """Read a file in the shape of an instruments-info answer.

    Raises:
        ConfigError: it can't be read, isn't of that shape, or holds no usable instrument.
    """
    try:
        page = parse_instruments(path.read_bytes(), category)
    except OSError as error:
        raise ConfigError(f"instruments file {path}: {error.strerror}") from None
    except FrameError as error:
        raise ConfigError(f"instruments file {path}: {error}") from None
    if not page.instruments:
        reason = str(page.faults[0]) if page.faults else "it lists nothing"
        raise ConfigError(f"instruments file {path} holds no usable instrument: {reason}")
    return page


class Instruments:
    """Holds the instruments of one category by symbol, with versions that count their changes."""

    def __init__(self, category: Category) -> None:
        self.category = category
        self._held: dict[str, Instrument] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._held

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols held, in the order they came."""
        return tuple(self._held)

    def get(self, symbol: str) -> Instrument:
        """Return the current version of a symbol's instrument.

        Raises:
            InstrumentUnknown: it isn't held; the text names near symbols.
        """
        instrument = self._held.get(symbol)
        if instrument is None:
            raise InstrumentUnknown(
                f"symbol {shortened(symbol)} is not among the {len(self._held)} "
                f"{self.category.value} instruments{self._hint(symbol)}"
            )
        return instrument

    def update(self, listed: Iterable[Instrument], *, now_ns: int) -> list[InstrumentChanged]:
        """Take what the venue lists now; return what is new or changed, with raised versions.

        A held symbol that isn't listed stays: a partial list is no proof of a delisting.

        Raises:
            FrameError: an instrument of another category, or more than INSTRUMENTS_MAX.
        """
        changes = []
        for instrument in listed:
            if instrument.id.category is not self.category:
                raise FrameError(f"{instrument.id} is not {self.category.value}")
            held = self._held.get(instrument.symbol)
            version = 1 if held is None else held.version
            since = now_ns if held is None else held.valid_from_ns
            fresh = msgspec.structs.replace(instrument, version=version, valid_from_ns=since)
            if fresh == held:
                continue
            if held is None and len(self._held) >= INSTRUMENTS_MAX:
                raise FrameError(f"more than {INSTRUMENTS_MAX} {self.category.value} instruments")
            if held is not None:
                fresh = msgspec.structs.replace(fresh, version=version + 1, valid_from_ns=now_ns)
            self._held[instrument.symbol] = fresh
            changes.append(InstrumentChanged(fresh))
        return changes

    def _hint(self, symbol: str) -> str:
        wanted = symbol.upper()
        near = [held for held in self._held if held == wanted or held.startswith(wanted[:4])]
        return f"; did you mean {', '.join(sorted(near)[:3])}?" if wanted and near else ""


def _result(body: bytes) -> InstrumentListing:
    try:
        return read_strict(body, _Envelope).result
    except FrameError as error:
        try:
            return read_strict(body, InstrumentListing)
        except FrameError:
            raise error from None


def _instrument_or_fault(
    raw: dict[str, Any], category: Category, valid_from_ns: int
) -> Instrument | InstrumentFault:
    try:
        row = msgspec.convert(raw, InstrumentRow)
    except msgspec.ValidationError as error:
        symbol = raw.get("symbol")
        return InstrumentFault(symbol if isinstance(symbol, str) else "?", "row", str(error))
    try:
        return _instrument(row, category, valid_from_ns)
    except _Fault as fault:
        return InstrumentFault(row.symbol, fault.field, fault.text)
    except UnitsError as error:
        return InstrumentFault(row.symbol, "decimals", str(error))


def _instrument(row: InstrumentRow, category: Category, valid_from_ns: int) -> Instrument:
    if category is Category.OPTION:
        raise _Fault("category", "options are not supported")
    for field, text in (("symbol", row.symbol), ("baseCoin", row.baseCoin)):
        if not text:
            raise _Fault(field, "is empty")
    lots, prices = row.lotSizeFilter, row.priceFilter
    is_spot = category is Category.SPOT
    tick = _step("priceFilter.tickSize", prices.tickSize)
    if is_spot:
        lot = _step("lotSizeFilter.basePrecision", lots.basePrecision)
        # Spot's minimum and maximum quantities are deprecated: the order's amount counts.
        smallest = lot
        largest = _largest("lotSizeFilter.maxLimitOrderQty", lots.maxLimitOrderQty)
        market = _largest("lotSizeFilter.maxMarketOrderQty", lots.maxMarketOrderQty)
        notional = _amount("lotSizeFilter.minOrderAmt", lots.minOrderAmt)
    else:
        lot = _step("lotSizeFilter.qtyStep", lots.qtyStep)
        smallest = _positive("lotSizeFilter.minOrderQty", lots.minOrderQty or lots.qtyStep)
        largest = _largest("lotSizeFilter.maxOrderQty", lots.maxOrderQty)
        market = _largest("lotSizeFilter.maxMktOrderQty", lots.maxMktOrderQty)
        notional = _amount("lotSizeFilter.minNotionalValue", lots.minNotionalValue)
    price_decimals = max(decimals_of(tick), _scale(row.priceScale))
    size_decimals = max(decimals_of(lot), decimals_of(smallest))
    leverage = Decimal(1)
    if row.leverageFilter is not None and row.leverageFilter.maxLeverage:
        leverage = _positive("leverageFilter.maxLeverage", row.leverageFilter.maxLeverage)
    return Instrument(
        id=InstrumentId(VENUE, category, row.symbol),
        base_asset=row.baseCoin,
        quote_asset=row.quoteCoin,
        settle_asset=_settle(row, category),
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_units=_units("priceFilter.tickSize", tick, price_decimals),
        lot_units=_units("lot step", lot, size_decimals),
        size_min_units=_units("smallest size", smallest, size_decimals),
        size_max_units=_floor("largest size", largest, size_decimals),
        market_size_max_units=_floor("largest market size", market, size_decimals),
        notional_min=notional,
        price_min_units=_price_min(prices, tick, price_decimals),
        price_max_units=_price_max(prices, price_decimals),
        payoff=Payoff.INVERSE if category is Category.INVERSE else Payoff.LINEAR,
        size_unit=SizeUnit.QUOTE if category is Category.INVERSE else SizeUnit.BASE,
        leverage_max=leverage,
        status=_STATUS.get(row.status, InstrumentStatus.SUSPENDED),
        capabilities=_SPOT if is_spot else _CONTRACT,
        funding_interval_minutes=_minutes(row.fundingInterval),
        valid_from_ns=valid_from_ns,
    )


def _settle(row: InstrumentRow, category: Category) -> str:
    if category is Category.SPOT:
        return row.quoteCoin
    if row.settleCoin:
        return row.settleCoin
    raise _Fault("settleCoin", "is empty")


def _price_min(prices: PriceFilter, tick: Decimal, decimals: int) -> int:
    low = _positive("priceFilter.minPrice", prices.minPrice) if prices.minPrice else tick
    return max(1, _floor("priceFilter.minPrice", low, decimals))


def _price_max(prices: PriceFilter, decimals: int) -> int:
    if not prices.maxPrice:
        return INT64_MAX
    return _floor(
        "priceFilter.maxPrice", _positive("priceFilter.maxPrice", prices.maxPrice), decimals
    )


def _minutes(value: int | str | None) -> int:
    if value is None or value == "":
        return 0
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise _Fault("fundingInterval", f"{shortened(text)} is no number of minutes")
    return int(text)


def _scale(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 18):
        raise _Fault("priceScale", f"{shortened(text)} is no number of decimals")
    return int(text)


def _amount(field: str, text: str) -> Decimal:
    """Return a Decimal of zero or more; an empty text means the venue sets no such rule."""
    if not text:
        return Decimal(0)
    try:
        value = Decimal(text) if len(text) <= _NUMBER_LENGTH_MAX else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise _Fault(field, f"{shortened(text)} is not a number of zero or more")
    return value


def _positive(field: str, text: str) -> Decimal:
    value = _amount(field, text)
    if value == 0:
        raise _Fault(field, f"{shortened(text)} must be above zero")
    return value


def _largest(field: str, text: str) -> Decimal:
    """Read a largest size; none given is 0: the data can be read, and no order is ever sent."""
    return _positive(field, text) if text else Decimal(0)


def _step(field: str, text: str) -> Decimal:
    value = _positive(field, text)
    try:
        decimals_of(value)
    except UnitsError as error:
        raise _Fault(field, str(error)) from None
    return value


def _units(field: str, value: Decimal, decimals: int) -> int:
    try:
        return units_from_decimal(value, decimals)
    except UnitsError as error:
        raise _Fault(field, str(error)) from None


def _floor(field: str, value: Decimal, decimals: int) -> int:
    units = int(_EXACT.scaleb(value, decimals).to_integral_value(ROUND_FLOOR, _EXACT))
    if units > INT64_MAX:
        raise _Fault(field, f"{value} is too large for {decimals} decimals")
    return units
