from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.coarsening import coarsened, joined
from contracts.fetch import SliceStatus
from contracts.memory import Gathered, SliceRun
from contracts.places import UF
from contracts.samples import SEARCH_ID
from contracts.subjects import GATHERED, MAX_MESSAGE_BYTES
from contracts.values import MODALIDADES, Modalidade, Source

FIRST = date(2026, 1, 1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
READ = {SliceStatus.COMPLETE, SliceStatus.PARTIAL}


def run(day=0, days=1, status=SliceStatus.COMPLETE, modalidade=Modalidade.DISPENSA, **said):
    read = status in READ
    said = {"fetched_at": NOON if read else None, "live": read, "why": None if read else "timeout.source", **said}
    start = FIRST + timedelta(days=day)
    return SliceRun(
        modalidade=modalidade, day_from=start, day_to=start + timedelta(days=days - 1), status=status, **said
    )


@st.composite
def ledgers(draw):
    """Runs as the ledger gives them: by modalidade, in order of their days, some days missing."""
    runs = []
    for modalidade in draw(st.lists(st.sampled_from(MODALIDADES), unique=True, min_size=1, max_size=3)):
        day = 0
        for _ in range(draw(st.integers(1, 12))):
            status = draw(st.sampled_from(SliceStatus))
            day += draw(st.integers(0, 1))
            days = draw(st.integers(1, 5))
            age = timedelta(minutes=draw(st.integers(0, 600)))
            runs.append(
                run(
                    day, days, status, modalidade,
                    fetched_at=NOON - age if status in READ else None,
                    live=status in READ and draw(st.booleans()), stale=draw(st.booleans()),
                )
            )  # fmt: skip
            day += days
    return tuple(runs)


def by_slice(runs):
    return {
        (each.modalidade, each.day_from + timedelta(days=n)): each for each in runs for n in range(each.days)
    }  # fmt: skip


def complete_days(runs):
    return sum(each.days for each in runs if each.status is SliceStatus.COMPLETE)


class TestCoarsened:
    @given(ledgers(), st.integers(0, 4000))
    def test_never_raises_the_number_of_complete_slices(self, runs, max_bytes):
        assert complete_days(coarsened(runs, max_bytes=max_bytes)) <= complete_days(runs)

    @given(ledgers(), st.integers(0, 4000))
    def test_says_something_of_exactly_the_same_slices_and_of_none_anything_better(self, runs, max_bytes):
        before, after = by_slice(runs), by_slice(coarsened(runs, max_bytes=max_bytes))

        assert before.keys() == after.keys()
        for key, said in after.items():
            known = before[key]
            assert known.status is SliceStatus.COMPLETE or said.status is not SliceStatus.COMPLETE
            assert known.status in READ or said.status not in READ
            assert known.live or not said.live
            assert said.stale or not known.stale
            assert said.fetched_at is None or said.fetched_at <= known.fetched_at

    @given(ledgers(), st.integers(0, 4000))
    def test_fits_or_has_nothing_left_to_join(self, runs, max_bytes):
        left = coarsened(runs, max_bytes=max_bytes)
        fits = sum(len(each.to_json()) + 1 for each in left) <= max_bytes
        neighbours = [
            one.modalidade is other.modalidade and other.day_from - one.day_to == timedelta(days=1)
            for one, other in pairwise(left)
        ]

        assert fits or not any(neighbours)

    def test_leaves_what_fits_as_it_is(self):
        runs = (run(0), run(1, status=SliceStatus.FAILED), run(2))

        assert coarsened(runs) == runs

    def test_makes_the_most_fragmented_year_of_every_modalidade_fit_one_message(self):
        runs = tuple(
            run(day, status=(SliceStatus.COMPLETE, SliceStatus.PARTIAL)[day % 2], modalidade=each, why="timeout.source")
            for each in Modalidade
            for day in range(365)
        )
        fact = Gathered(search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP, runs=runs)
        assert len(GATHERED.message(fact, search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP).body) > MAX_MESSAGE_BYTES

        fact = fact.model_copy(update={"runs": coarsened(runs)})
        assert len(GATHERED.message(fact, search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP).body) < MAX_MESSAGE_BYTES


class TestJoined:
    def test_takes_the_worst_of_both(self):
        old = NOON - timedelta(hours=3)
        one = run(0, 2, fetched_at=old, live=False, stale=True)
        other = run(2, 1, SliceStatus.PARTIAL, why="timeout.modalidade")

        assert joined(one, other) == run(
            0, 3, SliceStatus.PARTIAL, fetched_at=old, live=False, stale=True, why="timeout.modalidade"
        )

    def test_has_no_fetch_when_one_of_them_was_never_read(self):
        assert joined(run(0), run(1, status=SliceStatus.NEVER)).fetched_at is None
