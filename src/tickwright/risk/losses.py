"""Owns the two losses that stop opening, of the day and from the peak; refuses to latch them."""

from tickwright.core.units import money_to_decimal
from tickwright.portfolio.account import Account
from tickwright.risk.limits import PARTS, BoundLimits
from tickwright.risk.question import Words, percent_text

__all__ = ["drawdown_reached", "drawdown_words", "loss_reached", "loss_words"]


def loss_reached(account: Account, limits: BoundLimits) -> bool:
    """Say whether the day's loss is at its limit; an unknown one refuses elsewhere."""
    loss, base = account.day_loss, account.day_base
    if loss is None or base is None or loss <= 0:
        return False
    return loss * PARTS >= limits.daily_loss_parts * base


def drawdown_reached(account: Account, limits: BoundLimits) -> bool:
    """Say whether the fall from the peak is at its limit; unknown is not reached."""
    equity, peak = account.equity, account.peak_base
    if equity is None or peak is None or equity >= peak:
        return False
    return (peak - equity) * PARTS >= limits.drawdown_parts * peak


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
