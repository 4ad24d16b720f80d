import pytest

from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled, Score, score
from contracts.sectors import SECTORS


@pytest.fixture(scope="module")
def dev(judge: Judge, labelled: list[Labelled]) -> Score:
    return score(judge, labelled, sectors=SECTORS)


class TestScoreOnTheDevRecords:
    def test_has_the_sure_records_only(self, dev: Score) -> None:
        assert dev.bids == 3422

    def test_is_precise(self, dev: Score) -> None:
        assert dev.micro.precision >= 0.97

    def test_misses_little(self, dev: Score) -> None:
        assert dev.micro.recall >= 0.96

    def test_leaves_few_bids_open(self, dev: Score) -> None:
        assert dev.uncertain_share <= 0.07

    def test_sends_few_bids_of_a_search_to_an_arbiter(self, dev: Score) -> None:
        assert dev.asked_share <= 0.05

    def test_does_well_in_every_sector(self, dev: Score) -> None:
        poor = {
            sector: (tally.precision, tally.recall)
            for sector, tally in dev.by_sector.items()
            if tally.right + tally.misses >= 10 and (tally.precision < 0.90 or tally.recall < 0.85)
        }
        assert poor == {}


class TestScore:
    def test_counts_hits_misses_and_false_hits(self, judge: Judge) -> None:
        labelled = [
            Labelled("1", "Aquisição de uniformes escolares", frozenset({"vestuario"})),
            Labelled("2", "Aquisição de uniformes escolares", frozenset({"mobiliario"})),
            Labelled("3", "Aquisição de uniformes escolares", frozenset(), sure=False),
        ]
        result = score(judge, labelled, sectors=("vestuario", "mobiliario"))
        assert (result.micro.right, result.micro.false_hits, result.micro.misses) == (1, 1, 1)
        assert (result.micro.precision, result.micro.recall) == (0.5, 0.5)
        assert [(m.id, m.sector, m.false_hit) for m in result.mistakes] == [
            ("2", "vestuario", True), ("2", "mobiliario", False),
        ]  # fmt: skip
        assert (result.bids, result.uncertain_share) == (2, 0.0)

    def test_of_nothing_is_perfect(self, judge: Judge) -> None:
        result = score(judge, [], sectors=SECTORS)
        assert (result.micro.precision, result.micro.recall, result.uncertain_share) == (1.0, 1.0, 0.0)
        assert result.asked_share == 0.0
