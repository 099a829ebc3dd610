"""Owns a run of hftbacktest over a measured tape: its compiled strategies, told as one JSON line.

It stands alone: the interpreter that runs it has hftbacktest, and maybe nothing of ours. The rules
are those of `backtest_strategies`. Its model without partial fills is used, because its own model
with them books only the last one.
"""

import argparse
import json
import sys
import time
from typing import Any

PAUSE_MESSAGES, LOOKBACK, ENTRY_Z, LEAST_IMBALANCE = 5_000, 200, 2.0, 0.2
LOT, QUOTE_EVERY_NS, HALF_SPREAD_TICKS, GRID_TICKS, POSITION_MAX = 0.01, 100_000_000, 4, 8, 0.2
TICK = 0.1


def main() -> int:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("npz")
    parser.add_argument("what", choices=["signal", "quoter"])
    parser.add_argument("--plain", action="store_true", help="the loop in plain Python")
    options = parser.parse_args()
    began = time.perf_counter()
    import hftbacktest as hft  # type: ignore[import-not-found]
    import numpy as np
    from numba import njit  # type: ignore[import-not-found]

    def signal(hbt):  # type: ignore[no-untyped-def]
        window = np.zeros(LOOKBACK)
        count = 0
        since = 0
        order_id = 0
        total = 0.0
        squares = 0.0
        while True:
            state = hbt.wait_next_feed(False, 10**18)
            if state == 1:
                break
            if state != 2 and state != 0:
                return -state
            depth = hbt.depth(0)
            mid = (depth.best_bid_tick + depth.best_ask_tick) * 1.0
            place = count % LOOKBACK
            if count >= LOOKBACK:
                total -= window[place]
                squares -= window[place] * window[place]
            shifted = mid - 1_200_000.0
            window[place] = shifted
            total += shifted
            squares += shifted * shifted
            count += 1
            since += 1
            if count < LOOKBACK or since < PAUSE_MESSAGES:
                continue
            mean = total / LOOKBACK
            deviation = max(1.0, np.sqrt(max(0.0, squares / LOOKBACK - mean * mean)))
            score = (shifted - mean) / deviation
            bid_size = depth.best_bid_qty
            ask_size = depth.best_ask_qty
            imbalance = (bid_size - ask_size) / (bid_size + ask_size)
            if score < -ENTRY_Z and imbalance > LEAST_IMBALANCE:
                order_id += 1
                since = 0
                hbt.submit_buy_order(0, order_id, depth.best_ask, LOT, 3, 0, False)
            elif score > ENTRY_Z and imbalance < -LEAST_IMBALANCE:
                order_id += 1
                since = 0
                hbt.submit_sell_order(0, order_id, depth.best_bid, LOT, 3, 0, False)
            hbt.clear_inactive_orders(0)
        return order_id

    def quoter(hbt):  # type: ignore[no-untyped-def]
        number = 0
        bid_id, ask_id, bid_at, ask_at = 0, 0, 0, 0
        while True:
            state = hbt.elapse(QUOTE_EVERY_NS)
            if state == 1:
                break
            if state != 0:
                return -state
            depth = hbt.depth(0)
            hbt.clear_inactive_orders(0)
            mid = (depth.best_bid_tick + depth.best_ask_tick) // 2
            held = hbt.position(0)
            orders = hbt.orders(0)
            bid = (mid - HALF_SPREAD_TICKS) // GRID_TICKS * GRID_TICKS
            ask = -((-mid - HALF_SPREAD_TICKS) // GRID_TICKS * GRID_TICKS)
            has_bid = bid_id in orders
            has_ask = ask_id in orders
            if has_bid and bid != bid_at and orders.get(bid_id).cancellable:
                hbt.cancel(0, bid_id, False)
                has_bid = False
            if has_ask and ask != ask_at and orders.get(ask_id).cancellable:
                hbt.cancel(0, ask_id, False)
                has_ask = False
            if not has_bid and held < POSITION_MAX:
                number += 1
                bid_id, bid_at = number, bid
                hbt.submit_buy_order(0, number, bid * TICK, LOT, 1, 0, False)
            if not has_ask and held > -POSITION_MAX:
                number += 1
                ask_id, ask_at = number, ask
                hbt.submit_sell_order(0, number, ask * TICK, LOT, 1, 0, False)
        return number

    chosen = {"signal": signal, "quoter": quoter}[options.what]
    strategy: Any = chosen if options.plain else njit(chosen)

    def make() -> Any:
        asset = (
            hft.BacktestAsset()
            .data([options.npz])
            .linear_asset(1.0)
            .constant_order_latency(5_000_000, 5_000_000)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0002, 0.00055)
            .tick_size(TICK)
            .lot_size(0.001)
            .last_trades_capacity(0)
        )
        return hft.HashMapMarketDepthBacktest([asset])

    # Its compiler runs once in every process; the run itself is measured behind it.
    if not options.plain:
        small = make()
        strategy.compile((type_of(small),))
        small.close()
    compiled = time.perf_counter()
    hbt = make()
    loaded = time.perf_counter()
    orders = strategy(hbt)
    ended = time.perf_counter()
    told = {
        "seconds": ended - compiled,
        "walk_seconds": ended - loaded,
        "start_seconds": compiled - began,
        "orders": int(orders),
        "trades": int(hbt.state_values(0).num_trades),
        "peak_mb": peak_mb(),
    }
    hbt.close()
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def peak_mb() -> float:
    """Return the most memory this program held; the system's own count keeps its parent's."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [one for one in status if one.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def type_of(value: Any) -> Any:
    """Return the compiler's type of a value."""
    from numba import typeof

    return typeof(value)


if __name__ == "__main__":
    sys.exit(main())
