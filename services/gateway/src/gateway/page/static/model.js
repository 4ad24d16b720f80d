// What the page knows of one search: a fold over the state and the events, without a look at the document.

const OVER = new Set(["completed", "degraded", "empty_failure", "cancelled"]);
/** Newer data than what is shown can be had. */
const REFRESHED = new Set(["refresh_available", "revalidated"]);
const TERMINAL = new Set(["completed", "degraded", "failed"]);

export const isOver = (model) => OVER.has(model.status);

export function fresh(id, query = null) {
  const ufs = new Map((query?.ufs ?? []).map((uf) => [uf, { uf, status: "pending" }]));
  return {
    id, query, ufs, status: "accepted", progress: 0, message: "Preparando a busca…", coverage: null, rows: new Map(),
    total: 0, matched: null, filters: [], cursor: null, ranked: false, sort: query?.sort ?? "relevance", all: null, refreshable: null, live: false, operational: null, reliability: null, reason: null,
    cacheAgeHours: null, failedSources: false, note: null, counts: null, byRules: 0, llm: "none", excel: "none", excelNote: null,
    summary: null, connected: true, settled: false, loading: 0,
  };
}

/** Take over the state as HTTP tells it. */
export function takeState(model, view) {
  model.status = view.status;
  model.progress = Math.max(model.progress, isOver(model) ? 100 : view.progress);
  model.note = view.message;
  model.counts = view.counts;
  model.byRules = view.llm_pending;
  model.reliability = view.reliability;
  model.operational = view.operational_state;
  model.reason = view.degraded?.reason ?? null;
  model.cacheAgeHours = view.degraded?.cache_age_hours ?? view.answered_from?.cache_age_hours ?? null;
  model.failedSources = (view.degraded?.sources_failed ?? []).length > 0;
  model.live = view.live_fetch_in_progress && view.answered_from !== null;
  model.llm = view.llm_status;
  model.excel = view.excel_status;
  takeCoverage(model, view.coverage);
}

/** Take one event; returns whether anything changed. What an over search still replays changes nothing. */
export function takeEvent(model, name, data) {
  if (name === "llm_ready") {
    Object.assign(model, { llm: "ready", summary: data.detail.summary });
  } else if (name === "excel_ready") {
    model.excel = "ready";
  } else if (name === "progress" && data.stage === "excel_failed") {
    Object.assign(model, { excel: "failed", excelNote: data.message });
  } else if (REFRESHED.has(name)) {
    Object.assign(model, { refreshable: data, live: false });
  } else if (isOver(model)) {
    return false;
  } else if (TERMINAL.has(name)) {
    takeEnd(model, data);
  } else if (name === "progress") {
    takeProgress(model, data);
  } else if (name === "uf_completed") {
    takeUf(model, data);
  } else if (name === "partial_results") {
    for (const row of data.results) model.rows.set(row.id, row);
    model.total = model.rows.size;
  }
  return true;
}

function takeProgress(model, data) {
  model.status = "running";
  model.progress = Math.max(model.progress, data.progress);
  model.message = data.message;
  const uf = data.detail?.uf;
  if (!uf) return;
  const known = model.ufs.get(uf) ?? { uf, status: "pending" };
  if (known.status === "pending") model.ufs.set(uf, { ...known, records: (known.records ?? 0) + data.detail.records });
}

function takeUf(model, data) {
  model.ufs.set(data.uf, data);
  const done = [...model.ufs.values()].filter((uf) => uf.status !== "pending");
  const asked = data.slices_asked * model.ufs.size;
  const complete = done.reduce((sum, uf) => sum + uf.slices_complete, 0);
  const fetched = done.map((uf) => uf.fetched_at).filter(Boolean).sort();
  model.coverage = {
    coverage_pct: asked ? Math.floor((100 * complete) / asked) : 0,
    ufs_requested: model.ufs.size,
    ufs_processed: done.filter((uf) => uf.status !== "failed").length,
    freshness: null,
    oldest_fetched_at: fetched[0] ?? null,
  };
}

function takeEnd(model, data) {
  Object.assign(model, {
    status: data.status, progress: 100, reason: data.reason, cacheAgeHours: data.cache_age_hours, note: data.message,
    counts: data.counts, byRules: data.llm_pending ?? 0, operational: data.operational_state, reliability: data.reliability, total: data.total,
    failedSources: data.sources_failed.length > 0, llm: "processing", excel: "processing",
  });
  if (data.status === "empty_failure") Object.assign(model, { llm: "none", excel: "none" });
  takeCoverage(model, data.coverage);
  model.rows = new Map(data.results.map((row) => [row.id, row]));
}

function takeCoverage(model, coverage) {
  for (const uf of coverage.ufs_status_detail) model.ufs.set(uf.uf, { ...model.ufs.get(uf.uf), ...uf });
  if (coverage.ufs_requested > 0) model.coverage = coverage;
}

/** Take a page of the ranked results; the first one replaces what came while the search ran. */
export function takeResults(model, page, { first }) {
  if (first) model.rows = new Map();
  for (const row of page.results) model.rows.set(row.id, row);
  Object.assign(model, { total: page.total, matched: page.matched, cursor: page.next_cursor, ranked: page.final });
}

/** The rows as shown: as ranked by the server or, while they still come in, by relevance. */
export function rowsOf(model) {
  const rows = [...model.rows.values()];
  if (model.ranked) return rows;
  return rows.sort((a, b) => b.confidence_score - a.confidence_score || b.density - a.density || (a.id < b.id ? -1 : 1));
}
