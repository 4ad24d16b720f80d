import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulators.faults import Asked, Endpoint, Fault, Gate, Kind, RateLimit, Scenario, Source, Strikes
from simulators.hits import Hit, HitLog
from simulators.reply import failure


def asked(page: int = 1, uf: str = "SP", modalidade: int = 6) -> Asked:
    return Asked(
        source=Source.PNCP,
        endpoint=Endpoint.PUBLICACAO,
        uf=uf,
        modalidade=modalidade,
        page=page,
        url=f"/{uf}/{modalidade}/{page}",
    )


class TestFault:
    @pytest.mark.parametrize(
        "filters",
        [
            {"source": "pcp"},
            {"endpoint": "proposta"},
            {"uf": "RJ"},
            {"modalidade": 8},
            {"page": 2},
            {"uf": "SP", "page": 2},
        ],
    )
    def test_lets_pass_what_one_filter_does_not_match(self, filters: dict[str, object]) -> None:
        assert not Fault.model_validate({"kind": "hang", **filters}).matches(asked())

    def test_strikes_everything_without_filters(self) -> None:
        assert Fault(kind=Kind.HANG).matches(asked())

    def test_refuses_an_unknown_field(self) -> None:
        with pytest.raises(ValidationError):
            Fault.model_validate({"kind": "hang", "ufs": "SP"})

    def test_survives_a_scenario_file(self) -> None:
        scenario = Scenario(
            faults=(Fault(kind=Kind.DRIP, uf="SP", seconds=3),), rates=(RateLimit(source=Source.PCP, requests=5),)
        )
        assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


class TestStrikes:
    def test_stops_after_its_times(self) -> None:
        strikes = Strikes([Fault(kind=Kind.RESET, times=2)], 0)
        assert [bool(strikes.on(asked(page))) for page in (1, 2, 3, 1)] == [True, True, False, False]

    def test_lets_the_retry_of_each_url_succeed(self) -> None:
        strikes = Strikes([Fault(kind=Kind.SPURIOUS_422, times_each=1)], 0)
        assert [bool(strikes.on(asked(page))) for page in (1, 1, 2, 2)] == [True, False, True, False]

    def test_draws_the_same_lots_in_any_order_of_urls(self) -> None:
        def struck(pages: list[int]) -> set[int]:
            strikes = Strikes([Fault(kind=Kind.RESET, probability=0.3)], 7)
            return {page for page in pages if strikes.on(asked(page))}

        pages = list(range(1, 200))
        assert struck(pages) == struck(pages[::-1])
        assert 30 < len(struck(pages)) < 90

    def test_never_strikes_at_probability_zero(self) -> None:
        strikes = Strikes([Fault(kind=Kind.RESET, probability=0)], 0)
        assert not any(strikes.on(asked(page)) for page in range(50))


class TestGate:
    @given(st.lists(st.floats(0, 5), max_size=80), st.integers(1, 10))
    def test_never_admits_more_than_the_limit_in_any_second(self, times: list[float], limit: int) -> None:
        gate = Gate(RateLimit(source=Source.PNCP, requests=limit))
        admitted = [time for time in sorted(times) if gate.admits(time)]
        for time in admitted:
            assert sum(time <= other < time + 1 for other in admitted) <= limit

    def test_admits_a_steady_flow_at_the_limit(self) -> None:
        gate = Gate(RateLimit(source=Source.PNCP, requests=10))
        assert all(gate.admits(number * 0.125) for number in range(100))

    def test_blocks_for_its_time_once_broken(self) -> None:
        gate = Gate(RateLimit(source=Source.PNCP, requests=2, window_s=5, block_s=60))
        assert [gate.admits(at) for at in (0.0, 1.0, 2.0, 10.0, 61.9, 62.1)] == [True, True, False, False, False, True]


class TestFailure:
    @pytest.mark.parametrize(
        ("kind", "status", "content"),
        [
            (Kind.RATE_LIMITED, 429, "text/html"),
            (Kind.HTML_200, 200, "text/html"),
            (Kind.NO_CONTENT, 204, ""),
            (Kind.EMPTY_200, 200, "application/json"),
            (Kind.SPURIOUS_422, 422, "application/json"),
            (Kind.BAD_REQUEST, 400, "application/json"),
            (Kind.JSON_500, 500, "application/json"),
            (Kind.TEXT_500, 500, "application/json"),
            (Kind.HTML_503, 503, "text/html"),
            (Kind.HTML_504, 504, "text/html"),
        ],
    )
    def test_answers_as_recorded(self, kind: Kind, status: int, content: str) -> None:
        reply = failure(Fault(kind=kind), Source.PNCP)
        assert reply is not None
        assert reply.status == status
        assert reply.content_type.startswith(content)

    def test_says_retry_after_only_when_told(self) -> None:
        with_it = failure(Fault(kind=Kind.RATE_LIMITED, retry_after=60), Source.PNCP)
        without = failure(Fault(kind=Kind.RATE_LIMITED), Source.PNCP)
        assert with_it is not None
        assert without is not None
        assert (with_it.headers, without.headers) == ((("retry-after", "60"),), ())


class TestHitLog:
    def test_keeps_the_latest_and_counts_all(self) -> None:
        log = HitLog(3)
        for page in range(5):
            log.add(Hit(at=0.0, asked=asked(page), params={}, status=200))
        assert [hit.asked.page for hit in log] == [2, 3, 4]
        assert (len(log), log.total) == (3, 5)

    def test_names_what_was_answered_twice_but_not_a_retry_of_a_failure(self) -> None:
        log = HitLog(10)
        for page, status in ((1, 200), (2, 500), (2, 200), (3, 200), (3, 200)):
            log.add(Hit(at=0.0, asked=asked(page), params={}, status=status))
        assert log.answered_twice() == ["pncp:/SP/6/3"]
