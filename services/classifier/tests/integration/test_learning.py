"""Feedback, opinions and money in a real database, and feedback over the real bus."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from classifier.adapters.sql.feedback import SqlFeedback
from classifier.adapters.sql.opinions import KEPT_FOR, SqlOpinions, SqlSpending
from classifier.adapters.sql.schema import SCHEMA
from classifier.app import build
from classifier.domain.arbitration import Opinion
from classifier.settings import ClassifierSettings
from contracts.feedback import (
    BidSnapshot,
    FeedbackCategory,
    FeedbackOutcome,
    FeedbackReply,
    PatternsQuery,
    PatternsReply,
    TellFeedback,
    UserVerdict,
)
from contracts.samples import SEARCH_ID, bid
from contracts.subjects import FEEDBACK, FEEDBACK_PATTERNS
from servicekit.bus import Bus
from servicekit.sql.database import Database

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
OPINION = Opinion(
    classe="relevante", confianca=80, evidencias=["uniformes"], motivo_exclusao="", precisa_mais_dados=False
)


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.of(SCHEMA, None, tmp_path) as database:
        yield database


def told(
    number: int = 1, verdict: UserVerdict | None = UserVerdict.FALSE_POSITIVE, *, user: str = "ana", objeto: str = "x"
) -> TellFeedback:
    snapshot = BidSnapshot(objeto=objeto, sector="vestuario", matched_terms=("uniforme",)) if verdict else None
    return TellFeedback(
        user=user, tenant="acme", search_id=SEARCH_ID, bid_id=bid(number).id, user_verdict=verdict, snapshot=snapshot
    )


class TestSqlFeedback:
    async def test_keeps_one_row_per_user_search_and_bid(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=50)
        changed = told(verdict=UserVerdict.CORRECT).model_copy(update={"category": FeedbackCategory.OTHER})
        said = [(await book.take(each, now=NOW)).outcome for each in (told(), changed, told(user="bia"), told(2))]
        assert said == [
            FeedbackOutcome.KEPT, FeedbackOutcome.CHANGED, FeedbackOutcome.KEPT, FeedbackOutcome.KEPT
        ]  # fmt: skip
        verdicts = sorted(each.user_verdict for each in await book.given("vestuario"))
        assert verdicts == [UserVerdict.CORRECT, UserVerdict.FALSE_POSITIVE, UserVerdict.FALSE_POSITIVE]
        assert await book.given("obras") == []

    async def test_takes_back_once(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=50)
        await book.take(told(), now=NOW)
        said = [(await book.take(told(verdict=None), now=NOW)).outcome for _ in range(2)]
        assert said == [FeedbackOutcome.REMOVED, FeedbackOutcome.NOT_FOUND]
        assert await book.given(None) == []

    async def test_lets_one_user_write_so_often_in_any_hour(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=3)
        times = [NOW + timedelta(minutes=20 * n) for n in range(3)]
        assert [(await book.take(told(n), now=at)).outcome for n, at in enumerate(times, 1)] == [
            FeedbackOutcome.KEPT
        ] * 3
        late = NOW + timedelta(minutes=59)
        refused = await book.take(told(4), now=late)
        assert (refused.outcome, refused.retry_after_s) == (FeedbackOutcome.LIMITED, 61)
        assert (await book.take(told(4, user="bia"), now=late)).outcome is FeedbackOutcome.KEPT
        assert (await book.take(told(4), now=NOW + timedelta(hours=1))).outcome is FeedbackOutcome.KEPT


class TestSqlOpinions:
    async def test_outlive_the_process_and_go_with_age(self, database: Database) -> None:
        kept = SqlOpinions(database)
        assert await kept.get("k") is None
        await kept.put("k", OPINION, now=NOW)
        await kept.put("k", OPINION.model_copy(update={"confianca": 1}), now=NOW)
        assert await SqlOpinions(database).get("k") == OPINION
        await kept.put("other", OPINION, now=NOW + KEPT_FOR + timedelta(days=1))
        assert await kept.get("k") is None


class TestSqlSpending:
    async def test_is_one_sum_a_day_for_all(self, database: Database) -> None:
        one, other, day = SqlSpending(database, Decimal("0.10")), SqlSpending(database, Decimal("0.10")), NOW.date()
        assert await one.take(Decimal("0.06"), day=day)
        assert not await other.take(Decimal("0.06"), day=day)
        await one.settle(Decimal("0.06"), Decimal("0.01"), day=day)
        assert await other.take(Decimal("0.06"), day=day)
        assert await other.take(Decimal("0.10"), day=day + timedelta(days=1))

    async def test_counts_the_smallest_call(self, database: Database) -> None:
        spending = SqlSpending(database, Decimal("0.000001"))
        assert await spending.take(Decimal("0.0000001"), day=NOW.date())
        assert not await spending.take(Decimal("0.0000001"), day=NOW.date())


class TestFeedbackOverTheBus:
    @pytest.mark.parametrize("enabled", [True, False])
    async def test_is_kept_and_read_unless_it_is_off(self, bus_url: str, tmp_path: Path, *, enabled: bool) -> None:
        settings = ClassifierSettings(nats_url=bus_url, data_dir=tmp_path, feedback_enabled=enabled)
        service, asker = build(settings), Bus(url=bus_url, service="gateway")
        await service.start()
        await asker.start()
        within = timedelta(seconds=60)
        try:
            for number in (1, 2):
                facade = told(number, objeto=f"Uniforme visual da fachada {number}")
                reply: FeedbackReply = await asker.request(FEEDBACK, facade, timeout=within)
                assert reply.outcome is (FeedbackOutcome.KEPT if enabled else FeedbackOutcome.OFF)
            query = PatternsQuery(sector="vestuario")
            found: PatternsReply = await asker.request(FEEDBACK_PATTERNS, query, timeout=within)
        finally:
            await service.stop()
            await asker.stop()
        assert found.feedback_read == (2 if enabled else 0)
        if enabled:
            (exclusion,) = found.suggested_exclusions
            assert (exclusion.term, exclusion.support) == ("uniforme visual", 2)
            assert exclusion.effect is not None
            assert exclusion.effect.misses >= 0
