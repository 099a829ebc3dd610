"""Owns the answers about an account's past and its keys: log, closed profit, members, coins.

Changes nothing. The lists about orders and positions are in `queries`.
"""

from collections.abc import Mapping

from tickwright.core.identity import Category
from tickwright.simulator.private.accounts import Account, ApiKey, Right
from tickwright.simulator.private.dcp import Disconnection
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.ledger import money_of
from tickwright.simulator.private.queries import page_of, time_window, whole
from tickwright.simulator.private.records import ExecutionRecord
from tickwright.simulator.private.refusals import parameter
from tickwright.simulator.private.shapes import Row, log_row, money_text, ratio_text

__all__ = ["AccountQueries"]

Query = Mapping[str, str]


class AccountQueries:
    """Reads the desk for one account at a time."""

    def __init__(self, desk: Desk, disconnection: Disconnection) -> None:
        self._desk = desk
        self._disconnection = disconnection

    def transaction_log(self, key: ApiKey, query: Query) -> Row:
        """Answer account/transaction-log: newest first, at most seven days, 24 hours by default."""
        limit = whole(query, "limit", 20, 1, 50)
        start, end = time_window(query, self._now_ms(), default_days=1)
        chosen = [
            record
            for record in reversed(self._desk.stores[key.account.uid].log)
            if start <= record.at_ms <= end
            and query.get("currency", "") in ("", record.asset)
            and query.get("type", "") in ("", record.kind)
            and query.get("accountType", "UNIFIED") == "UNIFIED"
        ]
        rows = [(record.number, log_row(record)) for record in chosen]
        if query.get("category"):
            rows = [(number, row) for number, row in rows if row["category"] == query["category"]]
        if query.get("baseCoin"):
            rows = [(n, row) for n, row in rows if row["symbol"].startswith(query["baseCoin"])]
        page, cursor = page_of(rows, query, limit, lambda pair: pair[0])
        return {"nextPageCursor": cursor, "list": [row for _, row in page]}

    def closed_pnl(self, key: ApiKey, query: Query) -> Row:
        """Answer position/closed-pnl: a row per order that closed something."""
        category = self._desk.category(query.get("category", ""))
        if category is Category.SPOT:
            raise parameter("params error: category invalid")
        limit = whole(query, "limit", 50, 1, 100)
        start, end = time_window(query, self._now_ms())
        closing: dict[int, list[ExecutionRecord]] = {}
        for execution in reversed(self._desk.stores[key.account.uid].executions):
            if (
                execution.order is not None
                and execution.closed_units
                and start <= execution.at_ms <= end
                and query.get("symbol", "") in ("", execution.instrument.symbol)
            ):
                closing.setdefault(execution.order.number, []).append(execution)
        page, cursor = page_of(list(closing.values()), query, limit, lambda group: group[0].number)
        return {
            "nextPageCursor": cursor,
            "category": category.value,
            "list": [_closed_row(key.account, group) for group in page],
        }

    def coin_info(self, key: ApiKey, query: Query) -> Row:
        """Answer asset/coin/query-info: every coin listed, none of which can leave the venue."""
        coins = {"USDT"}
        for market in self._desk.venue.markets.values():
            coins |= {market.instrument.base, market.instrument.quote}
        wanted = query.get("coin", "")
        rows = [
            {
                "name": coin,
                "coin": coin,
                "remainAmount": "0",
                "chains": [
                    {
                        "chainType": coin,
                        "confirmation": "0",
                        "withdrawFee": "",
                        "depositMin": "0",
                        "withdrawMin": "0",
                        "chain": coin,
                        "chainDeposit": "0",
                        "chainWithdraw": "0",
                        "minAccuracy": "8",
                        "withdrawPercentageFee": "0",
                        "contractAddress": "",
                        "safeConfirmNumber": "0",
                    }
                ],
            }
            for coin in sorted(coins)
            if wanted in ("", coin)
        ]
        return {"rows": rows}

    def coins_balance(self, key: ApiKey, query: Query) -> Row:
        """Answer asset/transfer/query-account-coins-balance."""
        if query.get("accountType", "") != "UNIFIED":
            raise parameter("accountType only support UNIFIED.")
        wanted = {coin for coin in query.get("coin", "").split(",") if coin}
        account = key.account
        rows = [
            {
                "coin": coin,
                "transferBalance": money_text(max(0, self._desk.funds.free(account, coin))),
                "walletBalance": money_text(balance),
                "bonus": "",
            }
            for coin, balance in sorted(account.ledger.wallet.items())
            if not wanted or coin in wanted
        ]
        return {"memberId": str(account.uid), "accountType": "UNIFIED", "balance": rows}

    def sub_member_list(self, key: ApiKey, query: Query) -> Row:
        """Answer asset/transfer/query-sub-member-list."""
        uids = [str(account.uid) for account in self._desk.accounts.subs_of(key.account)]
        return {"subMemberIds": uids, "transferableSubMemberIds": uids}

    def dcp_info(self, key: ApiKey, query: Query) -> Row:
        """Answer account/query-dcp-info."""
        return {"dcpInfos": self._disconnection.infos(key.account)}

    def setting_config(self, key: ApiKey, query: Query) -> Row:
        """Answer account/user-setting-config.

        The two words mean opposites: on spot that a price is moved to the limit, on contracts that
        it is refused.
        """
        adjusts = key.account.adjusts
        return {
            "lpaSpot": adjusts[Category.SPOT],
            "lpaPerp": not adjusts[Category.LINEAR],
            "smsef": False,
            "fmsef": False,
        }

    def collateral_info(self, key: ApiKey, query: Query) -> Row:
        """Answer account/collateral-info: USDT alone is collateral."""
        row = {
            "currency": "USDT",
            "hourlyBorrowRate": "0",
            "maxBorrowingAmount": "0",
            "freeBorrowingLimit": "0",
            "freeBorrowAmount": "0",
            "borrowAmount": "0",
            "availableToBorrow": "0",
            "borrowable": False,
            "marginCollateral": True,
            "collateralSwitch": True,
            "collateralRatio": "1",
        }
        return {"list": [row]}

    def borrow_history(self, key: ApiKey, query: Query) -> Row:
        """Answer account/borrow-history: nothing is lent here."""
        return {"nextPageCursor": "", "list": []}

    def sub_members(self, key: ApiKey, query: Query) -> Row:
        """Answer user/query-sub-members: the sub-accounts of the calling key's account."""
        rows = [
            {
                "uid": str(account.uid),
                "username": f"sub{account.uid}",
                "memberType": 1,
                "status": 1,
                "accountMode": 5,
                "remark": "",
            }
            for account in self._desk.accounts.subs_of(key.account)
        ]
        return {"subMembers": rows}

    def key_information(self, key: ApiKey, query: Query) -> Row:
        """Answer user/query-api for the calling key."""
        account, rights = key.account, key.rights
        contract = [
            right.value
            for right in (Right.CONTRACT_ORDERS, Right.CONTRACT_POSITIONS)
            if right in rights
        ]
        return {
            "id": str(account.uid),
            "note": "simulated",
            "apiKey": key.key,
            "readOnly": int(key.read_only),
            "secret": "",
            "permissions": {
                "ContractTrade": contract,
                "Spot": ["SpotTrade"] if Right.SPOT_TRADE in rights else [],
                "Wallet": ["SubMemberTransfer"]
                if Right.TRANSFER in rights and self._desk.accounts.subs_of(account)
                else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"] if contract else [],
                "Exchange": [],
                "Earn": [],
                "CopyTrading": [],
                "BlockTrade": [],
                "NFT": [],
                "Affiliate": [],
            },
            "ips": ["*"],
            "type": 1,
            "deadlineDay": 83,
            "expiredAt": "2099-01-01T00:00:00Z",
            "createdAt": "2024-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": account.uid,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": account.master is None,
            "parentUid": "0" if account.master is None else str(account.master.uid),
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    def _now_ms(self) -> int:
        return self._desk.venue.now_ns // 1_000_000


def _closed_row(account: Account, group: list[ExecutionRecord]) -> Row:
    """Return what an order closed. `group` is its closing executions, newest first."""
    order, instrument = group[0].order, group[0].instrument
    assert order is not None
    closed = sum(execution.closed_units for execution in group)
    exit_sum = sum(execution.closed_units * execution.price_units for execution in group)
    gross = sum(execution.gross for execution in group)
    fee = sum(execution.fee for execution in group)
    exit_value = money_of(instrument, 1, exit_sum)
    entry_value = exit_value + order.side * gross
    quantity = money_of(instrument, 10**instrument.price_decimals, closed)
    return {
        "symbol": instrument.symbol,
        "orderType": order.order_type,
        "leverage": str(account.leverage(instrument.symbol)),
        "updatedTime": str(group[0].at_ms),
        "createdTime": str(group[-1].at_ms),
        "side": "Buy" if order.side > 0 else "Sell",
        "orderId": order.order_id,
        "orderPrice": instrument.price_text[order.price_units],
        "qty": instrument.size_text[order.size_units],
        "closedSize": instrument.size_text[closed],
        "execType": group[0].kind,
        "fillCount": str(len(group)),
        "avgEntryPrice": ratio_text(entry_value, quantity),
        "avgExitPrice": ratio_text(exit_value, quantity),
        "cumEntryValue": money_text(entry_value),
        "cumExitValue": money_text(exit_value),
        "closedPnl": money_text(gross - fee),
        "openFee": "0",
        "closeFee": money_text(fee),
    }
