"""Owns the two losses that stop opening, of the day and from the peak; refuses to latch them."""

from tickwright.core.units import money_to_decimal
from tickwright.portfolio.account import Account
from tickwright.risk.bound_limits import PARTS, BoundLimits
from tickwright.risk.question import Words, percent_text

__all__ = ["drawdown_floor", "drawdown_words", "loss_floor", "loss_words"]


def loss_floor(account: Account, limits: BoundLimits) -> int | None:
    """Return the equity at which the day's loss is at its limit; None while no day began."""
    base = account.day_base
    return None if base is None else base * (PARTS - limits.daily_loss_parts) // PARTS


def drawdown_floor(account: Account, limits: BoundLimits) -> int | None:
    """Return the equity at which the fall from the peak is at its limit; None without a peak."""
    peak = account.peak_base
    return None if peak is None else peak * (PARTS - limits.drawdown_parts) // PARTS


def loss_words(account: Account, limits: BoundLimits, asset: str, *, latched: bool) -> Words:
    """Put the day's loss into words."""
    loss, base = account.day_loss, account.day_base
    if loss is None or base is None:
        value = "unknown"
    else:
        share = f"{loss * 100 / base:.3f} %" if base > 0 else "all"
        value = f"loss of {money_to_decimal(loss):.2f} {asset} today, {share}"
    if latched:
        value += " (limit reached today)"
    return value, f"{percent_text(limits.daily_loss_parts)} of the day's first equity"


def drawdown_words(account: Account, limits: BoundLimits, asset: str, *, latched: bool) -> Words:
    """Put the drawdown into words."""
    equity, peak = account.equity, account.peak_base
    if equity is None or peak is None:
        value = "unknown"
    else:
        share = f"{(peak - equity) * 100 / peak:.3f} %" if peak > 0 else "all"
        value = f"{money_to_decimal(peak - equity):.2f} {asset} below the peak, {share}"
    if latched:
        value += " (limit reached, waits for a reset)"
    return value, f"{percent_text(limits.drawdown_parts)} of the peak"
