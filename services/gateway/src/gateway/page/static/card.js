// One licitação as a card. Everything in it is text; a link that is not http(s) is not a link.

import { el, icon } from "./dom.js";
import { day, dayAndTime, deadline, money } from "./format.js";
import { tip } from "./tip.js";

export const SHIELDS = {
  high: { tone: "green", icon: "escudo", label: "Confiança alta" },
  medium: { tone: "amber", icon: "escudo-meio", label: "Confiança média" },
  low: { tone: "gray", icon: "escudo-vazio", label: "Confiança baixa" },
};
export const JUDGED = {
  keyword: "Alta densidade de termos relevantes",
  item_inspection: "Itens da licitação conferidos um a um",
  llm_standard: "Avaliado por IA",
  llm_conservative: "Avaliado por IA, com poucos termos no texto",
  llm_zero_match: "Avaliado por IA, sem os termos no texto",
  rules_without_llm: "Decidido por regras, sem avaliação por IA",
};
const WITHOUT_DENSITY = { keyword: { medium: "Densidade média de termos relevantes", low: "Poucos termos relevantes no texto" } };
export const LEVELS = {
  alta: { tone: "green", label: "Viabilidade alta" },
  media: { tone: "amber", label: "Viabilidade média" },
  baixa: { tone: "gray", label: "Viabilidade baixa" },
};
const FACTORS = { modalidade: "Modalidade", timeline: "Prazo", value: "Valor", geography: "Localização" };
export const SITUATIONS = { revogada: "Revogada", anulada: "Anulada", suspensa: "Suspensa", encerrada: "Encerrada" };
const LONG = 330;

/** The text with every occurrence of the evidence marked; evidence is literal, so no pattern is made of it. */
export function marked(text, evidence) {
  const hit = new Uint8Array(text.length);
  for (const quote of evidence) {
    if (!quote) continue;
    for (let at = text.indexOf(quote); at >= 0; at = text.indexOf(quote, at + quote.length)) hit.fill(1, at, at + quote.length);
  }
  const parts = [];
  for (let from = 0; from < text.length; ) {
    let to = from;
    while (to < text.length && hit[to] === hit[from]) to += 1;
    const piece = text.slice(from, to);
    parts.push(hit[from] ? el("mark", {}, piece) : piece);
    from = to;
  }
  return parts;
}

/** Where a licitação has a page of its own. */
export const bidAddress = (id) => `/licitacoes/${id.split("/").map(encodeURIComponent).join("/")}`;

/** The address if a browser may follow it, else null. */
export function webAddress(link) {
  if (!link || !URL.canParse(link)) return null;
  const url = new URL(link);
  return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
}

/** Marks with what their button says before and after. */
export const MARKS = [["interessa", "Interessa", "Interessa"], ["descartada", "Descartar", "Descartada"], ["vista", "Já vista", "Vista"]];

/** What someone thinks of a licitação, kept over every later search. A mark that is pressed again is taken off. */
export function marks(row, mark, offered = MARKS.slice(0, 2)) {
  return el(
    "div",
    { class: "marks", role: "group", "aria-label": "Triagem" },
    offered.map(([name, todo, done]) => {
      const pressed = row.triage === name;
      return el(
        "button",
        { type: "button", class: "triage", "aria-pressed": String(pressed), data: { act: name }, on: { click: () => mark(row, pressed ? null : name) } },
        pressed ? done : todo,
      );
    }),
  );
}

export function card(row, { explain, mark, judge }) {
  const title = `bid-${row.id}`;
  return el(
    "li",
    {},
    el(
      "article",
      { class: "card", "aria-labelledby": title, data: { bid: row.id, mark: row.triage ?? "" } },
      header(row),
      el("p", { class: "orgao" }, row.orgao),
      objeto(row, title),
      badges(row),
      why(row, explain),
      judge(row),
      footer(row, mark),
    ),
  );
}

function header(row) {
  const value =
    row.valor_estimado === null
      ? el("p", { class: "money unknown" }, "Valor não divulgado")
      : el("p", { class: "money" }, el("span", { class: "sr" }, "Valor estimado: "), money(row.valor_estimado));
  return el("header", {}, el("p", { class: "place" }, row.municipio ? `${row.municipio}, ${row.uf}` : row.uf), value);
}

function objeto(row, id) {
  const heading = el("h3", { id, class: row.objeto.length > LONG ? "cut" : null }, marked(row.objeto, row.evidence));
  if (row.objeto.length <= LONG) return heading;
  const whole = el(
    "button",
    { type: "button", class: "link", "aria-expanded": "false", data: { act: "whole" }, on: { click: () => toggle(heading, whole) } },
    "Ler o texto inteiro",
  );
  return [heading, whole];
}

function toggle(heading, button) {
  const cut = heading.classList.toggle("cut");
  button.setAttribute("aria-expanded", String(!cut));
  button.toggleAttribute("data-pressed", !cut);
  button.textContent = cut ? "Ler o texto inteiro" : "Mostrar menos";
}

function badges(row) {
  const shield = SHIELDS[row.confidence];
  const judged = WITHOUT_DENSITY[row.relevance_source]?.[row.confidence] ?? JUDGED[row.relevance_source];
  const situation = SITUATIONS[row.situacao];
  return el(
    "div",
    { class: "badges" },
    tip({ act: "confidence", tone: shield.tone, label: [icon(shield.icon), shield.label], content: [judged, "."] }),
    row.viability ? viability(row.viability) : null,
    el("span", { class: "badge" }, row.modalidade),
    row.new_since_last === true ? el("span", { class: "badge", data: { tone: "blue" } }, "Nova para você") : null,
    situation ? el("span", { class: "badge", data: { tone: "red" } }, situation) : null,
  );
}

/** The four factors with their weights, scores and sentences. */
export function factorList(factors) {
  const rows = factors.map((factor) => {
    const bar = el("span");
    bar.style.width = `${factor.score}%`;
    return el(
      "li",
      {},
      el("div", { class: "row" }, el("span", {}, `${FACTORS[factor.name] ?? factor.name} (${factor.weight}%)`), el("span", {}, String(factor.score))),
      el("div", { class: "bar", "aria-hidden": "true" }, bar),
      el("p", {}, factor.reason),
    );
  });
  return el("ul", { class: "factors" }, rows);
}

function viability({ score, level, factors }) {
  const { tone, label } = LEVELS[level];
  return tip({
    act: "viability",
    tone,
    label: [icon("bussola"), label],
    content: [el("strong", {}, `Viabilidade: ${score} de 100`), factorList(factors)],
  });
}

function why(row, explain) {
  const elsewhere = row.evidence.filter((quote) => quote && !row.objeto.includes(quote));
  return el(
    "details",
    { class: "why" },
    el("summary", { data: { act: "why" } }, "Por que está aqui"),
    el("ul", {}, row.reasons.map((reason) => el("li", {}, reason))),
    elsewhere.map((quote) => el("blockquote", {}, `“${quote}”`)),
    el("button", { type: "button", class: "link", data: { act: "explain" }, on: { click: () => explain(row) } }, "Explicação completa", el("span", { class: "sr" }, ` de ${row.objeto.slice(0, 80)}`)),
  );
}

function footer(row, mark) {
  return el(
    "footer",
    {},
    closing(row),
    el("a", { class: "notice-link", href: bidAddress(row.id), data: { act: "bid" } }, "Detalhes", el("span", { class: "sr" }, ` de ${row.objeto.slice(0, 80)}`)),
    el("span", {}, `Publicada em ${day(row.data_publicacao)}`),
    marks(row, mark),
    noticeLink(row, "Ver o edital"),
  );
}

/** The link to the official notice, where it has an address that can be followed. */
export function noticeLink(row, words) {
  const address = webAddress(row.link);
  if (!address) return null;
  return el("a", { class: "notice-link", data: { act: "notice" }, href: address, target: "_blank", rel: "noopener noreferrer" }, words, icon("fora"), el("span", { class: "sr" }, " (abre em outra aba)"));
}

export function closing(row) {
  if (!row.data_encerramento) return el("p", { class: "deadline over" }, icon("relogio"), "Prazo não informado");
  const { words, urgency } = deadline(row.data_encerramento);
  return el("p", { class: `deadline ${urgency}`, title: dayAndTime(row.data_encerramento) }, icon("relogio"), words);
}
