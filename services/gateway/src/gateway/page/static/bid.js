// One licitação by itself: its record at once, then what is published beside it, which its source may take seconds for.

import * as api from "./api.js";
import { MARKS, SITUATIONS, closing, marks, noticeLink, webAddress } from "./card.js";
import { $, announce, el, icon, say } from "./dom.js";
import { ago, day, dayAndTime, money, number } from "./format.js";

const id = decodeURIComponent(location.pathname.slice("/licitacoes/".length));
const FIELDS = {
  valor_estimado: ["Valor estimado", money],
  data_publicacao: ["Publicação", dayAndTime],
  data_abertura: ["Abertura", dayAndTime],
  data_encerramento: ["Fim das propostas", dayAndTime],
  situacao: ["Situação", (situacao) => SITUATIONS[situacao] ?? "Divulgada"],
  objeto: ["Objeto", (text) => text],
};
const NOT_PUBLIC = "documents.not_public";

let marked = { triage: null, note: "" };

function draw({ bid, seen_at: seen, changes, triage, links }) {
  document.title = `${bid.objeto.slice(0, 70)} — Farol`;
  say($("#bid-place"), bid.municipio ? `${bid.municipio}, ${bid.uf}` : bid.uf);
  say($("#bid-title"), bid.objeto);
  say($("#bid-orgao"), [bid.orgao, bid.unidade].filter(Boolean).join(" · "));
  const situation = SITUATIONS[bid.situacao];
  $("#bid-badges").replaceChildren(
    el("span", { class: "badge" }, bid.modalidade_nome),
    ...(bid.srp ? [el("span", { class: "badge" }, "Registro de preços")] : []),
    ...(situation ? [el("span", { class: "badge", data: { tone: "red" } }, situation)] : []),
  );
  const parts = [
    noticeLink(bid, "Ver o edital"),
    links.calendar ? el("a", { class: "notice-link", href: api.calendar(id), download: "" }, icon("relogio"), "Pôr as datas na agenda") : null,
  ];
  $("#bid-doings").replaceChildren(...parts.filter(Boolean));
  $("#record").replaceChildren(...record(bid, seen));
  $("#changes").replaceChildren(...history(changes));
  marked = { triage: triage?.mark ?? null, note: triage?.note ?? "" };
  $("#note").value = marked.note;
  drawMarks();
  $("#bid-parts").hidden = false;
}

function record(bid, seen) {
  const facts = [
    ["Valor estimado", bid.valor_estimado === null ? "Não divulgado" : money(bid.valor_estimado)],
    ["Propostas", closing(bid)],
    ["Abertura", bid.data_abertura && dayAndTime(bid.data_abertura)],
    ["Publicada em", day(bid.data_publicacao)],
    ["Número", bid.numero],
    ["Processo", bid.processo],
    ["CNPJ do órgão", bid.cnpj && writtenCnpj(bid.cnpj)],
    ["Informações complementares", bid.informacao_complementar],
    ["Lida", ago(seen)],
  ];
  return facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

const writtenCnpj = (cnpj) => cnpj.replace(/^(..)(...)(...)(....)(..)$/, "$1.$2.$3/$4-$5");

function history(changes) {
  if (!changes.length) return [el("p", {}, "Nada mudou desde que foi lida pela primeira vez.")];
  const entries = changes.map(({ field, old, new: now, seen_at: seen }) => {
    const [name, written] = FIELDS[field] ?? [field, (text) => text];
    const said = (value) => (value === null ? "não informado" : written(value));
    return el("li", {}, el("strong", {}, `${name}: `), el("del", {}, said(old)), el("span", { class: "sr" }, " passou a "), " → ", el("ins", {}, said(now)), el("span", { class: "hint" }, `Vista em ${dayAndTime(seen)}`));
  });
  return [el("ol", { class: "listed" }, entries)];
}

function drawDetails(details) {
  $("#items").replaceChildren(...items(details));
  $("#documents").replaceChildren(...documents(details));
}

function items({ items, items_cut: cut }) {
  if (items === null) return [el("p", {}, "Os itens não puderam ser lidos agora. "), again()];
  if (!items.length) return [el("p", {}, "Nenhum item publicado.")];
  const heads = ["Nº", "Descrição", "Quantidade", "Unidade", "Valor unitário"];
  const rows = items.map((item) =>
    el(
      "tr",
      {},
      el("td", {}, String(item.numero)),
      el("th", { scope: "row" }, item.descricao),
      el("td", { class: "number" }, item.quantidade === null ? "—" : number(item.quantidade)),
      el("td", {}, item.unidade ?? "—"),
      el("td", { class: "number" }, item.valor_unitario === null ? "Não divulgado" : money(item.valor_unitario)),
    ),
  );
  const head = el("thead", {}, el("tr", {}, heads.map((name, at) => el("th", { scope: "col", class: at % 2 === 0 && at ? "number" : null }, name))));
  const table = el("table", {}, el("caption", { class: "sr" }, "Itens da licitação"), head, el("tbody", {}, rows));
  return [el("div", { class: "table", role: "region", "aria-label": "Tabela de itens", tabindex: "0" }, table), cut ? el("p", { class: "hint" }, "Há mais itens no edital.") : ""];
}

function documents({ documents, documents_cut: cut, why }) {
  if (documents === null) {
    if (why.includes(NOT_PUBLIC)) return [el("p", {}, "Os documentos ficam na página do edital.")];
    return [el("p", {}, "Os documentos não puderam ser lidos agora. "), again()];
  }
  if (!documents.length) return [el("p", {}, "Nenhum documento publicado.")];
  const entries = documents.map((each) => {
    const address = webAddress(each.link);
    const told = [each.tipo, each.publicado_em && `publicado em ${day(each.publicado_em)}`].filter(Boolean).join(" · ");
    return el("li", {}, address ? el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, each.titulo, el("span", { class: "sr" }, " (abre em outra aba)")) : each.titulo, el("span", { class: "hint" }, told));
  });
  return [el("ul", { class: "listed" }, entries), cut ? el("p", { class: "hint" }, "Há mais documentos no edital.") : ""];
}

const again = () => el("button", { type: "button", class: "link", on: { click: readDetails } }, "Tentar de novo");

function drawMarks() {
  $("#triage").replaceChildren(marks({ triage: marked.triage }, (_, name) => keep({ ...marked, triage: name }), MARKS));
}

/** Keep a mark with its note; a note without a mark makes it a `vista` one. */
async function keep({ triage, note }) {
  const focused = document.activeElement?.dataset?.act;
  try {
    await (triage === null ? api.unmark(id) : api.mark(id, triage, note));
    marked = { triage, note: triage === null ? "" : note };
    if (triage === null) $("#note").value = "";
    announce(triage === null ? "Marcação retirada." : "Marcação guardada.", { now: true });
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    announce(refused.message, { now: true });
    say($("#note-said"), refused.message);
    return false;
  }
  drawMarks();
  if (focused) $(`#triage [data-act="${focused}"]`)?.focus();
  return true;
}

async function readDetails() {
  for (const [place, words] of [["#items", "Lendo os itens…"], ["#documents", "Lendo os documentos…"]]) $(place).replaceChildren(el("p", { class: "busy" }, words));
  $("#bid").ariaBusy = "true";
  const none = { items: null, documents: null, why: [] };
  try {
    drawDetails((await api.bid(id, { details: true })).details ?? none);
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    drawDetails(none);
  }
  $("#bid").ariaBusy = "false";
}

async function open() {
  try {
    draw(await api.bid(id, { details: false }));
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    say($("#bid-title"), [404, 422].includes(refused.status) ? "Licitação não encontrada" : "Não foi possível abrir a licitação");
    say($("#bid-orgao"), refused.message);
    $("#bid").ariaBusy = "false";
    return;
  }
  await readDetails();
}

$("#note-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await keep({ triage: marked.triage ?? "vista", note: $("#note").value.trim() })) say($("#note-said"), "Anotação guardada.");
});
open();
