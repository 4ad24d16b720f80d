"""Everything that can be wrong with a request, as RFC 9457 problem details in Portuguese with stable codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One thing that is wrong with one field."""

    pointer: str | None = Field(default=None, examples=["#/date_from"])
    """JSON pointer into the body."""
    parameter: str | None = Field(default=None, examples=[None])
    """Name of the query parameter, where it is not the body."""
    message: str = Field(examples=["a data inicial é posterior à data final"])


class ProblemDocument(BaseModel):
    """The body of every error (`application/problem+json`)."""

    type: str = Field(examples=["urn:farol:problem:request.invalid"])
    title: str = Field(examples=["Pedido inválido"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["date_from: a data inicial é posterior à data final"])
    code: str = Field(examples=["request.invalid"])
    """Stable: programs decide by it."""
    instance: str = Field(examples=["/v1/searches"])
    correlation_id: str = Field(examples=["6f1b3e0c9d2a4f7e8b5c1d0e9f8a7b6c"])
    errors: tuple[FieldError, ...] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code stands for."""

    status: int
    title: str
    detail: str


KINDS: Mapping[str, Kind] = {
    "json.invalid": Kind(400, "JSON inválido", "O corpo do pedido não é um JSON válido."),
    "key.missing": Kind(401, "Chave ausente", "Informe a chave em Authorization: Bearer ou entre pelo link de acesso."),
    "key.wrong": Kind(401, "Chave inválida", "A chave informada não é reconhecida."),
    "scope.missing": Kind(403, "Sem permissão", "A chave não tem permissão para este endereço."),
    "feedback.off": Kind(403, "Avaliações desligadas", "Neste sistema as avaliações estão desligadas."),
    "route.not_found": Kind(404, "Endereço inexistente", "Não há nada neste endereço."),
    "search.not_found": Kind(404, "Busca não encontrada", "Não há busca com este identificador."),
    "letter.not_found": Kind(404, "Mensagem não encontrada", "Não há mensagem abandonada com este número."),
    "entry.not_found": Kind(404, "Resposta não guardada", "Não há resposta guardada com esta chave."),
    "confirmation.missing": Kind(
        400, "Confirmação ausente", "Para apagar tudo, envie o cabeçalho X-Confirm: delete-all."
    ),
    "key.not_found": Kind(404, "Chave não encontrada", "Não há chave com este identificador."),
    "saved.not_found": Kind(404, "Busca salva não encontrada", "Não há busca salva com este identificador."),
    "mark.not_found": Kind(404, "Sem marcação", "Esta licitação não está marcada."),
    "bid.unknown": Kind(404, "Licitação não encontrada", "Não há licitação guardada com este identificador."),
    "bid.undated": Kind(404, "Sem datas", "Esta licitação não informa datas que caibam numa agenda."),
    "bid.not_found": Kind(404, "Licitação não encontrada", "Esta busca não avaliou licitação com este identificador."),
    "answer.none": Kind(404, "Sem resposta", "Esta busca terminou sem resposta da qual se possa fazer este documento."),
    "file.not_found": Kind(404, "Arquivo não encontrado", "O endereço do arquivo expirou ou está incompleto."),
    "method.not_allowed": Kind(405, "Método não permitido", "Este endereço não aceita este método."),
    "body.timeout": Kind(408, "Tempo esgotado", "O corpo do pedido demorou demais a chegar."),
    "idempotency.in_flight": Kind(
        409, "Pedido em andamento", "O primeiro pedido com esta chave de idempotência ainda está sendo atendido."
    ),
    "letter.in_flight": Kind(
        409, "Já em andamento", "Outra consulta do mesmo lugar está em andamento; tente de novo em instantes."
    ),
    "search.running": Kind(409, "Busca em andamento", "A busca ainda não terminou; tente de novo quando ela terminar."),
    "search.expired": Kind(410, "Busca expirada", "A resposta desta busca já não está guardada; faça a busca de novo."),
    "body.too_large": Kind(413, "Pedido grande demais", "O corpo do pedido passa do tamanho permitido."),
    "media_type.unsupported": Kind(415, "Formato não aceito", "Envie o corpo como application/json."),
    "request.invalid": Kind(422, "Pedido inválido", "Há campos a corrigir."),
    "idempotency.invalid": Kind(422, "Chave de idempotência inválida", "A chave de idempotência não pode ser lida."),
    "idempotency.mismatch": Kind(
        422, "Chave de idempotência já usada", "Esta chave de idempotência já foi usada com outro pedido."
    ),
    "cursor.invalid": Kind(422, "Cursor inválido", "O cursor não é desta busca ou está corrompido."),
    "requests.too_many": Kind(429, "Pedidos demais", "Há pedidos demais em pouco tempo; tente de novo em instantes."),
    "searches.too_many": Kind(
        429, "Buscas demais ao mesmo tempo", "Há buscas demais em andamento; espere uma terminar ou cancele uma."
    ),
    "feedback.too_many": Kind(429, "Avaliações demais", "Há avaliações demais desta chave na última hora."),
    "usage.day_spent": Kind(429, "Limite do dia atingido", "As buscas de hoje já foram usadas; volte amanhã."),
    "streams.too_many": Kind(429, "Muitas conexões", "Você tem conexões demais acompanhando buscas; feche alguma."),
    "saved.too_many": Kind(422, "Limite atingido", "Há buscas salvas demais; apague uma antes de salvar outra."),
    "internal": Kind(500, "Erro interno", "Algo falhou do nosso lado; o erro foi registrado."),
    "bus.unavailable": Kind(
        503, "Serviço temporariamente indisponível", "Não foi possível atender agora; tente de novo em instantes."
    ),
    "searches.backed_up": Kind(503, "Fila cheia", "Há buscas esperando para começar; tente de novo em instantes."),
    "searches.closed": Kind(503, "Novas buscas suspensas", "Estão suspensas por manutenção; volte em breve."),
    "storage.away": Kind(
        503,
        "Serviço temporariamente indisponível",
        "O que se guarda por usuário está fora do ar; tente de novo em instantes.",
    ),
    "streams.full": Kind(503, "Muitas conexões", "Há conexões demais acompanhando buscas; tente de novo em instantes."),
    "spreadsheet.failed": Kind(503, "Planilha indisponível", "Não foi possível gerar a planilha desta busca."),
}
"""Each code, its status and its words; a code never changes its meaning."""


class Problem(Exception):
    """A request that cannot be served, raised by routes and shown as problem details."""

    def __init__(
        self,
        code: str,
        *,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.kind = KINDS[code]
        self.errors = tuple(errors)
        self.detail = detail or self.kind.detail
        self.headers = dict(headers or {})

    def document(self, *, instance: str, correlation_id: str) -> dict[str, Any]:
        """The body that goes out."""
        return ProblemDocument(
            type=f"urn:farol:problem:{self.code}",
            title=self.kind.title,
            status=self.kind.status,
            detail=self.detail,
            code=self.code,
            instance=instance,
            correlation_id=correlation_id,
            errors=self.errors or None,
        ).model_dump(mode="json", exclude_none=True)


def invalid(errors: Sequence[FieldError]) -> Problem:
    """A request whose fields are wrong; the first of them is also told in the detail."""
    first = errors[0]
    name = first.parameter or (first.pointer or "#").removeprefix("#").removeprefix("/")
    detail = f"{name}: {first.message}" if name else first.message
    return Problem("request.invalid", detail=detail, errors=errors)
