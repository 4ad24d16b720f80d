import json
from datetime import date
from pathlib import Path

import pytest

from farol.logfile import BoundedLog
from farol.place import MAX_LOG_BYTES, AlreadyRunningError, Endpoint, Place

TODAY = date(2026, 11, 22)
ENDPOINT = Endpoint(url="http://127.0.0.1:8000", nats_url="nats://127.0.0.1:4222", pid=7, sources="recorded")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestPlace:
    def test_keeps_key_endpoint_and_pids_from_others(self, tmp_path: Path) -> None:
        place = Place(tmp_path / "d")
        with place.held():
            place.write_key("farol_a_b")
            place.write_endpoint(ENDPOINT)
            place.write_pids({"nats": 5})
            assert (place.read_key(), place.read_endpoint()) == ("farol_a_b", ENDPOINT)
            assert json.loads((place.root / "pids.json").read_text()) == {"nats": 5}
            assert {mode(place.root / name) for name in ("api_key", "endpoint.json", "pids.json")} == {0o600}
            assert mode(place.root) == 0o700

    def test_forgets_where_it_ran_when_it_ends(self, tmp_path: Path) -> None:
        place = Place(tmp_path)
        with place.held():
            place.write_endpoint(ENDPOINT)
        assert place.read_endpoint() is None

    def test_is_held_by_one_start_at_a_time(self, tmp_path: Path) -> None:
        with Place(tmp_path).held(), pytest.raises(AlreadyRunningError), Place(tmp_path).held():
            pass
        with Place(tmp_path).held():
            pass

    def test_takes_a_broken_note_for_none(self, tmp_path: Path) -> None:
        (tmp_path / "endpoint.json").write_text("{")
        assert Place(tmp_path).read_endpoint() is None
        assert Place(tmp_path).read_key() is None

    def test_keeps_live_data_and_recorded_data_apart(self, tmp_path: Path) -> None:
        place = Place(tmp_path)
        assert place.state("live", TODAY) != place.state("recorded", TODAY)

    def test_begins_each_recorded_day_anew_and_leaves_live_data_alone(self, tmp_path: Path) -> None:
        place = Place(tmp_path)
        yesterday = place.prepare("recorded", date(2026, 11, 21))
        live = place.prepare("live", date(2026, 11, 21))
        (yesterday / "cache.db").touch()
        (live / "cache.db").touch()
        today = place.prepare("recorded", TODAY)
        (today / "cache.db").touch()
        place.prepare("recorded", TODAY)
        assert not yesterday.exists()
        assert (today / "cache.db").exists()
        assert (live / "cache.db").exists()

    def test_puts_a_long_log_aside(self, tmp_path: Path) -> None:
        place = Place(tmp_path)
        place.log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
        place.prepare("live", TODAY)
        assert not place.log.exists()
        assert (tmp_path / "farol.log.1").exists()


class TestBoundedLog:
    def test_turns_when_it_is_full_and_keeps_one_before(self, tmp_path: Path) -> None:
        log = BoundedLog(tmp_path / "farol.log", most=20)
        for number in range(10):
            log.write(f"line {number}\n")
        log.close()
        kept = (tmp_path / "farol.log.1").read_text() + (tmp_path / "farol.log").read_text()
        assert kept.endswith("line 9\n")
        assert len(kept) < 60

    def test_writes_a_line_at_once(self, tmp_path: Path) -> None:
        log = BoundedLog(tmp_path / "farol.log", most=None)
        log.write("um\n")
        assert (tmp_path / "farol.log").read_text() == "um\n"
        log.close()
