"""What has arrived of one range of one fetch: settled once its end and every page that the end names are stored."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.fetch import PageFetched, RangeEnded

ANOTHER_AGE = timedelta(hours=1)
"""No claim lives so long: messages of one fetch id this far apart are of two lives of the FETCH stream, which counts
from 1 again when its directory is lost."""


@dataclass(frozen=True, slots=True)
class RangeProgress:
    """The pages stored of one range, and its end."""

    since: datetime
    pages: frozenset[str] = frozenset()
    end: RangeEnded | None = None

    @property
    def settled(self) -> bool:
        """Whether what the end says may now be told: every page that it names is stored."""
        return self.end is not None and self.pages.issuperset(self.end.page_keys)

    @classmethod
    def of(cls, before: "RangeProgress | None", moment: datetime) -> "RangeProgress":
        """The progress that a message of this moment adds to: a new one when the old is of another age."""
        if before is None or moment - before.since > ANOTHER_AGE:
            return cls(since=moment)
        return before

    def with_page(self, page: PageFetched) -> "RangeProgress":
        """One more page stored; the same one again changes nothing."""
        return replace(self, pages=self.pages | {page.key})

    def with_end(self, end: RangeEnded) -> "RangeProgress":
        """The end told; of two (a claim that was redelivered) the one begun later counts."""
        if self.end is not None and self.end.started_at > end.started_at:
            return self
        return replace(self, end=end)


def moment_of(message: PageFetched | RangeEnded) -> datetime:
    """When the source was looked at."""
    return message.fetched_at if isinstance(message, PageFetched) else message.ended_at
