// Searches that are kept on the server, to be asked again with one click.

import * as api from "./api.js";
import { $, announce, el, say } from "./dom.js";
import { asAsked, wordsOf } from "./form.js";

const DAY_MS = 86400000;
/** The window of a search that names none; such a window moves with the day. */
const DEFAULT_DAYS = Number($("#window").dataset.days);

/** The request to keep: the usual window, as long as ever and up to today, moves with the day. */
function lasting({ date_from: from, date_to: to, ...query }) {
  const days = from && to ? Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1 : DEFAULT_DAYS;
  const usual = days === DEFAULT_DAYS && (!to || to === $("#date_to").max);
  return usual ? query : { ...query, date_from: from, date_to: to };
}

let offered = null;

/** Offer to keep this search; null: there is nothing to keep yet. */
export function offer(query) {
  offered = query;
  $("#save").hidden = !query;
  drawButton(false);
}

function drawButton(kept) {
  say($("#save"), kept ? "Busca salva" : "Salvar busca");
  $("#save").disabled = kept;
}

export function wire() {
  $("#save").addEventListener("click", async () => {
    const query = offered;
    const { title, words } = wordsOf(query);
    try {
      await api.save(`${title} · ${words}`.slice(0, 80), lasting(query));
    } catch (refused) {
      if (!(refused instanceof api.Refused)) throw refused;
      announce(refused.message, { now: true });
      return;
    }
    announce("Busca salva. Ela está na página inicial.", { now: true });
    if (query === offered) drawButton(true);
  });
}

/** Show what is kept; where it cannot be had, there is nothing to show. */
export async function drawSaved(ask) {
  const place = $("#saved");
  let kept = [];
  try {
    kept = (await api.savedSearches()).saved_searches;
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
  }
  place.hidden = kept.length === 0;
  $("#saved-list").replaceChildren(...kept.map((each) => entry(each, ask)));
}

function entry(saved, ask) {
  const node = el(
    "li",
    {},
    el("button", { type: "button", class: "link", on: { click: () => ask(asAsked(saved.request)) } }, saved.name),
    el("button", { type: "button", class: "link", on: { click: () => forget(saved, node) } }, "Apagar", el("span", { class: "sr" }, ` ${saved.name}`)),
  );
  return node;
}

async function forget(saved, node) {
  try {
    await api.unsave(saved.id);
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    announce(refused.message, { now: true });
    return;
  }
  node.remove();
  announce("Busca apagada.", { now: true });
  $("#saved").hidden = $("#saved-list").children.length === 0;
  ($("#saved").hidden ? $("#sector") : $("#saved-title")).focus();
}
