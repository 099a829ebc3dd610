"""Writes docs/simulator-endpoints.md from the code: `python tools/list_endpoints.py`."""

from pathlib import Path

from tickwright.simulator.coverage import endpoints_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "simulator-endpoints.md"

if __name__ == "__main__":
    PAGE.write_text(endpoints_page(), encoding="utf-8")
