"""Owns the frame of a page: one HTML file with everything inside; refuses any address outside.

Texts are escaped unless they are `Markup`. Plotly's script is taken from its package when the page
is written, and a content policy in the page forbids to ask for more. The headline and the tables
are plain HTML; without scripts only the figures are missing.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import msgspec

from tickwright.core.errors import ConfigError

__all__ = [
    "Markup",
    "cards",
    "chart",
    "joined",
    "pairs",
    "safe",
    "section",
    "table",
    "tinted",
    "whole_page",
    "write_page",
]

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


class Markup(str):
    """HTML that was escaped already."""

    __slots__ = ()


def safe(text: str) -> str:
    """Return a text as HTML."""
    return text if isinstance(text, Markup) else escape(text)


def joined(*parts: str) -> Markup:
    """Return parts of a page one after the other."""
    return Markup("".join(parts))


def tinted(text: str, value: float | None) -> Markup:
    """Return a text in the colour of good or bad by a value's sign."""
    tint = (
        "good"
        if value is not None and value > 0
        else "bad"
        if value is not None and value < 0
        else ""
    )
    return Markup(f'<span class="{tint}">{safe(text)}</span>') if tint else Markup(safe(text))


def section(title: str, *parts: str, name: str = "") -> Markup:
    """Return a part of the page under a heading; nothing without parts."""
    held = "".join(part for part in parts if part)
    place = f' id="{escape(name)}"' if name else ""
    return Markup(f"<section{place}><h2>{safe(title)}</h2>{held}</section>" if held else "")


def chart(name: str) -> Markup:
    """Return the place of a figure."""
    return Markup(f'<div class="chart" id="chart-{escape(name)}"></div>')


def cards(rows: Iterable[tuple[str, str, str]]) -> Markup:
    """Return figures to see first: name, figure, a word below."""
    return Markup(
        '<dl class="cards">'
        + "".join(
            f'<div class="card"><dt>{safe(name)}</dt><dd>{safe(value)}'
            f"{f'<small>{safe(below)}</small>' if below else ''}</dd></div>"
            for name, value, below in rows
        )
        + "</dl>"
    )


def pairs(title: str, rows: Iterable[tuple[str, str]]) -> Markup:
    """Return a small table of names and figures under a title."""
    lines = "".join(f"<tr><th>{safe(name)}</th><td>{safe(value)}</td></tr>" for name, value in rows)
    return Markup(f"<div><h3>{safe(title)}</h3><table><tbody>{lines}</tbody></table></div>")


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Iterable[int] = (),
    marks: Sequence[str] = (),
) -> Markup:
    """Return a table that scrolls; `left` columns hold texts, `marks` are the rows' attributes."""
    texts = set(left)

    def cell(tag: str, place: int, text: str) -> str:
        return f"<{tag}{' class=left' if place in texts else ''}>{safe(text)}</{tag}>"

    lines = []
    for index, row in enumerate(rows):
        mark = f" {marks[index]}" if marks else ""
        held = "".join(cell("td", place, text) for place, text in enumerate(row))
        lines.append(f"<tr{mark}>{held}</tr>")
    if not lines:
        return Markup('<p class="dim">None.</p>')
    names = "".join(cell("th", place, text) for place, text in enumerate(head))
    return Markup(
        f'<div class="scroll"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def whole_page(title: str, body: str, figures: Mapping[str, object], charts: object = ()) -> str:
    """Return the page as one text.

    Raises:
        ConfigError: plotly isn't installed.
    """
    held = msgspec.json.encode({"figures": figures, "charts": charts}).decode()
    # Inside a script element only these could end it or begin another.
    held = held.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_part('report_page.css')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/json" id="page-figures">{held}</script>\n'
        f"<script>{_plotly()}</script>\n"
        f"<script>\n{_part('report_page.js')}</script>\n</body>\n</html>\n"
    )


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _part(name: str) -> str:
    return files("tickwright.backtest").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError(
            "the page of a backtest needs plotly: pip install 'tickwright[backtest]'"
        ) from None
    script: str = get_plotlyjs()
    return script
