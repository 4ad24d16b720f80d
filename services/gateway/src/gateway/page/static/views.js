// From what is known to what is seen; each view can be drawn again at any time.

import { card } from "./card.js";
import { $, $$, el, icon, say } from "./dom.js";
import { ago, number, plural } from "./format.js";
import { isOver, rowsOf } from "./model.js";
import { spreadsheet } from "./api.js";

const UF_WORDS = {
  pending: "em andamento",
  complete: "completo",
  partial: "parcial",
  cached: "dados guardados",
  failed: "não foi possível consultar",
};
const STATES = { operational: "Operacional", partial: "Parcial", degraded: "Degradado", unavailable: "Indisponível" };
const ICONS = { operational: "certo", partial: "metade", degraded: "alerta", unavailable: "falha", gray: "relogio" };
const UNAVAILABLE = "Fontes temporariamente indisponíveis";
const NOTHING_READ = "Não conseguimos consultar as fontes oficiais agora. Tente de novo em alguns minutos.";

export function drawProgress(model) {
  const over = isOver(model);
  $("#search").dataset.phase = over ? "over" : "running";
  $("#search").dataset.ending = over ? model.status : "";
  $("#progress").hidden = over;
  $("#bar").value = model.progress;
  say($("#percent"), `${model.progress}%`);
  say($("#stage"), model.message);
  $("#connection").hidden = model.connected || over;
}

export function drawMap(model) {
  const counts = {};
  for (const tile of $$("#map .tile")) {
    const uf = model.ufs.get(tile.dataset.uf);
    tile.ariaHidden = uf ? null : "true";
    if (!uf) {
      tile.dataset.status = "none";
      continue;
    }
    counts[uf.status] = (counts[uf.status] ?? 0) + 1;
    tile.dataset.status = uf.status;
    const read = uf.records ? `, ${plural(uf.records, "licitação lida", "licitações lidas")}` : "";
    say($(".sr", tile), `${tile.dataset.nome}: ${UF_WORDS[uf.status]}${read}`);
    tile.title = $(".sr", tile).textContent;
  }
  for (const entry of $$("#key li")) {
    const count = counts[entry.dataset.status] ?? 0;
    entry.hidden = count === 0;
    say($("b", entry), String(count));
  }
}

export function drawCoverage(model) {
  const coverage = model.coverage;
  if (!coverage) {
    say($("#coverage-words"), "Ainda sem estados lidos");
    return;
  }
  const { coverage_pct: pct, ufs_processed: done, ufs_requested: asked } = coverage;
  say($("#coverage-words"), `${pct}% de cobertura — ${done} de ${plural(asked, "estado", "estados")}`);
  const tone = !isOver(model) ? "gray" : pct < 70 ? "red" : pct < 100 ? "amber" : "green";
  $("#coverage-words").dataset.tone = tone;
  $("#coverage-meter").dataset.tone = tone;
  $("#coverage-meter span").style.width = `${pct}%`;
  const at = coverage.oldest_fetched_at;
  say($("#freshness"), at ? ago(at) : "—");
  say($("#reliability"), isOver(model) && model.reliability !== null ? `${model.reliability} de 100` : "—");
}

/** How the search ended, in words and in one of the four operational states (amber at best when degraded). */
export function outcome(model) {
  const read = plural(model.counts?.fetched ?? 0, "licitação avaliada", "licitações avaliadas");
  const found = model.total
    ? `${plural(model.total, "licitação relevante", "licitações relevantes")}, de ${read}.`
    : `Nada relevante entre ${read}.`;
  const tone = model.operational ?? "unavailable";
  if (model.status === "empty_failure") {
    return {
      tone: "unavailable",
      title: UNAVAILABLE,
      text: model.note?.replace(UNAVAILABLE, "").replace(/^[.\s]+/, "") || NOTHING_READ,
      retry: true,
    };
  }
  if (model.status === "cancelled") return { tone: "gray", title: "Busca cancelada", text: `Até ali: ${found}` };
  if (model.status === "degraded") {
    const parts = [
      model.reason ?? "Parte do que foi pedido não pôde ser consultada.",
      model.failedSources ? "Parte das fontes oficiais não respondeu." : "",
      model.cacheAgeHours === null ? "" : `Há dados guardados ${age(model.cacheAgeHours)}.`,
      found,
    ];
    return {
      tone: tone === "operational" ? "partial" : tone,
      title: "Busca concluída com dados incompletos",
      text: parts.filter(Boolean).join(" "),
      retry: true,
    };
  }
  return { tone, title: "Busca concluída", text: found };
}

const age = (hours) => (hours < 1 ? `há ${Math.max(1, Math.round(hours * 60))} min` : `há ${Math.round(hours)} h`);

export function drawBanner(model, { again }) {
  const place = $("#banner");
  place.hidden = !isOver(model);
  if (place.hidden) return;
  const { tone, title, text, retry } = outcome(model);
  const retryButton = el("button", { type: "button", class: "secondary", on: { click: again } }, "Tentar de novo");
  place.replaceChildren(
    el(
      "div",
      { class: "banner", data: { tone } },
      icon(ICONS[tone]),
      el("div", {}, el("h2", { id: "outcome", tabindex: "-1" }, title), el("p", {}, text), retry && model.query ? retryButton : null),
      STATES[tone] ? el("span", { class: "state" }, STATES[tone]) : null,
    ),
  );
}

export function drawReport(model) {
  const some = isOver(model) && model.excel !== "none";
  $("#report").hidden = !some;
  if (!some) return;
  const place = $("#spreadsheet");
  if (place.dataset.drawn === model.excel) return;
  place.dataset.drawn = model.excel;
  if (model.excel === "ready") {
    place.replaceChildren(
      el("a", { class: "primary", href: spreadsheet(model.id), download: "" }, icon("baixar"), "Baixar planilha"),
      el("p", {}, "Resultados, cobertura e motivos, em formato .xlsx."),
    );
  } else if (model.excel === "failed") {
    place.replaceChildren(el("p", {}, icon("alerta"), " ", model.excelNote ?? "Não foi possível gerar a planilha desta busca. Os resultados continuam nesta página."));
  } else {
    place.replaceChildren(el("p", { class: "busy" }, "Preparando a planilha…"));
  }
}

export function drawSummary(model) {
  const place = $("#summary-text");
  const shown = isOver(model) && (model.summary !== null || model.llm === "processing");
  $("#summary").hidden = !shown;
  if (!shown) return;
  if (!model.summary) {
    place.replaceChildren(el("p", { class: "busy" }, "Escrevendo o resumo…"));
    return;
  }
  const { text, highlights } = model.summary;
  const paragraphs = text.split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph));
  const points = highlights?.length ? el("ul", { class: "highlights" }, highlights.map((each) => el("li", {}, each))) : null;
  place.replaceChildren(...paragraphs, ...(points ? [points] : []));
}

const cards = new Map();

/** Cards are kept by bid: what someone has open or focused stays when more rows come in. */
export function drawResults(model) {
  const list = $("#cards");
  const rows = rowsOf(model);
  const wanted = rows.map((row) => {
    const known = cards.get(row.id);
    const key = JSON.stringify(row);
    if (known?.key === key) return known.node;
    const node = card(row);
    cards.set(row.id, { key, node });
    return node;
  });
  wanted.forEach((node, place) => {
    if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null);
  });
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  const over = isOver(model);
  const shown = model.total > rows.length ? `${number(rows.length)} de ${number(model.total)}` : number(rows.length);
  say($("#results-title"), rows.length ? `Resultados (${shown})` : "Resultados");
  $("#results").hidden = model.status === "empty_failure";
  $(".sort").hidden = !(over && model.total > 1);
  $("#more").hidden = !model.cursor;
  drawEmpty(model, rows.length);
}

export function forgetCards() {
  cards.clear();
  $("#cards").replaceChildren();
  delete $("#spreadsheet").dataset.drawn;
}

function drawEmpty(model, count) {
  const place = $("#empty");
  place.hidden = count > 0 || model.status === "empty_failure";
  if (place.hidden) return;
  place.replaceChildren(...empty(model));
}

function empty(model) {
  if (!isOver(model)) return [el("p", {}, "As licitações aparecem aqui assim que cada estado é avaliado.")];
  if (model.total > 0) return [el("p", { class: "busy" }, "Carregando os resultados…")];
  const read = plural(model.counts?.fetched ?? 0, "licitação foi lida", "licitações foram lidas");
  if (model.status === "completed" && model.coverage?.coverage_pct === 100) {
    return [
      el("h3", {}, "Nenhuma licitação corresponde a esta busca"),
      el("p", {}, `Tudo o que foi pedido foi olhado: ${read}, e nada se encaixa. Tente um período maior, mais estados ou outros termos.`),
    ];
  }
  return [
    el("h3", {}, "Nada corresponde no que pôde ser consultado"),
    el("p", {}, `${read[0].toUpperCase()}${read.slice(1)}, mas parte do que foi pedido ficou de fora. Não conclua que não há licitações: tente de novo mais tarde.`),
  ];
}
