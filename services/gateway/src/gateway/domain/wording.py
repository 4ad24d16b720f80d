"""What pydantic found wrong, in Portuguese and with the JSON pointer of the field."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.problem import FieldError

_WORDS: Mapping[str, str] = {
    "missing": "campo obrigatório",
    "extra_forbidden": "campo desconhecido",
    "enum": "valor desconhecido: {input}",
    "literal_error": "valor desconhecido: {input}; use um destes: {expected}",
    "date_parsing": "data inválida; use AAAA-MM-DD",
    "date_type": "data inválida; use AAAA-MM-DD",
    "date_from_datetime_parsing": "data inválida; use AAAA-MM-DD",
    "date_from_datetime_inexact": "data inválida; use AAAA-MM-DD",
    "too_short": "informe pelo menos {min_length}",
    "too_long": "informe no máximo {max_length}",
    "string_too_short": "use pelo menos {min_length} caracteres",
    "string_too_long": "use no máximo {max_length} caracteres",
    "string_pattern_mismatch": "formato inválido",
    "string_type": "deve ser um texto",
    "tuple_type": "deve ser uma lista",
    "list_type": "deve ser uma lista",
    "bool_parsing": "deve ser true ou false",
    "bool_type": "deve ser true ou false",
    "int_parsing": "deve ser um número inteiro",
    "int_type": "deve ser um número inteiro",
    "int_from_float": "deve ser um número inteiro",
    "decimal_parsing": "deve ser um número",
    "decimal_type": "deve ser um número",
    "decimal_max_digits": "número grande demais",
    "decimal_whole_digits": "número grande demais",
    "decimal_max_places": "use no máximo {decimal_places} casas decimais",
    "finite_number": "deve ser um número",
    "greater_than_equal": "deve ser no mínimo {ge}",
    "less_than_equal": "deve ser no máximo {le}",
    "model_attributes_type": "o corpo deve ser um objeto JSON",
    "model_type": "o corpo deve ser um objeto JSON",
    "dict_type": "o corpo deve ser um objeto JSON",
}
_NAMED = re.compile(r"^(?P<field>[a-z_]+): (?P<message>.+)$", re.DOTALL)
_SHOWN = 40


def pointer(location: Sequence[int | str]) -> str:
    """RFC 6901, as a fragment."""
    return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in location)


def field_errors(errors: Sequence[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """One error per finding, each naming its field in the body or its parameter.

    A list that is only too short since pydantic left out its wrong elements is not a finding of its own.
    """
    above = {tuple(error["loc"][:-1]) for error in errors}
    return tuple(
        _field_error(error) for error in errors if error["type"] != "too_short" or tuple(error["loc"]) not in above
    )


def named(message: str) -> FieldError:
    """The error in a `field: message` of a validator over the whole body."""
    match = _NAMED.match(message)
    if match is None:
        return FieldError(pointer="#", message=message)
    return FieldError(pointer=pointer((match["field"],)), message=match["message"])


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place, *rest = error["loc"]
    message = _message(error)
    if place != "body":
        return FieldError(parameter=str(rest[0] if rest else place), message=message)
    if not rest:
        return named(message)
    return FieldError(pointer=pointer(rest), message=message)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    words = _WORDS.get(error["type"], "valor inválido")
    shown = repr(error.get("input"))[:_SHOWN]
    return words.format_map({**error.get("ctx", {}), "input": shown})
