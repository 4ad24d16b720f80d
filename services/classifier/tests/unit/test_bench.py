from classifier.bench import SAMPLE, measure


class TestMeasure:
    def test_measures_every_figure(self) -> None:
        """Figures of a moment: that they are there is tested, not how good they are on a busy machine."""
        measured = measure(SAMPLE[:2], baseline_texts=1)
        assert measured.terms > measured.sector_terms > 0
        assert min(measured.one_sector_times, measured.all_sectors_times, measured.bids_per_second) > 0
        assert measured.hostile_seconds_half > 0
