"""Owns what a trading process is told before it starts; refuses secrets that show."""

from pathlib import Path

import msgspec

from tickwright.app.paper_settings import PaperSettings
from tickwright.core.identity import AccountId, Category
from tickwright.core.orders import SelfTradeRule
from tickwright.engine.plan import TradingPlan
from tickwright.feed.feed import FeedOptions
from tickwright.storage.journal import SyncPolicy
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.strategy.base import Strategy
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.bybit.sign import Credentials

__all__ = ["AccountSettings", "FeedSettings", "TraderSettings", "VenueSettings"]


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One configured venue."""

    name: str
    hosts: Hosts
    mode: str
    """What screens and reports call it: simulator, testnet, demo or mainnet."""
    ca_file: Path | None = None
    """Certificates to trust in place of the system's, for every address of this venue."""


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which books are kept on one venue's product line."""

    options: FeedOptions
    symbols: tuple[str, ...]


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account that trades; the credentials never show."""

    account_id: AccountId
    credentials: Credentials
    categories: tuple[Category, ...]
    orders_by_rest: bool = False
    batches_orders: bool = False
    """Whether requests of one step leave in one message where they may."""
    self_trade: SelfTradeRule = SelfTradeRule.NONE
    """What its orders ask for when one would meet another of them."""


class TraderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a trading process needs; `classes` holds the strategies by their source."""

    plan: TradingPlan
    classes: dict[str, type[Strategy]]
    venues: tuple[VenueSettings, ...]
    feeds: tuple[FeedSettings, ...]
    accounts: tuple[AccountSettings, ...]
    state_folder: Path
    session_folder: Path | None
    """Where the session log goes; None records nothing."""
    session_options: SegmentOptions = SegmentOptions()
    journal_sync: SyncPolicy = "never"
    seed: int = 1
    paper: PaperSettings | None = None
    """Match orders in this process; the venues then give public data alone."""
    has_fresh_accounts: bool = False
    """The accounts begin with this run: what an earlier one left of risk isn't theirs."""
