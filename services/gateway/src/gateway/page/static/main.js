// One search at a time: asked by the form or named by the address, followed until it is closed.

import * as api from "./api.js";
import { $, $$, announce, say } from "./dom.js";
import { explain, wireDrawer } from "./explain.js";
import { thumbs } from "./feedback.js";
import { chosen, freshFilter, showRefused, wireFilter } from "./filter.js";
import { asAsked, clearProblems, fillForm, showProblems, wireForm, wordsOf } from "./form.js";
import { places } from "./format.js";
import { drawHistory, wireHistory } from "./history.js";
import * as kept from "./kept.js";
import { fresh, isOver, takeEvent, takeResults, takeState } from "./model.js";
import { drawPictures } from "./pictures.js";
import * as saved from "./saved.js";
import {
  drawBanner, drawCoverage, drawMap, drawProgress, drawRefresh, drawReport, drawResults, drawSummary, forgetRows, outcome,
} from "./views.js";

/** Rows that the pictures are drawn from at most, and how many are asked for at once. */
const MOST_PICTURED = 1000;
const PICTURED_AT_ONCE = 200;

const form = $("#ask");
const filter = $("#filter");
let model = null;
let layout = kept.layout();
let unfollow = () => {};
let drawing = 0;

function redraw() {
  if (drawing) return;
  drawing = setTimeout(draw, 30);
}

function draw() {
  drawing = 0;
  const mine = model;
  drawProgress(mine);
  drawMap(mine);
  drawCoverage(mine);
  drawBanner(mine, { again: () => send(mine.query) });
  drawRefresh(mine);
  drawReport(mine);
  drawSummary(mine);
  drawResults(mine, { layout, explain: (row) => explain(mine.id, row), mark: (row, name) => triage(mine, row, name), judge: (row) => thumbs(mine.id, row) });
  const title = $("#search-title").textContent;
  document.title = isOver(mine) ? `${outcome(mine).title}: ${title} — Farol` : `${mine.progress}% — ${title} — Farol`;
}

async function send(query) {
  if (!query) return;
  const button = $("#send");
  button.disabled = true;
  clearProblems();
  try {
    const view = await api.ask(query);
    kept.keepSearch(view.search_id, { query });
    history.pushState(null, "", `/buscas/${view.search_id}`);
    open(view.search_id, query, view);
    $("#search-title").focus();
    scrollTo(0, 0);
  } catch (refused) {
    known(refused);
    show("home");
    showProblems(refused);
  } finally {
    button.disabled = false;
  }
}

/** What the API refuses is for people to read; anything else is a mistake of this page. */
function known(refused) {
  if (!(refused instanceof api.Refused)) throw refused;
}

function show(view) {
  document.body.dataset.view = view;
  if (view !== "home") return;
  document.title = "Farol — licitações públicas";
  drawHistory(kept.searches());
  saved.drawSaved(send);
}

async function open(id, query, view = null) {
  unfollow();
  forgetRows();
  drawPictures([], 0);
  model = fresh(id, query);
  show("search");
  name(model);
  draw();
  const mine = model;
  try {
    const now = view ?? (await api.state(id));
    takeState(mine, now);
    if (now.query) mine.query = asAsked(now.query);
    mine.sort = mine.query?.sort ?? mine.sort;
  } catch (refused) {
    known(refused);
    if (mine === model && refused.status === 404) return lost();
  }
  if (mine !== model) return;
  name(mine);
  redraw();
  if (isOver(mine)) await settle(mine);
  const waiting = [mine.llm, mine.excel].includes("processing");
  if (mine === model && (!isOver(mine) || waiting || mine.live)) followOn(mine);
}

/** Say what the search is about, and put it into the form for whoever wants to change it. */
function name({ query, ufs, sort }) {
  const { title, words } = query ? wordsOf(query) : { title: "Busca de licitações", words: places([...ufs.keys()]) };
  say($("#search-title"), title);
  say($("#search-words"), words);
  $("#sort").value = sort;
  freshFilter(filter, query?.ufs ?? [...ufs.keys()]);
  if (query) fillForm(form, query);
  saved.offer(query);
}

function lost() {
  show("lost");
  $("#lost-title").focus();
}

function followOn(mine) {
  const current = (act) => (...given) => {
    if (mine !== model) return;
    act(...given);
    redraw();
  };
  unfollow = api.follow(mine.id, {
    event: current((name, data) => {
      const before = isOver(mine);
      if (!takeEvent(mine, name, data)) return;
      tell(mine, name, data);
      if (!before && isOver(mine)) settle(mine);
    }),
    state: current((view) => {
      takeState(mine, view);
      if (isOver(mine)) settle(mine);
    }),
    connected: current((on) => {
      mine.connected = on;
    }),
    closed: current(() => jobs(mine)),
  });
}

function tell(mine, name, data) {
  if (name === "uf_completed") {
    const done = [...mine.ufs.values()].filter((uf) => uf.status !== "pending").length;
    announce(`${data.nome} concluído. ${done} de ${mine.ufs.size} estados.`);
  } else if (mine.refreshable === data) {
    announce("Dados atualizados disponíveis.", { now: true });
  } else if (name === "llm_ready" || name === "excel_ready" || data.stage === "excel_failed") {
    announce(data.message);
  } else if (isOver(mine)) {
    const { title, text } = outcome(mine);
    announce(`${title}. ${text}`, { now: true });
  }
}

/** Once a search is over: its ranked rows, what they look like together, and how far its documents are. */
async function settle(mine) {
  if (mine.settled) return;
  mine.settled = true;
  await loading(mine, async () => {
    if (mine.status !== "empty_failure") await fetchRows(mine, { first: true });
    if (mine.query) kept.keepSearch(mine.id, { query: mine.query, status: mine.status, total: mine.total });
    await Promise.all([jobs(mine), picture(mine)]);
  });
}

/** Say that the results are still being put together while `act` goes on. */
async function loading(mine, act) {
  mine.loading += 1;
  try {
    await act();
  } finally {
    mine.loading -= 1;
    if (mine === model) redraw();
  }
}

/** Take the newest state, rows and documents in place of what is shown. */
async function refresh(mine) {
  Object.assign(mine, { refreshable: null, settled: false, summary: null });
  try {
    takeState(mine, await api.state(mine.id));
  } catch (refused) {
    known(refused);
    announce(refused.message, { now: true });
  }
  await settle(mine);
  if (mine === model) $("#results-title").focus();
}

async function jobs(mine) {
  try {
    const view = await api.state(mine.id);
    for (const job of ["llm", "excel"]) if (mine[job] !== "ready") mine[job] = view[`${job}_status`];
    if (mine.llm === "ready" && !mine.summary) mine.summary = (await api.summary(mine.id)).summary;
  } catch (refused) {
    known(refused);
  }
  if (mine === model) redraw();
}

async function picture(mine) {
  let rows = [...mine.rows.values()];
  let cursor = rows.length < mine.total ? undefined : null;
  if (cursor === undefined) rows = [];
  try {
    while (cursor !== null && rows.length < MOST_PICTURED) {
      const page = await api.results(mine.id, { sort: "relevance", cursor, limit: PICTURED_AT_ONCE });
      rows.push(...page.results);
      cursor = page.next_cursor;
    }
  } catch (refused) {
    known(refused);
  }
  if (mine === model) drawPictures(rows, mine.total);
}

async function triage(mine, row, name) {
  try {
    await (name ? api.mark(row.id, name) : api.unmark(row.id));
    mine.rows.set(row.id, { ...row, triage: name });
    announce(name ? `Marcada: ${name}.` : "Marcação retirada.", { now: true });
  } catch (refused) {
    known(refused);
    announce(refused.message, { now: true });
  }
  if (mine === model) redraw();
}

/** Ask for a page of rows; an answer that a newer question has overtaken is dropped. */
async function fetchRows(mine, { first }) {
  const turn = (mine.turn = (mine.turn ?? 0) + 1);
  let refused = null;
  try {
    const page = await api.results(mine.id, { sort: mine.sort, filters: mine.filters, cursor: first ? null : mine.cursor });
    if (turn === mine.turn) takeResults(mine, page, { first });
  } catch (error) {
    known(error);
    refused = error;
    announce(error.message, { now: true });
  }
  if (mine !== model) return;
  showRefused(filter, refused);
  redraw();
}

function fromAddress() {
  const id = /^\/buscas\/([0-9a-f]{32})$/.exec(location.pathname)?.[1];
  if (id) return open(id, kept.searches().find((each) => each.id === id)?.query ?? null);
  unfollow();
  if (location.pathname === "/") show("home");
}

wireForm(form, send);
/* On a phone the results come first. */
$("#panorama").open = matchMedia("(min-width: 60rem)").matches;
wireHistory(() => drawHistory([]));
wireDrawer();
saved.wire();
$("#change").addEventListener("click", () => {
  unfollow();
  history.pushState(null, "", "/");
  show("home");
  scrollTo(0, 0);
  $("#sector").focus();
});
$("#more").addEventListener("click", async () => {
  const rows = () => $(layout === "cards" ? "#cards" : "#table tbody").children;
  const next = rows().length;
  await fetchRows(model, { first: false });
  draw();
  rows()[next]?.querySelector("button, a, summary")?.focus();
});
$("#sort").addEventListener("change", async (event) => {
  model.sort = event.target.value;
  await loading(model, () => fetchRows(model, { first: true }));
  announce(`Ordenado por ${event.target.selectedOptions[0].textContent}.`, { now: true });
});
wireFilter(filter, async () => {
  model.filters = chosen(filter);
  await loading(model, () => fetchRows(model, { first: true }));
});
for (const radio of $$('[name="layout"]')) {
  radio.checked = radio.value === layout;
  radio.addEventListener("change", () => {
    layout = radio.value;
    kept.keepLayout(layout);
    draw();
  });
}
$("#cancel").addEventListener("click", async () => {
  const button = $("#cancel");
  button.disabled = true;
  announce("Cancelando a busca…", { now: true });
  try {
    await api.cancel(model.id);
  } catch (refused) {
    known(refused);
    announce(refused.message, { now: true });
  }
  button.disabled = false;
});
$("#refresh button").addEventListener("click", () => refresh(model));
/* "há 3 min" and "encerra hoje" grow old. */
setInterval(() => model && document.body.dataset.view === "search" && redraw(), 30000);
window.addEventListener("popstate", fromAddress);
fromAddress();
