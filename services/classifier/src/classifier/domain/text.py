"""Words of a text, blind to accents, case and number, each knowing where it stands in the original."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

_PREFIX = re.compile(r"^\s*\[[^\]\n]{2,60}\]\s*[-–—:]*\s*")
"""A platform's mark before the objeto, such as `[LICITANET] - `."""
_TOKEN = re.compile(r"[a-z0-9]+")
_IRREGULAR_PLURALS = {
    "uteis": "util", "texteis": "textil", "faceis": "facil", "ageis": "agil", "frageis": "fragil", "fosseis": "fossil",
    "repteis": "reptil", "projeteis": "projetil", "volateis": "volatil", "mais": "mais", "tres": "tres", "mes": "mes",
    "pais": "pais", "dois": "dois", "seis": "seis", "pos": "pos", "gas": "gas", "onibus": "onibus", "lapis": "lapis",
    "saas": "saas", "virus": "virus", "atlas": "atlas", "cais": "cais",
    "ares": "ar", "males": "mal", "caes": "cao", "maos": "mao",
}  # fmt: skip
_ENDINGS = (("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ois", "ol"), ("uis", "ul"), ("ns", "m"))
_FUNCTION_WORDS = frozenset(
    ("a", "as", "o", "os", "ao", "aos", "de", "da", "das", "do", "dos", "d", "e", "ou", "um", "uma", "uns", "umas")
)
_NUMBER_WORDS = frozenset(
    (
        "um", "uma", "dois", "duas", "tres", "quatro", "cinco", "seis", "sete", "oito", "nove", "dez", "onze", "doze",
        "treze", "quatorze", "catorze", "quinze", "dezesseis", "dezessete", "dezoito", "dezenove", "vinte", "trinta",
        "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa", "cem", "cento", "mil",
    )
)  # fmt: skip
_FIGURE = re.compile(r"\d+[ao]?")
"""A number or an ordinal (`30ª`)."""
_SHORT = 3
"""Words of so few letters are mostly siglas; their endings say nothing of number."""


class _Folds(dict[int, str]):
    """code point -> its folded letters, filled as characters are met; bounded by Unicode itself."""

    def __missing__(self, code: int) -> str:
        bare = "".join(c for c in unicodedata.normalize("NFKD", chr(code)) if not unicodedata.combining(c)).lower()
        folded = "".join(c if c.isascii() and c.isalnum() else " " for c in bare)
        # A character is part of one word or of none, so that no two words share one.
        if " " in folded or (not folded and not unicodedata.combining(chr(code))):
            folded = " "
        self[code] = folded
        return folded


_FOLDS = _Folds()


@lru_cache(maxsize=65_536)
def normal_form(token: str) -> str:
    """A folded word without the marks of number: `veiculos` and `veiculo`, `computadores` and `computador` are one.

    It also drops a final e, since a plural in -es does not say whether its singular had one (`base`, `gas`).
    """
    if token in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[token]
    if len(token) <= _SHORT or not token.isalpha():
        return token
    for plural, singular in _ENDINGS:
        if token.endswith(plural):
            return token[: -len(plural)] + singular
    bare = token[:-1] if token.endswith("s") and not token.endswith("ss") else token
    return bare[:-1] if bare.endswith("e") and len(bare) > _SHORT else bare


@dataclass(frozen=True)
class Words:
    """A text as normal forms of its words; `spans` are offsets into `original`."""

    original: str
    forms: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    kept: tuple[int, ...]
    """The words that tell: without articles, `de`, `e` (and numbers), so that `locação de 2 (dois) veículos` and
    `locação dos veículos` read alike."""

    @cached_property
    def line(self) -> str:
        """The kept forms with one blank between: what the automaton reads."""
        return " ".join([self.forms[index] for index in self.kept])

    def literal(self, first: int, last: int) -> str:
        """The original text from word `first` to word `last`, both included."""
        return self.original[self.spans[first][0] : self.spans[last][1]]

    def breaks_before(self, index: int) -> str:
        """What stands between the word before and this one: blanks and punctuation."""
        return self.original[self.spans[index - 1][1] : self.spans[index][0]] if index else ""


def _folded(text: str) -> tuple[str, list[int] | None]:
    """The folded text and, unless each character became exactly one, where each of its characters came from."""
    if all(len(_FOLDS[code]) == 1 for code in set(map(ord, text))):
        return text.translate(_FOLDS), None
    letters: list[str] = []
    origins: list[int] = []
    for position, char in enumerate(text):
        folded = _FOLDS[ord(char)]
        letters.append(folded)
        origins.extend([position] * len(folded))
    return "".join(letters), origins


def words_of(text: str, *, numbers: bool = False) -> Words:
    """The words of a text, the platform's mark before it left out; `numbers` keeps figures among the telling words."""
    skip = prefix.end() if (prefix := _PREFIX.match(text)) else 0
    folded, origins = _folded(text)
    forms: list[str] = []
    spans: list[tuple[int, int]] = []
    kept: list[int] = []
    for match in _TOKEN.finditer(folded):
        start, end = match.span()
        if origins is not None:
            start, end = origins[start], origins[end - 1] + 1
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
        if start < skip:
            continue
        token = match[0]
        if token not in _FUNCTION_WORDS and (
            numbers or not (token in _NUMBER_WORDS or (token[0].isdigit() and _FIGURE.fullmatch(token)))
        ):
            kept.append(len(forms))
        forms.append(normal_form(token))
        spans.append((start, end))
    return Words(original=text, forms=tuple(forms), spans=tuple(spans), kept=tuple(kept))


def form_of(term: str, *, numbers: bool = False) -> str:
    """A term as the automaton knows it."""
    return words_of(term, numbers=numbers).line
