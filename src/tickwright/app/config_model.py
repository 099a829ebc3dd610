"""Owns the shape of a configuration file: tables, keys, types; refuses keys it doesn't know.

What follows from several tables together is looked at in `app.config`. Values are read strictly: a
number in quotes is no number. Paths are relative to the file's folder.
"""

import ssl
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tickwright.app.config_faults import Fault, read_struct
from tickwright.core.errors import ConfigError, UnitsError
from tickwright.core.identity import Category
from tickwright.core.units import decimal_from_units, units_from_text
from tickwright.execution.config import ExecutionConfig
from tickwright.feed.feed import FeedOptions
from tickwright.net.loop import COALESCE_US_MAX
from tickwright.net.trust import trusted_by
from tickwright.risk.limits import RiskLimits, SizingLimits
from tickwright.storage.redis_address import parse_redis_url
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.venues.bybit.hosts import Environment, Hosts, hosts_of
from tickwright.venues.public_port import MarketTopic

__all__ = [
    "AccountConfig",
    "ConfigFile",
    "FeedConfig",
    "HistoryConfig",
    "JournalConfig",
    "PaperAccountConfig",
    "PaperConfig",
    "KillConfig",
    "KillFile",
    "SOURCE_WORDS",
    "RedisConfig",
    "RunConfig",
    "SessionConfig",
    "SimulatorConfig",
    "StrategyConfig",
    "VenueConfig",
]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
"""A name of the user's own: a letter, then letters, digits, - and _."""
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
FilePath = Annotated[Path, Field(strict=False)]
SOURCE_WORDS = frozenset({"agents", "demo", "synthetic"})
"""Sources of a simulated market that are no files."""
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,20}$")]
_Table = dict[str, Any]
S = TypeVar("S", bound=msgspec.Struct)

AMOUNT_DECIMALS = 9
"""Of paper money; the ledger itself is exact to 18."""


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )


class SimulatorConfig(_Section):
    """The market of a simulated venue that the run starts itself.

    `sources` are "synthetic", "agents" (they react to orders), "demo" (packaged recordings, linear
    alone) or files.
    """

    sources: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = ("demo",)
    speed: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    rate: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    seed: int = 1
    loop: bool = False
    faults: FilePath | None = None


class VenueConfig(_Section):
    """One venue's world. Given addresses stand in place of the environment's.

    Env `simulator` without addresses: the run starts one itself; with them it uses a running one.
    """

    kind: Literal["bybit"] = "bybit"
    env: Literal["simulator", "mainnet", "testnet", "demo"] = "simulator"
    rest_url: str | None = None
    public_url: str | None = None
    private_url: str | None = None
    trade_url: str | None = None
    ca_file: FilePath | None = None
    simulator: SimulatorConfig | None = None

    @property
    def starts_simulator(self) -> bool:
        """Whether the run starts this venue itself."""
        return self.env == "simulator" and not any(self._urls())

    def hosts(self) -> Hosts:
        """Return the addresses; all empty for a venue the run starts itself.

        Raises:
            ConfigError: an address can't be used.
        """
        environment = None if self.env == "simulator" else Environment(self.env)
        return hosts_of(
            environment,
            rest_url=self.rest_url,
            public_url=self.public_url,
            private_url=self.private_url,
            trade_url=self.trade_url,
        )

    def trusted(self, name: str, folder: Path) -> ssl.SSLContext | None:
        """Return what `ca_file` of `folder` trusts; None for the system's certificates.

        Raises:
            ConfigError: the file can't be read as certificates; it is told by the venue's `name`.
        """
        path = None if self.ca_file is None else folder / self.ca_file
        return trusted_by(path, f"venue {name}: ca_file")

    def _urls(self) -> tuple[str | None, ...]:
        return (self.rest_url, self.public_url, self.private_url, self.trade_url)


class AccountConfig(_Section):
    """One account at a venue. Its key comes from the environment or from `key_file` (mode 0600).

    `kill_key_file` holds the kill switch's own key. `risk` holds limits of this account alone, in
    place of those in `[risk]`. With `batch`, creates, amends or cancels of one step leave in one
    message; off by default, because one lost answer then leaves all of them unknown until the venue
    shows them. `self_trade`: what every order asks the venue to do where it would meet another of
    this account.
    """

    venue: Name
    key_file: FilePath | None = None
    kill_key_file: FilePath | None = None
    batch: bool = False
    self_trade: Literal["none", "cancel_maker", "cancel_taker", "cancel_both"] = "none"
    risk: _Table = {}


class StrategyConfig(_Section):
    """One strategy: what it is, where it trades, with which parameters.

    `venue` is the account's, and may be left out.
    """

    id: Name
    strategy: Annotated[str, StringConstraints(min_length=1)]
    account: Name
    venue: Name | None = None
    category: Literal["linear", "spot"] = "linear"
    symbols: Annotated[tuple[Symbol, ...], Field(strict=False, min_length=1)]
    parameters: _Table = {}


class FeedConfig(_Section):
    """How books are kept; see `feed.feed.FeedOptions`. Intervals of 0 switch a check off."""

    depth: Literal[1, 50, 200, 1000] = 50
    connections: Annotated[int, Field(ge=1, le=100)] = 1
    books_max: Annotated[int, Field(ge=1, le=2_000)] = 100
    companion: bool = True
    market_topics: Annotated[
        tuple[Literal["ticker", "candle", "liquidation"], ...], Field(strict=False)
    ] = ("ticker",)
    conflate_after: Annotated[int, Field(ge=0, le=100_000)] = 0
    audit_interval_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    instruments_interval_s: Annotated[float, Field(ge=0, le=604_800)] = 3600.0

    def options(
        self, venue: str, category: Category, *, slot_first: int = 0, source_first: int = 0
    ) -> FeedOptions:
        """Return the options of one venue's product line."""
        return FeedOptions(
            venue=venue,
            category=category,
            depth=self.depth,
            capacity=self.depth,
            connections=self.connections,
            books_max=self.books_max,
            has_companion=self.companion,
            market_topics=tuple(MarketTopic(name) for name in self.market_topics),
            conflate_after=self.conflate_after,
            audit_interval_s=self.audit_interval_s,
            instruments_interval_s=self.instruments_interval_s,
            slot_first=slot_first,
            source_first=source_first,
        )


class SessionConfig(_Section):
    """Where a run leaves its log and journal; how it is recorded: see `storage.segment_writer`."""

    dir: FilePath = Path("sessions")
    record: bool = True
    segment_mb_max: Annotated[int, Field(ge=1, le=16_384)] = 256
    segment_s_max: Annotated[float, Field(ge=1, le=86_400)] = 3600.0
    sync_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    disk_free_mb_min: Annotated[int, Field(ge=0, le=1_000_000)] = 512
    mb_max: Annotated[int, Field(ge=1, le=1_000_000_000)] = 8192

    def options(self) -> SegmentOptions:
        """Return the same as the recorder reads it."""
        return SegmentOptions(
            segment_bytes_max=self.segment_mb_max * 1024**2,
            segment_s_max=self.segment_s_max,
            sync_s=self.sync_s,
            disk_free_min=self.disk_free_mb_min * 1024**2,
            bytes_max=self.mb_max * 1024**2,
        )


class JournalConfig(_Section):
    """When promised orders reach the disk: see `storage.journal`."""

    sync: Literal["never", "interval", "always"] = "never"


class KillConfig(_Section):
    """The kill switch and its watchdog.

    `on`: which losses throw it. `heartbeat_s_max`: how long the trader may show no life.
    `listen_port`: where the watchdog takes orders over HTTP on loopback; 0 takes none.
    """

    scope: Literal["account", "own"] = "account"
    flatten: bool = False
    on: Annotated[tuple[Literal["daily_loss", "drawdown"], ...], Field(strict=False)] = ()
    heartbeat_s_max: Annotated[float, Field(ge=1.0, le=60.0)] = 5.0
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 0


def _amount(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("amount", 'must be an amount in quotes, like "10000"')
    try:
        return decimal_from_units(units_from_text(value, AMOUNT_DECIMALS), AMOUNT_DECIMALS)
    except UnitsError:
        raise PydanticCustomError(
            "amount", f"must be plain digits with at most {AMOUNT_DECIMALS} decimals"
        ) from None


_Amount = Annotated[Decimal, PlainValidator(_amount)]
"""An exact amount of money, as text."""


class PaperAccountConfig(_Section):
    """What one paper account begins with, in place of `[paper]`'s balances."""

    balances: Annotated[dict[Asset, _Amount], Field(min_length=1)]


class PaperConfig(_Section):
    """The venue of a paper run, inside the process; read with `run.mode = "paper"` alone.

    `accounts` gives single accounts other balances. `latency_ms` passes between an answer and the
    book, `reply_ms` before an answer of the order socket. `keep` goes on with the accounts of the
    last paper run of this folder.
    """

    balances: Annotated[dict[Asset, _Amount], Field(min_length=1)] = {"USDT": Decimal(10_000)}
    latency_ms: Annotated[float, Field(ge=0, le=10_000)] = 20.0
    reply_ms: Annotated[float, Field(ge=0, le=10_000)] = 20.0
    keep: bool = True
    accounts: dict[Name, PaperAccountConfig] = {}


_Ms = Annotated[float, Field(ge=0, le=60_000)]
_FeePpm = Annotated[int, Field(ge=-10_000, le=100_000)]


class RulesConfig(_Section):
    """An instrument's rules for a tape whose source doesn't tell them: sizes and prices as text."""

    tick: _Amount
    lot: _Amount
    size_min: _Amount
    size_max: _Amount
    notional_min: _Amount = Decimal(0)
    leverage_max: _Amount = Decimal(10)
    base_asset: Asset
    quote_asset: Asset = "USDT"
    settle_asset: Asset = "USDT"


class BacktestConfig(_Section):
    """The market of a backtest, and how long things take there; what accounts hold is `[paper]`'s.

    One of `tape`, `lake`, `sessions` and `simulated_seconds` (so much of the configuration's own
    simulated market) says where the market comes from; paths count from the configuration's folder.
    `feed_ms` none: as recorded. The `_samples_ms` draw latencies as they
    were measured, each as likely, in place of one figure. `fees_*_ppm` are (maker, taker).
    `rate_scale` multiplies the venue's request limits. `queue`: how an order moves forward when
    size leaves its price without a trade: `back` not at all, but for what a shrunk level proves;
    `power` and `log` by the shares before and behind it. `impact` `obizhaeva_wang`: what we take
    moves the prices that our later orders meet, by basis points a million of the quote asset.
    `depth`: levels a side the feed shows at most, 0 all. `rules` by symbol, for sources that don't
    tell them.
    """

    tape: FilePath | None = None
    lake: str | None = None
    sessions: Annotated[tuple[FilePath, ...], Field(strict=False)] = ()
    simulated_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    cache: FilePath = Path("tapes")
    feed_ms: _Ms | None = None
    order_ms: _Ms = 20.0
    response_ms: _Ms = 20.0
    feed_samples_ms: Annotated[tuple[_Ms, ...], Field(strict=False)] = ()
    order_samples_ms: Annotated[tuple[_Ms, ...], Field(strict=False)] = ()
    response_samples_ms: Annotated[tuple[_Ms, ...], Field(strict=False)] = ()
    leverage: Annotated[int, Field(ge=1, le=125)] = 10
    fees_linear_ppm: Annotated[tuple[_FeePpm, _FeePpm], Field(strict=False)] = (200, 550)
    fees_spot_ppm: Annotated[tuple[_FeePpm, _FeePpm], Field(strict=False)] = (1_000, 1_000)
    rate_scale: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    sample_ms: Annotated[int, Field(ge=10, le=60_000)] = 250
    queue: Literal["back", "power", "log"] = "back"
    queue_exponent: Annotated[float, Field(gt=0, le=10)] = 2.0
    impact: Literal["none", "obizhaeva_wang"] = "none"
    impact_permanent_bps_per_million: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    impact_transient_bps_per_million: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    impact_half_life_ms: Annotated[float, Field(ge=0, le=86_400_000)] = 0.0
    depth: Annotated[int, Field(ge=0, le=10_000)] = 0
    starts_empty: bool = False
    rules: dict[str, RulesConfig] = {}

    @model_validator(mode="after")
    def _impact_has_figures(self) -> Self:
        parts = (self.impact_permanent_bps_per_million, self.impact_transient_bps_per_million)
        wrong = ""
        if self.impact == "none":
            if max(*parts, self.impact_half_life_ms) > 0:
                wrong = 'impact is "none", and its figures are given: "obizhaeva_wang" uses them'
        elif max(parts) <= 0:
            wrong = (
                "impact needs impact_permanent_bps_per_million or impact_transient_bps_per_million "
                "above 0; how far a million moves a market has no default"
            )
        elif parts[1] > 0 and self.impact_half_life_ms < 1e-6:
            wrong = "impact_transient_bps_per_million needs impact_half_life_ms above 0"
        if wrong:
            raise PydanticCustomError("impact", "is wrong", {"faults": [Fault("", wrong)]})
        return self


def _redis_url(value: object) -> str:
    text = "must be text in quotes"
    if isinstance(value, str):
        try:
            parse_redis_url(value)
        except ConfigError as error:
            text = str(error)
        else:
            return value
    # Told as a whole fault: the value may hold a password and is never shown.
    raise PydanticCustomError("url", "is wrong", {"faults": [Fault("", f"redis.url {text}")]})


class RedisConfig(_Section):
    """The mirror of books, trades and signals in Redis; without `url` there is none.

    The password may come from TICKWRIGHT_REDIS_PASSWORD instead of the URL.
    """

    url: Annotated[str | None, PlainValidator(_redis_url), Field(repr=False)] = None
    interval_ms: Annotated[int, Field(ge=10, le=10_000)] = 100
    levels: Annotated[int, Field(ge=1, le=1_000)] = 10
    streams_max: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    expire_s: Annotated[float, Field(ge=0.5, le=3_600)] = 5.0
    prefix: Name = "tickwright"
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _outlives_interval(self) -> Self:
        if self.expire_s * 1e3 < 3 * self.interval_ms:
            raise PydanticCustomError("expire", "expire_s must be at least three intervals")
        return self


def _dsn(value: object) -> str:
    if isinstance(value, str) and value.startswith(("postgresql://", "postgres://")):
        return value
    # Told as a whole fault: the value may hold a password and is never shown.
    text = "history.dsn must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    raise PydanticCustomError("dsn", "is wrong", {"faults": [Fault("", text)]})


class HistoryConfig(_Section):
    """Where the history goes, and what of it; TICKWRIGHT_HISTORY_DSN may hold the DSN instead.

    `live`: a run writes it. `spool_mb_max` bounds what waits on disk while the database is away.
    `keep_days` 0 keeps market rows for ever.
    """

    dsn: Annotated[str | None, PlainValidator(_dsn), Field(repr=False)] = None
    live: bool = True
    spool_mb_max: Annotated[int, Field(ge=1, le=1_000_000)] = 2_048
    timescale: bool = True
    sample_s: Annotated[int, Field(ge=0, le=3_600)] = 1
    levels: Annotated[int, Field(ge=0, le=1_000)] = 10
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    compress_after_days: Annotated[int, Field(ge=0, le=36_500)] = 7


class RunConfig(_Section):
    """The process: its loop, its chance, its money's asset and day.

    `mode` paper: live market data, and orders matched inside the process; no key is read.
    """

    mode: Literal["live", "paper"] = "live"
    seed: int = 1
    busy_poll: bool = False
    coalesce_us: Annotated[int, Field(ge=0, le=COALESCE_US_MAX)] = 0
    equity_asset: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,20}$")] = "USDT"
    day_start_hour_utc: Annotated[int, Field(ge=0, le=23)] = 0
    volatility_window_s: Annotated[int, Field(ge=2, le=86_400)] = 300
    volatility_horizon_s: Annotated[int, Field(ge=1, le=31_536_000)] = 3_600
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def _risk(value: object) -> RiskLimits:
    return _struct(RiskLimits, value, hidden=("sizing",))


def _sizing(value: object) -> SizingLimits:
    return _struct(SizingLimits, value)


def _execution(value: object) -> ExecutionConfig:
    return _struct(ExecutionConfig, value)


def _struct(kind: type[S], value: object, *, hidden: tuple[str, ...] = ()) -> S:
    if isinstance(value, kind):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("table", "must be a table")
    read = read_struct(kind, value, hidden=hidden)
    if isinstance(read, list):
        raise PydanticCustomError("struct", "is wrong", {"faults": read})
    return read


class ConfigFile(_Section):
    """A whole file, its tables each found good by itself."""

    venues: Annotated[dict[Name, VenueConfig], Field(min_length=1)]
    accounts: dict[Name, AccountConfig] = {}
    strategies: Annotated[tuple[StrategyConfig, ...], Field(strict=False)] = ()
    risk: Annotated[RiskLimits, PlainValidator(_risk)] = RiskLimits()
    sizing: Annotated[SizingLimits, PlainValidator(_sizing)] = SizingLimits()
    execution: Annotated[ExecutionConfig, PlainValidator(_execution)] = ExecutionConfig()
    feed: FeedConfig = FeedConfig()
    session: SessionConfig = SessionConfig()
    journal: JournalConfig = JournalConfig()
    kill: KillConfig = KillConfig()
    run: RunConfig = RunConfig()
    paper: PaperConfig = PaperConfig()
    history: HistoryConfig = HistoryConfig()
    redis: RedisConfig = RedisConfig()
    backtest: BacktestConfig = BacktestConfig()

    @property
    def is_paper(self) -> bool:
        """Whether orders are matched inside the process."""
        return self.run.mode == "paper"


class KillFile(BaseModel):
    """The tables that the kill switch needs; what else a file holds may be as wrong as it likes."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    venues: Annotated[dict[Name, VenueConfig], Field(min_length=1)]
    accounts: Annotated[dict[Name, AccountConfig], Field(min_length=1)]
    session: SessionConfig = SessionConfig()
    kill: KillConfig = KillConfig()
    run: _Table = {}

    @property
    def is_paper(self) -> bool:
        """Whether orders are matched inside the trader."""
        return self.run.get("mode") == "paper"
