"""The parts of handling that need no server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.memory import Archive
from servicekit.backoff import backoff
from servicekit.errors import Abandoned, DependencyAway, Fenced, Rejected, Transient, Unavailable
from servicekit.outcomes import leading


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Archive.model_validate({})
    return caught.value


class TestLeading:
    def test_is_the_error_itself_outside_of_a_group(self) -> None:
        error = Transient("x")
        assert leading(error) is error
        assert leading(None) is None

    def test_is_a_fence_before_all(self) -> None:
        fenced = Fenced()
        assert leading(ExceptionGroup("g", [KeyError(), fenced, Rejected("x")])) is fenced

    def test_is_a_bug_before_what_is_expected(self) -> None:
        bug = KeyError()
        assert leading(ExceptionGroup("g", [Rejected("x"), bug])) is bug

    def test_is_what_is_final_before_what_may_pass(self) -> None:
        final = invalid()
        assert leading(ExceptionGroup("g", [Transient("x"), ExceptionGroup("h", [final])])) is final

    def test_is_the_dependency_before_another_try(self) -> None:
        away = DependencyAway("sql")
        assert leading(ExceptionGroup("g", [Transient("x"), away])) is away


class TestBackoff:
    @given(st.integers(0, 10_000))
    def test_is_bounded_and_never_nothing(self, failures: int) -> None:
        assert 0.5 <= backoff(failures) <= 30

    def test_doubles(self) -> None:
        assert [0.5 * 2**n <= backoff(n + 1) <= 2**n for n in range(5)] == [True] * 5


class TestErrors:
    def test_tell_the_bus_from_a_responder(self) -> None:
        assert Unavailable("bus.away").bus_itself
        assert not Unavailable("rpc.no_answer").bus_itself

    def test_are_trees_that_a_handler_can_catch(self) -> None:
        assert isinstance(DependencyAway("sql"), Transient)
        assert isinstance(Fenced(), Abandoned)
        assert DependencyAway("sql").code == "sql.away"
