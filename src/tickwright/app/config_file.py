"""Owns the commented configuration that `tickwright init` writes; refuses to overwrite one."""

from pathlib import Path
from typing import Final

from tickwright.core.errors import ConfigError

__all__ = ["TEMPLATE", "write_template"]

TEMPLATE: Final = """\
# Tickwright configuration. `tickwright run THIS.toml --check` says whether it is good; nothing
# starts before all of it is. Keys that are commented out show their defaults.

# Where to trade. The simulated venue needs nothing: the run starts it on loopback.
[venues.main]
kind = "bybit"
env = "simulator"             # simulator | testnet | demo | mainnet
# A simulator that runs already (`tickwright simulate` prints its addresses), a regional host:
# rest_url = "http://127.0.0.1:8080"
# public_url = "ws://127.0.0.1:8081/v5/public"
# private_url = "ws://127.0.0.1:8081/v5/private"
# trade_url = "ws://127.0.0.1:8081/v5/trade"

# The market of a simulated venue that the run starts.
[venues.main.simulator]
sources = ["demo"]            # demo: packaged recordings; synthetic; or recordings of your own
# speed = 1.0                 # of recordings
# seed = 1                    # fixes every random choice of the market

# Who trades. The secret never stands here: set TICKWRIGHT_TRADER_API_KEY and
# TICKWRIGHT_TRADER_API_SECRET, or name a key_file that only you can read (chmod 600), which holds
# the two as `api_key = "..."` and `api_secret = "..."`. The simulated venue has a key of its own.
[accounts.trader]
venue = "main"
# key_file = "trader.key"

# What trades: a strategy of the library, or your own class as "my_strategy.py:MyStrategy".
[[strategies]]
id = "reversion"
strategy = "mean_reversion"
account = "trader"
category = "linear"           # linear | spot
symbols = ["BTCUSDT", "ETHUSDT", "XRPUSDT"]

[strategies.parameters]
lookback = 200                # samples in the window
sampling = "by_interval"      # by_interval | by_update
interval_ms = 100
entry_z = 2.0                 # distance from the mean, in deviations, that opens
z_full = 4.0                  # where confidence reaches 1
exit_z = 0.5
imbalance_threshold = 0.1     # a long needs more bids than that, a short more asks
imbalance_levels = 10
stop_loss_fraction = 0.005    # of the entry price
take_profit_fraction = 0.015
# edge_bps = 1.0              # profit wanted beyond fees and spread if the mid comes back

# What one account may do. Percentages are of its equity.
[risk]
position_percent_max = 20     # one instrument, working orders included
order_notional_usdt_max = 10000
exposure_percent_max = 100    # all instruments together
leverage_max = 3
daily_loss_percent_max = 3    # once reached, nothing is opened until the next day
drawdown_percent_max = 15     # once reached, nothing is opened until a person resets it
# open_orders_per_instrument_max = 10
# orders_per_second_max = 10
# orders_per_minute_max = 300
# book_age_ms_max = 5000      # since the book's last proof
# spread_bps_max = 50
# price_band_bps_max = 500    # a price may be so far from mid and mark
# deny_conflicting_position = true
# Stricter limits for one strategy or symbol:
# [risk.symbols.BTCUSDT]
# position_percent_max = 10

# What restricts trading for a while, or until a person lifts it (tickwright protections); 0: off.
[risk.protections]
cooldown_after_stop_s = 30     # in that instrument
losses_in_row_max = 5          # losing trades of a strategy, then it pauses
loss_pause_s = 900
# volatility_halt_percent = 5  # realised within volatility_window_s
# equal_rejects_max = 3
# flip_flops_max = 30          # within flip_flops_window_s
# order_storm_max = 300        # within order_storm_window_s

# How a signal becomes a size.
[sizing]
equity_percent = 10           # notional at full confidence
# confidence_floor = 0.2      # share of it at confidence 0
# depth_share_percent_max = 20
# volatility_target_percent = 1.0

# How an approved signal becomes orders.
[execution]
entry = "marketable"          # at once, capped; or passive: follows the touch; or twap, iceberg
slippage_bps_max = 5.0
# entry_timeout_ms = 5000
# exits = { trailing_fraction = 0.01, time_stop_ms = 600000 }  # where a signal names none

[feed]
depth = 50                    # 1 | 50 | 200 | 1000
# connections = 1             # sockets to spread the symbols over
# books_max = 100
# market_topics = ["ticker"]  # ticker | candle | liquidation
# audit_interval_s = 30.0     # compare each book with REST; 0: never

# Every input of the engine is recorded, so that `tickwright run --replay` can repeat a session.
[session]
dir = "sessions"
record = true

# An order is on record before its first byte leaves.
[journal]
sync = "never"                # never | interval: survive a crash; always: survives a power cut

[run]
# mode = "live"               # paper: live market data, orders matched in this process, no key
seed = 1
# busy_poll = false           # a whole core for the least latency
# coalesce_us = 0             # half the CPU for about 0.1 ms
# equity_asset = "USDT"
# day_start_hour_utc = 0

# The account of a paper run; read with mode = "paper" alone.
[paper]
# balances = { USDT = "10000" }
# latency_ms = 20.0           # until an order reaches the book: your round trip to the venue
# reply_ms = 20.0             # before an answer of the order socket comes
# keep = true                 # go on with the account of the last paper run
"""


def write_template(path: Path, *, force: bool = False) -> None:
    """Write the configuration to start from.

    Raises:
        ConfigError: the file exists and `force` isn't given, or it can't be written.
    """
    if path.is_dir():
        path = path / "tickwright.toml"
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise ConfigError(f"{path} exists; --force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror or error}") from None
