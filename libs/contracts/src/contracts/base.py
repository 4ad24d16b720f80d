"""The ground that every message and value stands on."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value. Readers ignore fields that they do not know, so that adding one breaks nobody."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")

    def to_json(self) -> bytes:
        """The canonical bytes of this value: compact UTF-8, fields in their declared order."""
        return self.model_dump_json().encode()


class Message(Value):
    """A value that travels on the bus: a command (imperative), a fact (past tense) or a bell.

    What a decision depends on (deadline, attempt) is a field; headers are the bus's own.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Insist on the sentence that the generated documents show."""
        super().__init_subclass__(**kwargs)
        if not cls.__doc__:
            raise TypeError(f"{cls.__name__} needs a docstring: it becomes the message's description")
