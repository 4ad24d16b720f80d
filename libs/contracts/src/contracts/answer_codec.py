"""How a finished answer lies in the Object Store: gzip over its canonical JSON."""

import gzip
import zlib
from typing import Final

from pydantic import ValidationError

from contracts.answer import Answer

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
"""Unpacked. 27 UFs over a year are some 50 MB; what unpacks to more than this is no answer of ours."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class AnswerUnreadable(ValueError):
    """These bytes are no answer, and never will be: permanent."""


def encode_answer(answer: Answer) -> bytes:
    """Equal answers are equal bytes: no time of writing is kept."""
    return gzip.compress(answer.to_json(), compresslevel=6, mtime=0)


def decode_answer(packed: bytes, *, limit: int = MAX_ANSWER_BYTES) -> Answer:
    """The answer in these bytes; raises AnswerUnreadable, before unpacking more than `limit` bytes."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as exc:
        raise AnswerUnreadable("not gzip") from exc
    if len(body) > limit:
        raise AnswerUnreadable(f"unpacks to more than {limit} bytes")
    if not unpacker.eof:
        raise AnswerUnreadable("cut short")
    try:
        return Answer.model_validate_json(body)
    except ValidationError as exc:
        raise AnswerUnreadable(f"{exc.error_count()} fields are not an answer's") from exc
