"""How winnable a bid looks (D04): four tables, weights 30 + 25 + 25 + 20, unknown is a neutral 50 that says so."""

from datetime import datetime, timedelta
from decimal import Decimal

from classifier.domain.catalogue import ValueRange
from classifier.domain.feriados import working_days
from classifier.domain.filters import reais
from contracts.places import UF
from contracts.values import Licitacao, Modalidade
from contracts.verdict import Viability, ViabilityFactor, ViabilityLevel
from contracts.when import day_of

WEIGHTS = {"modalidade": 30, "timeline": 25, "value": 25, "geography": 20}
NEUTRAL = 50
_ALTA_ABOVE = 70
_MEDIA_FROM = 40

MODALIDADE_SCORES: dict[Modalidade, int] = {
    Modalidade.PREGAO_ELETRONICO: 100,
    Modalidade.CONCORRENCIA_ELETRONICA: 85,
    Modalidade.PREGAO_PRESENCIAL: 80,
    Modalidade.CREDENCIAMENTO: 75,
    Modalidade.CONCORRENCIA_PRESENCIAL: 70,
    Modalidade.PRE_QUALIFICACAO: 65,
    Modalidade.CHAMADA_PUBLICA: 60,
    Modalidade.CONCURSO: 50,
    Modalidade.OUTRA: NEUTRAL,
    Modalidade.DIALOGO_COMPETITIVO: 45,
    Modalidade.DISPENSA: 40,
    Modalidade.LEILAO_ELETRONICO: 35,
    Modalidade.MANIFESTACAO_DE_INTERESSE: 30,
    Modalidade.LEILAO_PRESENCIAL: 30,
    Modalidade.INAPLICABILIDADE: 20,
    Modalidade.INEXIGIBILIDADE: 10,
}
"""How open to a new supplier each modalidade is."""

_TIMELINE: tuple[tuple[timedelta, int], ...] = (
    (timedelta(days=14), 100), (timedelta(days=7), 80), (timedelta(days=3), 60), (timedelta(days=1), 45),
)  # fmt: skip
"""More than so long until proposals close: so many points."""
_LESS_THAN_A_DAY = 30
"""Also where only weekends and holidays are left: nobody answers a question on them."""
_PAST = 10

LEGAL_WORKING_DAYS: dict[Modalidade, int] = {
    Modalidade.PREGAO_ELETRONICO: 8,
    Modalidade.PREGAO_PRESENCIAL: 8,
    Modalidade.CONCORRENCIA_ELETRONICA: 10,
    Modalidade.CONCORRENCIA_PRESENCIAL: 10,
    Modalidade.DIALOGO_COMPETITIVO: 25,
    Modalidade.CONCURSO: 35,
    Modalidade.LEILAO_ELETRONICO: 15,
    Modalidade.LEILAO_PRESENCIAL: 15,
    Modalidade.DISPENSA: 3,
}
"""Lei 14.133/2021, art. 32, 55 and 75 par. 3: the least working days between notice and proposals. Of several for one
modalidade the shortest: an edital does not say in its fields which applies. The others have none."""

_VALUE_BELOW: tuple[tuple[Decimal, int], ...] = ((Decimal("0.5"), 80), (Decimal("0.2"), 50), (Decimal(0), 20))
"""Value / lower end, at least so much."""
_VALUE_ABOVE: tuple[tuple[Decimal, int], ...] = ((Decimal(2), 70), (Decimal(5), 40))
"""Value / upper end, at most so much; beyond: far outside."""
_FAR_OUTSIDE = 20

SAME_UF = 100
SAME_REGION = 100
NEIGHBOUR = 75
FAR = 50

_BORDERS = {
    "AC": "AM RO", "AL": "BA PE SE", "AP": "PA", "AM": "AC MT PA RO RR", "BA": "AL ES GO MG PE PI SE TO",
    "CE": "PB PE PI RN", "DF": "GO MG", "ES": "BA MG RJ", "GO": "BA DF MG MS MT TO", "MA": "PA PI TO",
    "MT": "AM GO MS PA RO TO", "MS": "GO MG MT PR SP", "MG": "BA DF ES GO MS RJ SP", "PA": "AM AP MA MT RR TO",
    "PB": "CE PE RN", "PR": "MS SC SP", "PE": "AL BA CE PB PI", "PI": "BA CE MA PE TO", "RJ": "ES MG SP",
    "RN": "CE PB", "RS": "SC", "RO": "AC AM MT", "RR": "AM PA", "SC": "PR RS", "SP": "MG MS PR RJ", "SE": "AL BA",
    "TO": "BA GO MA MT PA PI",
}  # fmt: skip
BORDERS: dict[UF, frozenset[UF]] = {UF(uf): frozenset(map(UF, others.split())) for uf, others in _BORDERS.items()}
"""Which UFs touch."""


def viability_of(bid: Licitacao, *, value_range: ValueRange | None, home_uf: UF | None, now: datetime) -> Viability:
    """The four factors and their weighted sum, rounded half up."""
    factors = (
        modalidade_factor(bid.modalidade),
        timeline_factor(bid.data_encerramento, now=now, published=bid.data_publicacao, modalidade=bid.modalidade),
        value_factor(bid.valor_estimado, value_range=value_range),
        geography_factor(bid.uf, home_uf=home_uf),
    )
    score = (sum(factor.score * factor.weight for factor in factors) + 50) // 100
    return Viability(score=score, level=level_of(score), factors=factors)


def level_of(score: int) -> ViabilityLevel:
    """Alta above 70, Média from 40, Baixa below."""
    if score > _ALTA_ABOVE:
        return ViabilityLevel.ALTA
    return ViabilityLevel.MEDIA if score >= _MEDIA_FROM else ViabilityLevel.BAIXA


def modalidade_factor(modalidade: Modalidade) -> ViabilityFactor:
    """How open the modalidade is."""
    score = MODALIDADE_SCORES[modalidade]
    if modalidade is Modalidade.OUTRA:
        return _factor("modalidade", score, "Modalidade não identificada: fator neutro.")
    return _factor("modalidade", score, f"{modalidade.nome}: {_openness(score)} a novos fornecedores.")


def _openness(score: int) -> str:
    if score > _ALTA_ABOVE:
        return "muito aberta"
    return "razoavelmente aberta" if score >= _MEDIA_FROM else "pouco aberta"


def timeline_factor(
    closes: datetime | None, *, now: datetime, published: datetime | None = None, modalidade: Modalidade | None = None
) -> ViabilityFactor:
    """How long there is to prepare a proposal: calendar time decides, unless no working day is left in it.

    A notice shorter than the law's minimum is told, since such a bid is often cancelled or opened again.
    """
    if closes is None:
        return _factor("timeline", NEUTRAL, "Data de encerramento não informada: fator neutro.")
    left = closes - now
    if left < timedelta(0):
        return _factor("timeline", _PAST, "O prazo para propostas já terminou.")
    short = _shorter_than_the_law(closes, published=published, modalidade=modalidade)
    score = next((points for longer_than, points in _TIMELINE if left > longer_than), _LESS_THAN_A_DAY)
    if score == _LESS_THAN_A_DAY:
        return _factor("timeline", score, f"Falta menos de um dia para o fim das propostas.{short}")
    days = "Falta 1 dia" if left.days == 1 else f"Faltam {left.days} dias"
    working = working_days(day_of(now), day_of(closes))
    if working == 0:
        return _factor("timeline", _LESS_THAN_A_DAY, f"{days} para o fim das propostas, nenhum deles útil.{short}")
    shown = f"{days}, {working} út{'eis' if working > 1 else 'il'},"
    return _factor("timeline", score, f"{shown} para o fim das propostas.{short}")


def _shorter_than_the_law(closes: datetime, *, published: datetime | None, modalidade: Modalidade | None) -> str:
    least = LEGAL_WORKING_DAYS.get(modalidade) if modalidade is not None else None
    if least is None or published is None or working_days(day_of(published), day_of(closes)) >= least:
        return ""
    return f" O prazo desde a publicação é menor que o mínimo legal de {least} dias úteis (Lei 14.133)."


def value_factor(value: Decimal | None, *, value_range: ValueRange | None) -> ViabilityFactor:
    """How the value fits what is usual in the sector."""
    if value is None:
        return _factor("value", NEUTRAL, "Valor estimado não informado ou sigiloso: fator neutro.")
    if value_range is None:
        return _factor("value", NEUTRAL, "Busca por termos próprios, sem faixa de valor do setor: fator neutro.")
    span = f"{reais(value_range.min)} a {reais(value_range.max)}"
    if value < value_range.min:
        score = next(points for at_least, points in _VALUE_BELOW if value / value_range.min >= at_least)
        return _factor("value", score, f"{reais(value)} está abaixo da faixa usual do setor ({span}).")
    if value > value_range.max:
        score = next((points for at_most, points in _VALUE_ABOVE if value / value_range.max <= at_most), _FAR_OUTSIDE)
        return _factor("value", score, f"{reais(value)} está acima da faixa usual do setor ({span}).")
    return _factor("value", 100, f"{reais(value)} está na faixa usual do setor ({span}).")


def geography_factor(uf: UF, *, home_uf: UF | None) -> ViabilityFactor:
    """How far the delivery is from home."""
    if home_uf is None or UF.XX in {home_uf, uf}:
        reason = "UF da empresa não informada: fator neutro." if home_uf is None else "UF não informada: fator neutro."
        return _factor("geography", NEUTRAL, reason)
    score = geography_score(uf, home_uf)
    if uf is home_uf:
        return _factor("geography", score, f"No seu estado ({uf}).")
    if uf.regiao is home_uf.regiao:
        return _factor("geography", score, f"Na sua região ({uf.regiao}).")
    if score == NEIGHBOUR:
        return _factor("geography", score, f"{uf.nome} faz divisa com o seu estado.")
    return _factor("geography", score, f"{uf.nome} fica longe do seu estado ({home_uf}).")


def geography_score(uf: UF, home_uf: UF) -> int:
    """The cell of the 27 x 27 table."""
    if uf is home_uf:
        return SAME_UF
    if uf.regiao is home_uf.regiao:
        return SAME_REGION
    return NEIGHBOUR if uf in BORDERS[home_uf] else FAR


def _factor(name: str, score: int, reason: str) -> ViabilityFactor:
    return ViabilityFactor(name=name, weight=WEIGHTS[name], score=score, reason=reason)
