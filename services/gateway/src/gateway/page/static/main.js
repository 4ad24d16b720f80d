// One search at a time: asked by the form or named by the address, followed until it is closed.

import * as api from "./api.js";
import { $, announce, say } from "./dom.js";
import { asAsked, clearProblems, fillForm, showProblems, wireForm, wordsOf } from "./form.js";
import { places } from "./format.js";
import { fresh, isOver, takeEvent, takeResults, takeState } from "./model.js";
import { drawBanner, drawCoverage, drawMap, drawProgress, drawReport, drawResults, drawSummary, forgetCards, outcome } from "./views.js";

const form = $("#ask");
let model = null;
let unfollow = () => {};
let drawing = 0;

/* What was asked is kept in this browser, so that a reload can name it and change it. */
const KEPT = "farol.buscas";
const MOST_KEPT = 20;

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}

function keep(id, query) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([[id, query], ...kept()].slice(0, MOST_KEPT)));
  } catch {
    /* Private windows have no room: the search goes on without. */
  }
}

function redraw() {
  if (drawing) return;
  drawing = setTimeout(draw, 30);
}

function draw() {
  drawing = 0;
  drawProgress(model);
  drawMap(model);
  drawCoverage(model);
  drawBanner(model, { again: () => send(model.query) });
  drawReport(model);
  drawSummary(model);
  drawResults(model);
  const name = $("#search-title").textContent;
  document.title = isOver(model) ? `${outcome(model).title}: ${name} — Farol` : `${model.progress}% — ${name} — Farol`;
}

async function send(query) {
  if (!query) return;
  const button = $("#send");
  button.disabled = true;
  clearProblems();
  try {
    const view = await api.ask(query);
    keep(view.search_id, query);
    history.pushState(null, "", `/buscas/${view.search_id}`);
    open(view.search_id, query, view);
    $("#search-title").focus();
    scrollTo(0, 0);
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    show("home");
    showProblems(refused);
  } finally {
    button.disabled = false;
  }
}

function show(view) {
  document.body.dataset.view = view;
  if (view === "home") document.title = "Farol — licitações públicas";
}

async function open(id, query, view = null) {
  unfollow();
  forgetCards();
  model = fresh(id, query);
  show("search");
  name(model);
  draw();
  const mine = model;
  try {
    const known = view ?? (await api.state(id));
    takeState(mine, known);
    if (known.query) mine.query = asAsked(known.query);
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    if (mine === model && refused.status === 404) return lost();
  }
  if (mine !== model) return;
  name(mine);
  redraw();
  if (isOver(mine)) await settle(mine);
  const waiting = [mine.llm, mine.excel].includes("processing");
  if (mine === model && (!isOver(mine) || waiting)) followOn(mine);
}

/** Say what the search is about, and put it into the form for whoever wants to change it. */
function name({ query, ufs }) {
  const { title, words } = query ? wordsOf(query) : { title: "Busca de licitações", words: places([...ufs.keys()]) };
  say($("#search-title"), title);
  say($("#search-words"), words);
  if (query) fillForm(form, query);
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
  } else if (name === "llm_ready" || name === "excel_ready" || data.stage === "excel_failed") {
    announce(data.message);
  } else if (isOver(mine)) {
    const { title, text } = outcome(mine);
    announce(`${title}. ${text}`, { now: true });
  }
}

/** Once a search is over: its ranked rows, and how far its documents are. */
async function settle(mine) {
  if (mine.settled) return;
  mine.settled = true;
  if (mine.status !== "empty_failure") await fetchRows(mine, { first: true });
  await jobs(mine);
}

async function jobs(mine) {
  try {
    const view = await api.state(mine.id);
    for (const job of ["llm", "excel"]) if (mine[job] !== "ready") mine[job] = view[`${job}_status`];
    if (mine.llm === "ready" && !mine.summary) mine.summary = (await api.summary(mine.id)).summary;
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
  }
  if (mine === model) redraw();
}

async function fetchRows(mine, { first }) {
  try {
    const page = await api.results(mine.id, { sort: mine.sort, cursor: first ? null : mine.cursor });
    takeResults(mine, page, { first });
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    announce(refused.message, { now: true });
  }
  if (mine === model) redraw();
}

function fromAddress() {
  const id = /^\/buscas\/([0-9a-f]{32})$/.exec(location.pathname)?.[1];
  if (id) return open(id, kept().find(([each]) => each === id)?.[1] ?? null);
  unfollow();
  if (location.pathname === "/") show("home");
}

wireForm(form, send);
$("#change").addEventListener("click", () => {
  unfollow();
  history.pushState(null, "", "/");
  show("home");
  scrollTo(0, 0);
  $("#sector").focus();
});
$("#more").addEventListener("click", async () => {
  const next = $("#cards").children.length;
  await fetchRows(model, { first: false });
  draw();
  $("#cards").children[next]?.querySelector("button, a")?.focus();
});
$("#sort").addEventListener("change", async (event) => {
  model.sort = event.target.value;
  await fetchRows(model, { first: true });
  announce(`Ordenado por ${event.target.selectedOptions[0].textContent}.`, { now: true });
});
/* "há 3 min" and "encerra hoje" grow old. */
setInterval(() => model && document.body.dataset.view === "search" && redraw(), 30000);
window.addEventListener("popstate", fromAddress);
fromAddress();
