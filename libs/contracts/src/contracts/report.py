"""Summary and spreadsheet: jobs on one revision of one answer."""

from typing import Literal

from pydantic import Field

from contracts.base import Message, Value
from contracts.values import SearchId
from contracts.when import UtcDatetime


class ObjectRef(Value):
    """Where a large content lies in the Object Store."""

    bucket: str
    name: str
    size: int = Field(ge=0)
    sha256: str


class Summary(Value):
    """What the answer says in a few sentences. Every figure in it is computed from the answer."""

    text: str
    """Portuguese, plain text, paragraphs divided by an empty line."""
    highlights: tuple[str, ...] = ()
    method: Literal["fallback", "llm"] = "fallback"


class Summarize(Message):
    """Command: write the summary of one revision of an answer."""

    search_id: SearchId
    revision: int
    answer_ref: ObjectRef
    deadline: UtcDatetime


class SummaryReady(Message):
    """Fact: the summary, whole (F01: stored, never none)."""

    search_id: SearchId
    revision: int
    summary: Summary


class MakeSpreadsheet(Message):
    """Command: make the spreadsheet of one revision of an answer."""

    search_id: SearchId
    revision: int
    answer_ref: ObjectRef
    deadline: UtcDatetime


class SpreadsheetReady(Message):
    """Fact: the spreadsheet lies in the Object Store."""

    search_id: SearchId
    revision: int
    file: ObjectRef
    rows: int


class SpreadsheetFailed(Message):
    """Fact: the spreadsheet could not be made after the last try; the message is for people."""

    search_id: SearchId
    revision: int
    message: str
