from pathlib import Path

from farol import doctor


class TestPython:
    def test_needs_3_11(self) -> None:
        assert doctor.python((3, 10, 4)).level == "error"
        assert doctor.python((3, 11, 7)).level == "ok"


class TestDataDir:
    def test_says_when_nothing_can_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        finding = doctor.data_dir(tmp_path / "file" / "below")
        assert finding.level == "error"
        assert "não aceita gravação" in finding.message

    def test_is_well_with_a_directory_that_it_can_make(self, tmp_path: Path) -> None:
        assert doctor.data_dir(tmp_path / "new").level == "ok"
        assert list((tmp_path / "new").iterdir()) == []


class TestNatsServer:
    def test_finds_the_one_of_the_wheel(self) -> None:
        assert doctor.nats_server().level == "ok"


class TestCatalogue:
    def test_loads_every_sector(self) -> None:
        assert doctor.catalogue() == doctor.Finding("catálogo", "ok", "30 setores.")
