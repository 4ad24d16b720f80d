import pytest

from farol.processes import SERVICES, pause_before
from farol.settings import FarolSettings, new_api_key


class TestPauseBefore:
    def test_starts_a_dead_child_again_within_a_second_however_often_it_died(self) -> None:
        pauses = [pause_before(deaths) for deaths in range(1, 50)]
        assert pauses[0] < 0.1
        assert pauses == sorted(pauses)
        assert max(pauses) < 1


class TestServices:
    def test_are_the_same_in_one_loop_and_in_processes(self) -> None:
        from farol.one_loop import BUILDS  # noqa: PLC0415 - it imports every service

        assert tuple(BUILDS) == SERVICES


class TestNewApiKey:
    def test_is_new_each_time_and_has_256_bits(self) -> None:
        first, second = new_api_key(), new_api_key()
        assert first != second
        prefix, key_id, secret = first.split("_", 2)
        assert (prefix, len(key_id)) == ("farol", 8)
        assert len(secret) == 43


class TestFarolSettings:
    def test_asks_the_live_sources_unless_told_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FAROL_SOURCES", raising=False)
        assert FarolSettings().sources == "live"
        monkeypatch.setenv("FAROL_SOURCES", "recorded")
        assert FarolSettings().sources == "recorded"
