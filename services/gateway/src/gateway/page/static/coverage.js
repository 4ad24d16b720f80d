// How much of the country has been read, UF by UF, and where another number was published than is held.

import * as api from "./api.js";
import { $, $$, el, say } from "./dom.js";
import { ago, isoDay, number, plural } from "./format.js";

const ISO = new Intl.DateTimeFormat("en-CA", { timeZone: "America/Sao_Paulo", year: "numeric", month: "2-digit", day: "2-digit" });
const WORDS = { complete: "tudo lido", partial: "lido em parte", failed: "a leitura falhou", none: "ainda não lido" };
const DAY_MS = 86400000;

/** One line a UF, over every source, modalidade and day of the window; a list of the whole country counts for each. */
function byUf(runs) {
  const places = new Map();
  for (const run of runs) {
    const days = Math.round((Date.parse(run.day_to) - Date.parse(run.day_from)) / DAY_MS) + 1;
    for (const uf of run.uf ? [run.uf] : $$("#map .tile").map((tile) => tile.dataset.uf)) {
      const place = places.get(uf) ?? { asked: 0, complete: 0, touched: 0, failed: 0, records: 0, oldest: null };
      place.asked += days * (run.complete + run.partial + run.failed + run.never);
      place.complete += days * run.complete;
      place.touched += days * (run.complete + run.partial);
      place.failed += days * run.failed;
      if (run.uf) place.records += run.records;
      if (run.oldest_fetched_at && (!place.oldest || run.oldest_fetched_at < place.oldest)) place.oldest = run.oldest_fetched_at;
      places.set(uf, place);
    }
  }
  return places;
}

function statusOf(place) {
  if (place.asked && place.complete === place.asked) return "complete";
  if (place.touched) return "partial";
  return place.failed ? "failed" : "none";
}

const share = (place) => (place.asked ? Math.floor((100 * place.complete) / place.asked) : 0);

function draw({ coverage_pct: pct, runs, gaps, date_from: from, date_to: to }) {
  const places = byUf(runs);
  say($("#coverage-words"), `${pct}% de cobertura — ${isoDay(from)} a ${isoDay(to)}`);
  const tone = pct < 70 ? "red" : pct < 100 ? "amber" : "green";
  for (const part of ["#coverage-words", "#coverage-meter"]) $(part).dataset.tone = tone;
  $("#coverage-meter span").style.width = `${pct}%`;
  const nothing = { asked: 0, complete: 0, touched: 0, failed: 0, records: 0, oldest: null };
  const rows = $$("#map .tile").map((tile) => {
    const place = places.get(tile.dataset.uf) ?? nothing;
    tile.dataset.status = statusOf(place);
    say($(".sr", tile), `${tile.dataset.nome}: ${share(place)}%, ${WORDS[statusOf(place)]}`);
    tile.title = $(".sr", tile).textContent;
    return { uf: tile.dataset.uf, nome: tile.dataset.nome, ...place };
  });
  rows.sort((a, b) => share(a) - share(b) || a.nome.localeCompare(b.nome, "pt-BR"));
  $("#states").replaceChildren(
    ...rows.map((place) =>
      el("tr", {}, el("th", { scope: "row" }, place.nome), el("td", { class: "number" }, `${share(place)}%`), el("td", { class: "number" }, number(place.records)), el("td", {}, place.oldest ? ago(place.oldest) : "—")),
    ),
  );
  drawGaps(gaps);
}

function drawGaps(gaps) {
  if (!gaps.length) {
    $("#gaps").replaceChildren(el("p", {}, "Nenhuma: o que foi lido por inteiro confere com os totais publicados."));
    return;
  }
  const entries = gaps.map((gap) =>
    el("li", {}, el("strong", {}, `${gap.uf ?? "País"}, ${isoDay(gap.day_from)}${gap.day_to === gap.day_from ? "" : ` a ${isoDay(gap.day_to)}`}: `), `${plural(gap.held, "licitação lida", "licitações lidas")}, ${number(gap.published)} nos totais publicados.`, el("span", { class: "hint" }, `Conferido ${ago(gap.seen_at)}`)),
  );
  $("#gaps").replaceChildren(el("ul", { class: "listed" }, entries));
}

async function read() {
  $("#coverage").ariaBusy = "true";
  const from = ISO.format(Date.now() - (Number($("#days").value) - 1) * DAY_MS);
  try {
    draw(await api.coverage(from));
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    say($("#coverage-words"), refused.message);
  }
  $("#coverage").ariaBusy = "false";
}

$("#days").addEventListener("change", read);
$("#window").addEventListener("submit", (event) => event.preventDefault());
read();
