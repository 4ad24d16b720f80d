from pathlib import Path

from farol.logfile import turn_shared


class TestTurnShared:
    def test_empties_what_others_go_on_appending_to(self, tmp_path: Path) -> None:
        path = tmp_path / "farol.log"
        with path.open("ab", buffering=0) as others:
            others.write(b"one\n" * 10)
            assert not turn_shared(path, most=100)
            others.write(b"two\n" * 30)
            assert turn_shared(path, most=100)
            others.write(b"three\n")
        assert path.read_bytes() == b"three\n"
        assert path.with_name("farol.log.1").read_bytes() == b"one\n" * 10 + b"two\n" * 30
