"""A trader that loses money on purpose until its protections stop it, as a process to be killed."""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from tests.integration.app.trading import settings_for
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import TradingPlan
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits, StrategyProtections

LIMITS = RiskLimits(
    # A trade of the test costs up to 0.01 % of equity in fees.
    daily_loss_percent_max=Decimal("0.004"),
    drawdown_percent_max=Decimal("0.005"),
    deny_conflicting_position=False,
    # One strategy pauses, the others go on losing.
    protections=ProtectionLimits(
        losses_in_row_max=0,
        loss_pause_s=3_600,
        strategies={"first": StrategyProtections(losses_in_row_max=1)},
    ),
)


def losing_settings(
    running: Any, folder: Path, symbols: tuple[str, ...], *, session: str
) -> TraderSettings:
    """Return the settings of a trader whose fees eat it up."""
    settings = settings_for(running, folder, symbols, every=4)
    plan = TradingPlan(
        engine=EngineConfig(risk=LIMITS),
        accounts=settings.plan.accounts,
        strategies=tuple(
            msgspec.structs.replace(settings.plan.strategies[0], strategy_id=name)
            for name in ("first", "second", "third", "fourth")
        ),
    )
    return msgspec.structs.replace(settings, plan=plan, session_folder=folder / session)


async def main() -> None:
    """Trade until killed."""
    folder, rest, public, private, trade, *symbols = sys.argv[1:]
    running = SimpleNamespace(rest=rest, public=public, private=private, trade=trade)
    settings = losing_settings(running, Path(folder), tuple(symbols), session="session-killed")
    trader = Trader(settings)
    await trader.start()
    await trader.run()


if __name__ == "__main__":
    asyncio.run(main())
