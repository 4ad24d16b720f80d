import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.relevance import Judge
from contracts.classification import SightedBid
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, bid, gathered, judged, requested
from contracts.subjects import GATHERED, JUDGED, REQUESTED
from contracts.values import Source
from farol.cli import app
from farol.recording import Recording, write
from farol.what_if import WhatIfError, changed_by, what_if
from servicekit.bus import Stored

OBJETO = "Aquisição de zarbolim tático"


def stored(outgoing, sequence):
    return Stored(
        subject=outgoing.subject, sequence=sequence, body=outgoing.body, time=NOW + timedelta(seconds=sequence),
        correlation_id=None,
    )  # fmt: skip


@pytest.fixture
def recording():
    """A search of vestuario with one bid taken in (sample text) and one left out (OBJETO)."""
    request = requested(UF.SP, sources=(Source.PNCP,))
    verdicts = judged("a", uf=UF.SP, accepted=(1,), rejected=(2,))
    facts = (
        REQUESTED.message(request, search_id=SEARCH_ID),
        JUDGED.message(verdicts, search_id=SEARCH_ID, batch="a", part=1),
        GATHERED.message(gathered(UF.SP, batches=("a",)), search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP),
    )
    left_out = bid(2).model_copy(update={"objeto": OBJETO})
    return Recording(
        SEARCH_ID,
        tuple(stored(fact, n) for n, fact in enumerate(facts, start=1)),
        rejected={left_out.id: SightedBid(bid=left_out, seen_at=NOW, live=True)},
    )


@pytest.fixture(scope="module")
def shipped():
    return load_catalogue()


@pytest.fixture
def changed(tmp_path, shipped):
    """The shipped sector with one term more."""
    rules = shipped.sectors["vestuario"].model_dump(mode="json")
    file = tmp_path / "vestuario.yaml"
    file.write_text(yaml.safe_dump({**rules, "strong": [*rules["strong"], "zarbolim"]}, allow_unicode=True))
    return file


class TestWhatIf:
    def test_names_what_would_be_taken_in(self, recording, shipped, changed):
        sector, after = changed_by(changed, shipped)
        found = what_if(sector, [recording, recording], before=Judge(shipped), after=Judge(after))
        assert (found.sector, found.bids) == ("vestuario", 2)
        assert [(each.id, each.taken_in, each.terms) for each in found.turned] == [(bid(2).id, True, ("zarbolim",))]

    def test_finds_nothing_where_nothing_was_changed(self, recording, shipped):
        judge = Judge(shipped)
        assert what_if("vestuario", [recording], before=judge, after=judge).turned == ()
        assert what_if("obras", [recording], before=judge, after=judge).searches == 0

    def test_refuses_a_file_that_is_no_sound_sector(self, tmp_path, shipped):
        file = tmp_path / "x.yaml"
        file.write_text("sector: vestuario\nstrong: [uniforme, uniformes]\nvalue_range: {min: 1, max: 2}\n")
        with pytest.raises(WhatIfError, match="repeats"):
            changed_by(file, shipped)
        file.write_text("nada")
        with pytest.raises(WhatIfError, match="SectorRules"):
            changed_by(file, shipped)


class TestCommand:
    def test_prints_what_would_change_of_a_recording(self, recording, changed, tmp_path: Path):
        file = tmp_path / "busca.gravacao"
        write(recording, file)
        result = CliRunner().invoke(app, ["catalogue", "what-if", str(changed), str(file), "--json"])
        assert result.exit_code == 0, result.output
        turned, total = (json.loads(line) for line in result.output.splitlines())
        assert (turned["id"], turned["taken_in"]) == (bid(2).id, True)
        assert (total["searches"], total["taken_in"], total["left_out"]) == (1, 1, 0)
