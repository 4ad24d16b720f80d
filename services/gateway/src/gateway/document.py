"""`python -m gateway.document` writes the OpenAPI document to standard output; it is kept as openapi.json."""

import sys

import orjson

from gateway.http import api


def document() -> bytes:
    """The document as the file has it."""
    return orjson.dumps(api().openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
