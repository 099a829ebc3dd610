"""The plain matching engine under the compiled one's names, so that one test drives both."""

from tests.oracle.matching.book import MatchingBook
from tests.oracle.matching.levels import ExternalLevels
from tests.oracle.matching.orders import BookOrder

__all__ = ["BookOrder", "ExternalLevels", "MatchingBook"]
