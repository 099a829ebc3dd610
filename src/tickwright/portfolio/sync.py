"""Owns how the venue's own view of positions replaces ours; refuses to guess whose a difference is.

A size we did not have becomes unowned. A size that is gone comes out of the unowned part first,
then out of the strategies in proportion: the venue took it, whoever believed to hold it. The same
goes for a spot asset that left the wallet without a sale.
"""

from decimal import Decimal, InvalidOperation

import msgspec

from tickwright.core.events import PositionReport
from tickwright.core.identity import AccountId, Leg
from tickwright.core.instrument import Instrument
from tickwright.portfolio.account import Holding, LegBook
from tickwright.portfolio.position import Position, split_by_weight

__all__ = ["SyncDifference", "adopt", "adopt_spot"]


class SyncDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue's report differed and was taken; in size units or money units."""

    account_id: AccountId
    what: str
    ours: int
    venue: int


def adopt_spot(holding: Holding) -> SyncDifference | None:
    """Take back from the strategies what the wallet no longer holds of their asset."""
    book = holding.legs[Leg.NET]
    whole = book.position
    held = max(0, whole.amount)
    if whole.costed > held:
        whole.release_spot(whole.costed - held)
    owned = sum(share.costed for share in book.shares.values())
    gone = owned - held
    if gone <= 0:
        return None
    unowned = book.shares.get(None)
    if unowned is not None:
        part = min(gone, unowned.costed)
        _release(unowned, part, holding)
        gone -= part
    owners = [
        share
        for owner, share in sorted(book.shares.items(), key=lambda item: item[0] or "")
        if owner is not None and share.costed
    ]
    if gone:
        parts = split_by_weight(gone, [share.costed for share in owners])
        for share, part in zip(owners, parts, strict=True):
            _release(share, part, holding)
    return SyncDifference(
        account_id=holding.account.account_id,
        what=f"{holding.market.instrument.id} owned",
        ours=owned,
        venue=held,
    )


def _release(share: Position, amount: int, holding: Holding) -> None:
    share.release_spot(amount)
    share.set_amount(share.costed, holding.market.instrument)


def adopt(report: PositionReport, holding: Holding) -> SyncDifference | None:
    """Take the venue's size (and entry) when it differs; executions up to its time are in it."""
    instrument = holding.market.instrument
    if instrument.is_spot:
        return None
    book = holding.leg(report.leg)
    book.told = report
    book.adopted_ns = max(book.adopted_ns, report.venue_ns)
    ours = book.position.size_units
    if ours == report.size_units:
        return None
    entry = _entry_price(report.entry_price)
    book.position.adopt(report.size_units, entry, instrument)
    _share_difference(book, report.size_units - ours, entry, instrument)
    holding.refresh()
    return SyncDifference(
        account_id=report.account_id,
        what=f"{report.instrument_id} {report.leg.value}",
        ours=ours,
        venue=report.size_units,
    )


def _share_difference(
    book: LegBook, difference: int, entry: Decimal | None, instrument: Instrument
) -> None:
    """Book a size the venue reported and we did not have, at the entry price it gave."""
    unowned = book.share(None)
    size_before = unowned.size_units
    if book.position.size_units == 0:
        # Flat at the venue: nobody holds anything, whatever we believed.
        for share in book.shares.values():
            share.adopt(0, None, instrument)
        return
    owned = [
        (owner, share)
        for owner, share in sorted(book.shares.items(), key=lambda item: item[0] or "")
        if owner is not None and share.size_units * difference < 0
    ]
    unowned_takes = max(0, -size_before) if difference > 0 else max(0, size_before)
    take = min(max(0, abs(difference) - unowned_takes), sum(abs(s.size_units) for _, s in owned))
    direction = 1 if difference > 0 else -1
    if take:
        parts = split_by_weight(take, [abs(share.size_units) for _, share in owned])
        for (_, share), part in zip(owned, parts, strict=True):
            _shrink(share, part)
    unowned.adopt(size_before + difference - take * direction, entry, instrument)


def _shrink(share: Position, size_units: int) -> None:
    """Take size off a share at its own cost: no price is known, so nothing is realised."""
    held = abs(share.size_units)
    share.cost -= share.cost * size_units // held
    share.size_units += size_units if share.size_units < 0 else -size_units


def _entry_price(text: str) -> Decimal | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None
