from datetime import date, datetime, timedelta

import pytest
from pydantic import ValidationError

from contracts.places import UF, UFS, Regiao
from contracts.query import DEFAULT_MODALIDADES, SearchRequest
from contracts.samples import SEARCH_ID, TODAY, bid, gathered
from contracts.subjects import (
    CONSUMERS,
    FACTS,
    GATHERED,
    JUDGED,
    MAX_MESSAGE_BYTES,
    STREAMS,
    TOPICS,
    Retention,
    fact_topic,
)
from contracts.values import Licitacao, Modalidade, Source, pncp_id
from contracts.when import Deadline, day_of, end_of_day, from_brasilia


def ask(**fields):
    return SearchRequest.model_validate({"ufs": ["SP"], "sector": "vestuario", **fields})


class TestSearchRequest:
    def test_looks_at_today_and_the_nine_days_before(self):
        query = ask().normalised(today=TODAY)

        assert (query.date_from, query.date_to, len(query.days)) == (date(2026, 11, 13), TODAY, 10)
        assert query.modalidades == DEFAULT_MODALIDADES
        assert set(query.sources) == set(Source)

    def test_cuts_an_end_after_today(self):
        assert ask(date_to=TODAY + timedelta(days=30)).normalised(today=TODAY).date_to == TODAY

    def test_allows_365_days_and_not_one_more(self):
        ask(date_from=TODAY - timedelta(days=364)).normalised(today=TODAY)
        with pytest.raises(ValueError, match="date_from"):
            ask(date_from=TODAY - timedelta(days=365)).normalised(today=TODAY)

    def test_has_no_window_when_it_asks_what_is_open_today(self):
        assert ask(scope="open").normalised(today=TODAY).days == (TODAY,)
        with pytest.raises(ValueError, match="date_from"):
            ask(scope="open", date_to=TODAY).normalised(today=TODAY)

    def test_refuses_a_reversed_window(self):
        with pytest.raises(ValueError, match="date_from"):
            ask(date_from=TODAY, date_to=TODAY - timedelta(days=1)).normalised(today=TODAY)

    @pytest.mark.parametrize(
        "fields",
        [
            {"ufs": []},
            {"ufs": ["ZZ"]},
            {"ufs": ["XX"]},
            {"unknown": 1},
            {"sector": "nada"},
            {"sector": None},
            {"terms": ["x y"]},
            {"modalidades": [0]},
            {"modalidades": [16]},
            {"value_min": "2", "value_max": "1"},
            {"municipio_ibge": "12"},
        ],
    )
    def test_refuses_what_cannot_be_asked(self, fields):
        with pytest.raises(ValidationError):
            ask(**fields)

    def test_is_one_key_however_it_is_written(self):
        one = ask(ufs=["SP", "RJ", "SP"], modalidades=[6, 4]).normalised(today=TODAY)
        other = ask(ufs=["RJ", "SP"], modalidades=[4, 6, 6], sort="value").normalised(today=TODAY)

        assert one.key == other.key
        assert one.key != ask().normalised(today=TODAY).key

    @pytest.mark.parametrize("field", ["value_min", "value_max"])
    def test_is_one_key_however_many_zeros_an_amount_is_written_with(self, field):
        keys = {ask(**{field: amount}).normalised(today=TODAY).key for amount in (50000, "50000.0", "50000.00", "5e4")}

        assert len(keys) == 1
        assert keys != {ask(**{field: "50000.01"}).normalised(today=TODAY).key}

    def test_always_asks_a_national_source_for_its_unmapped_modalities(self):
        query = ask(modalidades=[6]).normalised(today=TODAY)

        assert query.modalidades_of(Source.PCP) == (Modalidade.OUTRA, Modalidade.PREGAO_ELETRONICO)
        assert query.modalidades_of(Source.PNCP) == (Modalidade.PREGAO_ELETRONICO,)


class TestPlaces:
    def test_are_27_in_five_regions(self):
        assert len(UFS) == 27
        assert {uf.regiao for uf in UFS} == set(Regiao)
        assert UF.XX.regiao is None


class TestLicitacao:
    def test_belongs_to_its_day_in_brasilia(self):
        late = bid().model_copy(update={"data_publicacao": from_brasilia(_naive("2026-11-20T23:30:00"))})

        assert late.day == date(2026, 11, 20)
        assert day_of(late.data_publicacao) == date(2026, 11, 20)

    def test_changes_its_hash_with_its_content_only(self):
        again = Licitacao.model_validate_json(bid().to_json())

        assert again == bid()
        assert again.content_hash == bid().content_hash
        assert bid(objeto="Outro objeto").content_hash != bid().content_hash

    def test_takes_a_cnpj_with_letters(self):
        assert pncp_id(cnpj="12.ABC.345/01DE-35", sequencial=7, ano=2026) == "12ABC34501DE35-1-000007/2026"


class TestDeadline:
    def test_only_ever_shrinks(self):
        now = end_of_day(TODAY)
        deadline = Deadline.after(now, timedelta(seconds=60))

        assert deadline.within(now, timedelta(seconds=90)) == deadline
        assert deadline.within(now, timedelta(seconds=30)) < deadline
        assert deadline.reserving(timedelta(seconds=5)) < deadline
        assert deadline.remaining(now + timedelta(seconds=61)) == timedelta(0)
        assert deadline.passed(now + timedelta(seconds=60))


class TestTable:
    def test_names_every_fact_by_its_subject(self):
        for topic in FACTS:
            subject = topic.wildcard.replace("*", "0")
            assert fact_topic(subject) is topic

    def test_does_not_know_a_fact_of_tomorrow(self):
        assert fact_topic("search.v1.0.weather") is None
        assert fact_topic("work.x") is None

    def test_gives_every_stored_topic_to_one_stream(self):
        for topic in TOPICS:
            owners = [s for s in STREAMS if any(_matches(subject, topic.wildcard) for subject in s.subjects)]
            assert owners == ([topic.stream] if topic.stream else [])

    def test_never_lets_two_consumers_of_a_work_queue_overlap(self):
        queues = [c for c in CONSUMERS if c.stream.retention is Retention.WORKQUEUE]
        for one in queues:
            for other in queues:
                if one is not other and one.stream is other.stream:
                    assert not _matches(one.filter, other.filter)
                    assert not _matches(other.filter, one.filter)

    def test_refuses_a_token_that_would_be_two(self):
        with pytest.raises(ValueError, match="token"):
            JUDGED.subject(search_id="a.b", batch="x", part=1)

    def test_gives_a_message_its_subject_and_key_as_its_id(self):
        outgoing = GATHERED.message(gathered(UF.SP), search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP)

        assert outgoing.msg_id == f"search.v1.{SEARCH_ID}.gathered.pncp.SP:1"
        assert len(outgoing.body) < MAX_MESSAGE_BYTES


def _naive(text):
    return datetime.fromisoformat(text)


def _matches(pattern, subject):
    tokens, others = pattern.split("."), subject.split(".")
    for n, token in enumerate(tokens):
        if token == ">":
            return True
        if n >= len(others) or (token not in ("*", others[n]) and others[n] != "*"):
            return False
    return len(tokens) == len(others)
