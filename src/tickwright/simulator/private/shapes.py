"""Owns the venue's private rows as the wire has them: orders, executions, positions, wallets.

Refuses to decide anything: every figure comes from the records. Numbers are plain decimal text.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_DECIMALS, MONEY_ONE, decimal_from_units, money_to_decimal
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import money_of
from tickwright.simulator.private.records import ExecutionRecord, LogRecord, VenueOrder
from tickwright.simulator.private.told import (
    PositionFacts,
    WalletFacts,
    decimal_text,
    entry_text,
)
from tickwright.simulator.tiers import RISK_TIERS, tier_of

__all__ = [
    "Row",
    "decimal_text",
    "execution_row",
    "fast_execution_row",
    "log_row",
    "money_text",
    "order_row",
    "position_row",
    "rate_text",
    "ratio_text",
    "wallet_row",
]

Row = dict[str, Any]

_EIGHT = Decimal("1e-8")


def money_text(amount: int) -> str:
    """Write money units exactly, without trailing zeros."""
    whole, rest = divmod(abs(amount), MONEY_ONE)
    text = f"{whole}.{rest:0{MONEY_DECIMALS}d}".rstrip("0") if rest else str(whole)
    return f"-{text}" if amount < 0 else text


def rate_text(rate_e8: int) -> str:
    """Write a rate given in units of 10^-8."""
    return decimal_text(Decimal(rate_e8).scaleb(-8))


def side_text(side: Side) -> str:
    """Write a side in the venue's word."""
    return "Buy" if side is Side.BUY else "Sell"


def ratio_text(numerator: int, denominator: int) -> str:
    """Write a quotient to eight decimals, for people; the ledger never reads it back."""
    if not denominator:
        return "0"
    return decimal_text((Decimal(numerator) / denominator).quantize(_EIGHT, ROUND_HALF_EVEN))


def order_row(order: VenueOrder) -> Row:
    """Return an order as the order stream and the order queries show it."""
    instrument = order.instrument
    price, size = instrument.price_text, instrument.size_text
    value = money_of(instrument, 1, order.filled_value)
    leaves = order.leaves_units
    fees = {asset: money_text(fee) for asset, fee in order.fees.items()}
    is_quote = order.quote_amount is not None
    left = order.quote_units_left if is_quote else leaves * order.price_units
    return {
        "category": order.category.value,
        "symbol": instrument.symbol,
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "parentOrderLinkId": "",
        "blockTradeId": "",
        "side": side_text(order.side),
        "positionIdx": order.position_index,
        "orderStatus": order.status,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": order.time_in_force,
        "isLeverage": "0" if order.is_spot else "",
        "price": price[order.price_units],
        "qty": decimal_text(order.quote_amount)
        if order.quote_amount is not None
        else size[order.size_units],
        "avgPrice": _average(order) if order.filled_units else ("0" if not order.is_spot else ""),
        "leavesQty": "0" if is_quote else size[leaves],
        "leavesValue": money_text(money_of(instrument, 1, left)),
        "cumExecQty": size[order.filled_units],
        "cumExecValue": money_text(value),
        "cumExecFee": money_text(sum(order.fees.values())),
        "cumFeeDetail": fees,
        "closedPnl": money_text(order.closed_pnl),
        "orderType": order.order_type,
        "stopOrderType": order.stop_order_type,
        "orderIv": "",
        "triggerPrice": price[order.trigger_price_units] if order.is_conditional else "",
        "takeProfit": price[order.take_profit_units] if order.take_profit_units else "",
        "stopLoss": price[order.stop_loss_units] if order.stop_loss_units else "",
        "tpTriggerBy": order.take_profit_by,
        "slTriggerBy": order.stop_loss_by,
        "tpslMode": order.tpsl_mode,
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
        "triggerDirection": order.trigger_direction,
        "triggerBy": order.trigger_by,
        "lastPriceOnCreated": price[order.last_price_on_created],
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.close_on_trigger,
        "placeType": "",
        "smpType": order.smp_type,
        "smpGroup": 0,
        "smpOrderId": "",
        "slippageToleranceType": order.slippage_type or "UNKNOWN",
        "slippageTolerance": order.slippage,
        "marketUnit": order.market_unit,
        "ocoTriggerBy": "",
        "createType": order.create_type,
        "feeCurrency": next(iter(order.fees), ""),
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "extraFees": "",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def _average(order: VenueOrder) -> str:
    value = decimal_from_units(order.filled_value, order.instrument.price_decimals)
    return decimal_text((value / order.filled_units).quantize(_EIGHT, ROUND_HALF_EVEN))


def execution_row(execution: ExecutionRecord) -> Row:
    """Return an execution as the execution stream shows it; the query's row lacks a few fields."""
    instrument, order = execution.instrument, execution.order
    price, size = instrument.price_text, instrument.size_text
    spot = instrument.category is Category.SPOT
    return {
        "category": instrument.category.value,
        "symbol": instrument.symbol,
        "closedSize": size[execution.closed_units] if not spot else "",
        "execFee": money_text(execution.fee),
        "execId": execution.execution_id,
        "execPrice": price[execution.price_units],
        "execQty": size[execution.size_units],
        "execType": execution.kind,
        "execValue": money_text(execution.value),
        "feeRate": rate_text(execution.fee_rate_e8),
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": price[execution.mark_units],
        "indexPrice": "" if spot else price[execution.index_units],
        "underlyingPrice": "",
        "leavesQty": size[execution.leaves_units],
        "orderId": order.order_id if order is not None else "",
        "orderLinkId": order.link_id if order is not None else "",
        "orderPrice": price[execution.order_price_units],
        "orderQty": decimal_text(order.quote_amount)
        if order is not None and order.quote_amount is not None
        else size[execution.order_size_units],
        "orderType": order.order_type if order is not None else "UNKNOWN",
        "stopOrderType": (order.stop_order_type if order is not None else "") or "UNKNOWN",
        "side": side_text(execution.side),
        "execTime": str(execution.at_ms),
        "isLeverage": "0",
        "isMaker": execution.is_maker,
        "seq": execution.seq,
        "marketUnit": order.market_unit if order is not None else "",
        "execPnl": money_text(execution.gross),
        "createType": order.create_type if order is not None else "",
        "extraFees": [],
        "feeCurrency": execution.fee_asset,
    }


def log_row(record: LogRecord) -> Row:
    """Return a row of the transaction log."""
    execution = record.execution
    order = None if execution is None else execution.order
    row: Row = {
        "id": f"{record.number}_{record.asset}",
        "symbol": "",
        "category": "",
        "side": "None",
        "transactionTime": str(record.at_ms),
        "type": record.kind,
        "transSubType": "",
        "qty": "0",
        "size": "0",
        "currency": record.asset,
        "tradePrice": "0",
        "funding": money_text(record.funding) if record.funding else "",
        "fee": money_text(record.fee),
        "cashFlow": money_text(record.cash_flow),
        "change": money_text(record.change),
        "cashBalance": money_text(record.balance),
        "feeRate": "0",
        "bonusChange": "",
        "tradeId": "",
        "orderId": order.order_id if order is not None else "",
        "orderLinkId": order.link_id if order is not None else "",
        "extraFees": "",
    }
    if execution is not None:
        instrument = execution.instrument
        size = instrument.size_text
        row |= {
            "symbol": instrument.symbol,
            "category": instrument.category.value,
            "side": side_text(execution.side),
            "qty": size[execution.size_units],
            "size": size[record.position_units]
            if record.position_units >= 0
            else f"-{size[-record.position_units]}",
            "tradePrice": instrument.price_text[execution.price_units],
            "feeRate": rate_text(execution.fee_rate_e8),
            "tradeId": execution.execution_id,
        }
    return row


def fast_execution_row(row: Row) -> Row:
    """Return the few fields of execution.fast from a full row; makers have no orderLinkId."""
    names = (
        "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker",
        "orderLinkId", "side", "execTime", "seq",
    )  # fmt: skip
    fast = {name: row[name] for name in names}
    if fast["isMaker"]:
        fast["orderLinkId"] = ""
    return fast


def position_row(account: Account, facts: PositionFacts, *, is_stream: bool) -> Row:
    """Return a position; the stream says entryPrice where the query says avgPrice."""
    market, position, mark = facts.market, facts.position, facts.mark_units
    instrument = market.instrument
    price = instrument.price_text
    held = position.size_units
    value, margin, maintenance = facts.value, facts.margin, facts.maintenance
    tier = tier_of(-(-value // MONEY_ONE))
    profit = money_of(instrument, mark, held) - position.cost if held else 0
    entry = entry_text(held, position.cost, instrument.size_decimals)
    side = "" if not held else "Buy" if held > 0 else "Sell"
    take_profit, stop_loss = facts.stops
    trailing, liquidation_units = facts.trailing, facts.liquidation_units
    entry_name = "entryPrice" if is_stream else "avgPrice"
    row: Row = {
        "positionIdx": facts.index,
        "tradeMode": 0,
        "riskId": RISK_TIERS.index(tier) + 1,
        "riskLimitValue": str(tier.value_max),
        "symbol": instrument.symbol,
        "side": side,
        "size": instrument.size_text[abs(held)],
        entry_name: entry,
        "leverage": decimal_text(account.leverage(instrument.symbol)),
        "positionValue": money_text(value),
        "positionBalance": "0",
        "markPrice": price[mark],
        "positionIM": money_text(margin),
        "positionIMByMp": money_text(margin),
        "positionMM": money_text(maintenance),
        "positionMMByMp": money_text(maintenance),
        "breakEvenPrice": "",
        "takeProfit": price[take_profit] if take_profit else "0",
        "stopLoss": price[stop_loss] if stop_loss else "0",
        "trailingStop": price[trailing[0]] if held else "0",
        "activePrice": price[trailing[1]] if held else "0",
        "unrealisedPnl": money_text(profit),
        "curRealisedPnl": money_text(position.realised),
        "cumRealisedPnl": money_text(position.realised_total),
        "sessionAvgPrice": "",
        "createdTime": str(position.opened_ms or account.created_ms),
        "openTime": position.opened_ms,
        "updatedTime": str(position.updated_ms or account.created_ms),
        "tpslMode": "Full",
        "liqPrice": price[liquidation_units] if liquidation_units else "",
        "bustPrice": "",
        "category": "linear",
        "positionStatus": "Normal",
        "adlRankIndicator": 2 if held else 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": market.book.seq,
        "isReduceOnly": False,
    }
    if not is_stream:
        del row["category"]
    return row


def wallet_row(account: Account, facts: WalletFacts) -> Row:
    """Return the account's totals and coins; a coin without a price in USD is worth nothing."""
    worth, locks, usd_prices = facts.worth, facts.locks, facts.usd_prices
    coins = []
    total_wallet = total_equity = Decimal(0)
    margin = worth.position_margin + worth.order_margin
    for asset, balance in sorted(account.ledger.wallet.items()):
        is_settle = asset == "USDT"
        equity = worth.equity if is_settle else balance
        usd = usd_prices.get(asset, Decimal(0))
        total_wallet += money_to_decimal(balance) * usd
        total_equity += money_to_decimal(equity) * usd
        coins.append(
            {
                "coin": asset,
                "equity": money_text(equity),
                "usdValue": decimal_text((money_to_decimal(equity) * usd).quantize(_EIGHT)),
                "walletBalance": money_text(balance),
                "availableToWithdraw": "",
                "availableToBorrow": "",
                "borrowAmount": "0",
                "accruedInterest": "0",
                "totalOrderIM": money_text(worth.order_margin if is_settle else 0),
                "totalPositionIM": money_text(worth.position_margin if is_settle else 0),
                "totalPositionMM": money_text(worth.maintenance_margin if is_settle else 0),
                "unrealisedPnl": money_text(worth.unrealised if is_settle else 0),
                "cumRealisedPnl": money_text(_realised(account, asset)),
                "bonus": "0",
                "collateralSwitch": True,
                "marginCollateral": True,
                "locked": money_text(locks.get(asset, 0)),
                "spotHedgingQty": "0",
                "spotBorrow": "0",
            }
        )
    equity = worth.equity
    return {
        "accountIMRate": ratio_text(margin, equity) if equity > 0 else "0",
        "accountIMRateByMp": ratio_text(margin, equity) if equity > 0 else "0",
        "accountMMRate": ratio_text(worth.maintenance_margin, equity) if equity > 0 else "0",
        "accountMMRateByMp": ratio_text(worth.maintenance_margin, equity) if equity > 0 else "0",
        "totalEquity": decimal_text(total_equity.quantize(_EIGHT)),
        "totalWalletBalance": decimal_text(total_wallet.quantize(_EIGHT)),
        "totalMarginBalance": money_text(equity),
        "totalAvailableBalance": money_text(max(0, worth.available)),
        "totalPerpUPL": money_text(worth.unrealised),
        "totalInitialMargin": money_text(margin),
        "totalInitialMarginByMp": money_text(margin),
        "totalMaintenanceMargin": money_text(worth.maintenance_margin),
        "totalMaintenanceMarginByMp": money_text(worth.maintenance_margin),
        "coin": coins,
        "accountLTV": "0",
        "accountType": "UNIFIED",
    }


def _realised(account: Account, asset: str) -> int:
    ledger = account.ledger
    return ledger.realised.get(asset, 0) + ledger.funding.get(asset, 0) - ledger.fees.get(asset, 0)
