// From what is known to what is seen; each view can be drawn again at any time.

import { card } from "./card.js";
import { emptyTable, line } from "./table.js";
import { $, $$, el, icon, say } from "./dom.js";
import { ago, number, plural } from "./format.js";
import { isOver, rowsOf } from "./model.js";
import { csv, spreadsheet } from "./api.js";

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
  $("#by-rules").hidden = !(isOver(model) && model.byRules);
  say($("#by-rules"), `${plural(model.byRules, "caso duvidoso foi decidido", "casos duvidosos foram decididos")} apenas por regras.`);
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
    place.replaceChildren(
      el("p", {}, icon("alerta"), " ", model.excelNote ?? "Não foi possível gerar a planilha desta busca. Os resultados continuam nesta página."),
      el("a", { class: "secondary", href: spreadsheet(model.id), download: "" }, "Gerar a planilha agora"),
    );
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
  if (place.dataset.drawn === text) return;
  place.dataset.drawn = text;
  const [first, ...rest] = text.split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph));
  if (highlights?.length) rest.push(el("ul", { class: "highlights" }, highlights.map((each) => el("li", {}, each))));
  place.replaceChildren(first);
  if (model.summary.method === "llm") rest.push(el("p", { class: "hint" }, "Texto escrito por IA; os números foram calculados."));
  if (rest.length) place.append(el("details", {}, el("summary", {}, "Resumo completo"), el("div", { class: "whole" }, ...rest)));
}

const made = { cards: new Map(), table: new Map() };
let table = null;

/** Cards and lines are kept by bid: what someone has open or focused stays when more rows come in or one changes. */
export function drawResults(model, { layout, explain, mark, judge }) {
  const rows = rowsOf(model);
  $("#search").dataset.layout = layout;
  $("#cards").hidden = layout !== "cards";
  $("#table").hidden = layout !== "table" || rows.length === 0;
  if (layout === "cards") place($("#cards"), rows, made.cards, (row) => card(row, { explain, mark, judge }));
  else place(tableBody(), rows, made.table, (row) => line(row, { explain, mark }));
  const over = isOver(model);
  const some = model.matched ?? model.total;
  const shown = some > rows.length ? `${number(rows.length)} de ${number(some)}` : number(rows.length);
  say($("#results-title"), rows.length ? `Resultados (${shown})` : "Resultados");
  $("#results").hidden = model.status === "empty_failure";
  $("#results").ariaBusy = String(model.loading > 0);
  $(".results-tools").hidden = model.total < 2;
  $(".sort").hidden = !over;
  $("#filter").hidden = !(over && model.total > 1);
  say($("#filtered"), model.filters.length ? `${plural(some, "licitação passa", "licitações passam")} pelos filtros, de ${number(model.total)}.` : "");
  $("#filter [type=reset]").hidden = model.filters.length === 0;
  $("#more").hidden = !model.cursor;
  $("#csv").hidden = !over;
  $("#csv").href = csv(model.id, model);
  drawEmpty(model, rows.length);
}

function place(list, rows, known, make) {
  const act = list.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const bid = act && document.activeElement.closest("[data-bid]").dataset.bid;
  const wanted = rows.map((row) => {
    const key = JSON.stringify(row);
    const old = known.get(row.id);
    if (old?.key === key) return old.node;
    const node = make(row);
    if (old) asItWas(node, old.node);
    known.set(row.id, { key, node });
    return node;
  });
  wanted.forEach((node, at) => {
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
  });
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  const again = act && known.get(bid)?.node;
  if (again?.isConnected && !again.contains(document.activeElement)) $(`[data-act="${act}"]`, again)?.focus();
}

/** Open in a card that is made again what was open in it. */
function asItWas(node, old) {
  for (const [at, each] of $$("details", node).entries()) each.open = Boolean($$("details", old)[at]?.open);
  for (const pressed of $$("[data-act][data-pressed]", old)) $(`[data-act="${pressed.dataset.act}"]`, node)?.click();
}

function tableBody() {
  if (!table) {
    table = emptyTable();
    $("#table").append(table.node);
  }
  return table.body;
}

export function forgetRows() {
  for (const kind of Object.values(made)) kind.clear();
  $("#cards").replaceChildren();
  tableBody().replaceChildren();
  for (const panel of ["#spreadsheet", "#summary-text"]) delete $(panel).dataset.drawn;
}

/** Newer data are there: nothing on the page changes until someone wants it to. */
export function drawRefresh(model) {
  $("#refresh").hidden = !model.refreshable;
  $("#refreshing").hidden = !(isOver(model) && model.live);
}

function drawEmpty(model, count) {
  const place = $("#empty");
  place.hidden = count > 0 || model.status === "empty_failure";
  if (place.hidden) return;
  place.replaceChildren(...empty(model));
}

function empty(model) {
  if (!isOver(model)) return [el("p", {}, "As licitações aparecem aqui assim que cada estado é avaliado.")];
  if (model.filters.length && model.matched === 0) return [el("h3", {}, "Nenhum resultado passa por estes filtros"), el("p", {}, "Afrouxe ou limpe os filtros para ver os demais.")];
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
