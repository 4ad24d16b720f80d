// The HTTP API, and the event stream that goes on by itself after a cut.

/** A refusal with its problem details; `status` is 0 when nothing answered. */
export class Refused extends Error {
  constructor(status, document) {
    super(document.detail ?? "Não foi possível falar com o Farol. Verifique a conexão e tente de novo.");
    this.status = status;
    this.errors = document.errors ?? [];
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(20000), ...options });
  } catch {
    throw new Refused(0, {});
  }
  const document = await response.json().catch(() => ({}));
  if (response.status === 401) location.assign("/entrar");
  if (!response.ok) throw new Refused(response.status, document);
  return document;
}

const at = (id) => `/v1/searches/${id}`;

const send = (method, path, body) =>
  call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const ask = (query) => send("POST", "/v1/searches", query);
export const state = (id) => call(at(id));
export const cancel = (id) => call(at(id), { method: "DELETE" });
export const summary = (id) => call(`${at(id)}/summary`);
export const spreadsheet = (id) => `${at(id)}/spreadsheet`;
export const bid = (id, { details }) => call(`/v1/bids/${segments(id)}?details=${details}`);
export const calendar = (id) => `/v1/bids/${segments(id)}/calendar.ics`;
export const coverage = (from) => call(`/v1/coverage?date_from=${from}`);
export const marked = (mark, before) =>
  call(`/v1/triage?${new URLSearchParams({ mark, limit: 20, ...(before ? { before } : {}) })}`);
export const savedSearches = () => call("/v1/saved-searches");
export const save = (name, request) => send("POST", "/v1/saved-searches", { name, request });
export const unsave = (id) => call(`/v1/saved-searches/${id}`, { method: "DELETE" });
export const tell = (search, bid, said) => send("POST", "/v1/feedback", { search_id: search, bid_id: bid, ...said });
export const takeBack = (search, bid) =>
  call(`/v1/feedback?${new URLSearchParams({ search_id: search, bid_id: bid })}`, { method: "DELETE" });
const markAt = (bid) => `/v1/triage/${segments(bid)}`;
export const mark = (bid, mark, note) => send("PUT", markAt(bid), { mark, note });
export const unmark = (bid) => call(markAt(bid), { method: "DELETE" });
export const csv = (id, { sort, filters }) => `${at(id)}/results.csv?${new URLSearchParams([["sort", sort], ...filters])}`;

const segments = (bid) => bid.split("/").map(encodeURIComponent).join("/");
export const explanation = (id, bid) => call(`${at(id)}/results/${segments(bid)}/explanation`);
export function results(id, { sort, cursor, filters = [], limit = 50 }) {
  const wanted = new URLSearchParams([["limit", limit], ["sort", sort], ...filters]);
  if (cursor) wanted.set("cursor", cursor);
  return call(`${at(id)}/results?${wanted}`);
}

const NAMES = [
  "progress", "uf_completed", "partial_results", "completed", "degraded", "failed", "llm_ready", "excel_ready",
  "refresh_available", "revalidated",
];
const ASK_EVERY = [2000, 4000, 8000];

/**
 * Follow a search until it is closed. The browser reconnects with the last id by itself; where no stream can be had at
 * all, the state is asked for instead. `on.event(name, data)`, `on.state(view)`, `on.connected(bool)`, `on.closed()`.
 * Returns what stops it.
 */
export function follow(id, on) {
  let stopped = false;
  let timer;
  const stream = new EventSource(`${at(id)}/events`);
  for (const name of NAMES) stream.addEventListener(name, (event) => on.event(name, JSON.parse(event.data)));
  stream.addEventListener("open", () => on.connected(true));
  stream.addEventListener("closed", () => {
    stop();
    on.closed();
  });
  stream.addEventListener("error", () => {
    if (stopped) return;
    on.connected(false);
    if (stream.readyState === EventSource.CLOSED) poll(0);
  });

  async function poll(turn) {
    try {
      const view = await state(id);
      if (stopped) return;
      on.connected(true);
      on.state(view);
      if (!view.live_fetch_in_progress && ![view.llm_status, view.excel_status].includes("processing")) {
        stop();
        on.closed();
        return;
      }
    } catch {
      if (stopped) return;
    }
    timer = setTimeout(() => poll(turn + 1), ASK_EVERY[Math.min(turn, ASK_EVERY.length - 1)]);
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    stream.close();
  }
  return stop;
}
