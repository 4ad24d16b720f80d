"""What the judge's rules are called in Portuguese, for the page and the command line alike."""

import re
from collections.abc import Callable, Sequence
from typing import Final

_ZONES: Final = {
    "high": "Muitos termos (acima de 5%): aceita por regra.",
    "standard": "Quantidade média de termos (2% a 5%).",
    "conservative": "Poucos termos (até 2%): tratada com cautela.",
}


def _percent(share: str) -> str:
    return f"{float(share) * 100:.1f}".removesuffix(".0").replace(".", ",") + "%"


_STEPS: Final[tuple[tuple[re.Pattern[str], Callable[..., str]], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"term:(.+)", "Termo do setor encontrado: “{}”.".format),
        (r"own:(.+)", "Termo da busca encontrado: “{}”.".format),
        (r"density:([\d.]+)", lambda share: f"Densidade calculada: {_percent(share)}."),
        (r"zone:(\w+)", lambda zone: _ZONES.get(zone, f"Faixa {zone}.")),
        (r"rejection:(.+)", "Termo que exclui: “{}”.".format),
        (r"co-occurrence: (.+) \+ (.+)", "“{}” junto de “{}” indica outro assunto.".format),
        (r"aside:(.+)", "“{}” aparece só de passagem.".format),
        (r"hidden:(.+)", "“{}” faz parte de uma expressão de outro assunto.".format),
        (r"unnamed_before:(\d+)", "{} palavras antes do primeiro termo não são do setor.".format),
        (r"generic", lambda: "O objeto deixa em aberto o que se compra."),
        (r"no_match", lambda: "Nenhum termo procurado aparece."),
        (r"item:(.+)", "Um item cita “{}”.".format),
        (r"ncm:(\d+)", "Um item tem NCM do setor ({}).".format),
        (r"unit\+size", lambda: "Um item tem unidade e tamanho do setor."),
        (r"items:(\d+)/(\d+)", "Itens inspecionados: {} de {} são do que se busca.".format),
        (r"llm:\w+:(\d+)", "Avaliada por IA, com confiança de {}%.".format),
    )
)


def told(trace: Sequence[str]) -> tuple[str, ...]:
    """Every rule that fired as a sentence, in order; one without words here is shown as it is."""
    return tuple(_told(step) for step in trace)


def _told(step: str) -> str:
    for pattern, words in _STEPS:
        if found := pattern.fullmatch(step):
            return words(*found.groups())
    return step
