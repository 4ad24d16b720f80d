// The searches that this browser has asked, on the first page.

import { $, el } from "./dom.js";
import { wordsOf } from "./form.js";
import { dayAndTime, plural } from "./format.js";
import { forgetSearches } from "./kept.js";

const ENDED = { degraded: "com dados incompletos", empty_failure: "sem resposta das fontes", cancelled: "cancelada" };

export function drawHistory(searches) {
  $("#history").hidden = searches.length === 0;
  $("#history-list").replaceChildren(...searches.map(entry));
}

function entry({ id, query, at, status, total }) {
  const { title, words } = wordsOf(query);
  const ended = [total === undefined || status === "empty_failure" ? null : plural(total, "relevante", "relevantes"), ENDED[status]].filter(Boolean);
  return el(
    "li",
    {},
    el("a", { href: `/buscas/${id}` }, title),
    el("span", { class: "hint" }, words),
    el("span", { class: "hint" }, [at ? dayAndTime(at) : null, ...ended].filter(Boolean).join(" · ")),
  );
}

export function wireHistory(emptied) {
  $("#history-forget").addEventListener("click", () => {
    forgetSearches();
    emptied();
    $("#sector").focus();
  });
}
