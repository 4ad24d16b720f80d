// The results as a dense table: one line a licitação.

import { LEVELS, SHIELDS, marked, marks, noticeLink } from "./card.js";
import { el, icon } from "./dom.js";
import { day, dayAndTime, daysLeft, money } from "./format.js";

const HEADS = ["Licitação", ["Valor estimado", "number"], "Prazo", "Confiança", "Viabilidade", "Ações"];

/** The table and the body that its lines go into. */
export function emptyTable() {
  const body = el("tbody");
  const heads = HEADS.map((head) => (Array.isArray(head) ? el("th", { scope: "col", class: head[1] }, head[0]) : el("th", { scope: "col" }, head)));
  return { node: el("table", {}, el("caption", { class: "sr" }, "Licitações encontradas"), el("thead", {}, el("tr", {}, heads)), body), body };
}

export function line(row, { explain, mark: toMark }) {
  const shield = SHIELDS[row.confidence];
  const level = row.viability && LEVELS[row.viability.level];
  return el(
    "tr",
    { data: { bid: row.id, mark: row.triage ?? "" } },
    el("th", { scope: "row" }, el("p", { class: "objeto", title: row.objeto }, marked(row.objeto, row.evidence)), el("p", { class: "orgao" }, el("b", {}, row.municipio ? `${row.municipio}, ${row.uf}` : row.uf), ` · ${row.orgao}`)),
    el("td", { class: "number" }, row.valor_estimado === null ? "Não divulgado" : money(row.valor_estimado)),
    closing(row),
    el("td", {}, mark(shield.tone, shield.icon, row.confidence_score, shield.label)),
    el("td", {}, level ? mark(level.tone, "bussola", row.viability.score, level.label) : "—"),
    el(
      "td",
      { class: "acts" },
      el(
        "div",
        {},
        el("button", { type: "button", class: "link", data: { act: "explain" }, on: { click: () => explain(row) } }, "Explicação", el("span", { class: "sr" }, ` de ${row.objeto.slice(0, 80)}`)),
        noticeLink(row, "Edital"),
      ),
      marks(row, toMark),
    ),
  );
}

function closing(row) {
  if (!row.data_encerramento) return el("td", {}, "Não informado");
  const { words, urgency } = daysLeft(row.data_encerramento);
  return el("td", { class: `deadline-cell ${urgency}`, title: dayAndTime(row.data_encerramento) }, el("strong", {}, words), el("span", {}, day(row.data_encerramento)));
}

const mark = (tone, name, score, label) =>
  el("span", { class: "mark-cell", data: { tone }, title: label }, icon(name), String(score), el("span", { class: "sr" }, `, ${label.toLowerCase()}`));
