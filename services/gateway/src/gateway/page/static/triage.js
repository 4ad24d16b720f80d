// What was marked, the latest first, each with its record and a sign when it changed after it was marked.

import * as api from "./api.js";
import { MARKS, SITUATIONS, bidAddress, closing, marks, noticeLink } from "./card.js";
import { $, $$, announce, el, say } from "./dom.js";
import { money, plural } from "./format.js";

let before = null;
let turn = 0;

/** The record of a marked licitação; null where it cannot be had now. */
async function recordOf({ bid_id: id }) {
  try {
    return await api.bid(id, { details: false });
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    return null;
  }
}

function entry(mark, known) {
  const bid = known?.bid;
  const later = (known?.changes ?? []).filter((change) => change.seen_at > mark.updated_at).length;
  const title = `marked-${mark.bid_id}`;
  const situation = bid && SITUATIONS[bid.situacao];
  const node = el(
    "li",
    {},
    el(
      "article",
      { class: "card", "aria-labelledby": title, data: { bid: mark.bid_id, mark: mark.mark } },
      bid ? el("header", {}, el("p", { class: "place" }, bid.municipio ? `${bid.municipio}, ${bid.uf}` : bid.uf), el("p", { class: "money" }, bid.valor_estimado === null ? "Valor não divulgado" : money(bid.valor_estimado))) : null,
      el("h2", { id: title, class: "objeto" }, el("a", { href: bidAddress(mark.bid_id) }, bid?.objeto ?? `Licitação ${mark.bid_id}`)),
      bid ? el("p", { class: "orgao" }, bid.orgao) : el("p", { class: "orgao" }, "O registro não está à mão agora."),
      el(
        "div",
        { class: "badges" },
        later ? el("span", { class: "badge", data: { tone: "amber" } }, `${plural(later, "alteração", "alterações")} desde a marcação`) : null,
        situation ? el("span", { class: "badge", data: { tone: "red" } }, situation) : null,
      ),
      mark.note ? el("p", { class: "said" }, mark.note) : null,
      el("footer", {}, bid ? closing(bid) : null, marks({ triage: mark.mark }, (_, name) => change(node, mark, name), MARKS), bid ? noticeLink(bid, "Ver o edital") : null),
    ),
  );
  return node;
}

/** Another mark, or none: it leaves this list. */
async function change(node, mark, name) {
  try {
    await (name === null ? api.unmark(mark.bid_id) : api.mark(mark.bid_id, name, mark.note));
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    announce(refused.message, { now: true });
    return;
  }
  const next = node.nextElementSibling ?? node.previousElementSibling;
  node.remove();
  announce("Marcação alterada.", { now: true });
  (next ? $("a", next) : $("#which input:checked")).focus();
  count();
}

function count() {
  const some = $("#marked").children.length;
  say($("#triage-said"), some ? `${plural(some, "licitação", "licitações")}${before ? ", e há mais" : ""}.` : "Nenhuma licitação com esta marcação.");
}

async function read({ first }) {
  const mine = ++turn;
  const list = $("#marked");
  if (first) before = null;
  list.ariaBusy = "true";
  try {
    const page = await api.marked($('[name="mark"]:checked').value, before);
    const known = await Promise.all(page.marks.map(recordOf));
    if (mine !== turn) return;
    if (first) list.replaceChildren();
    list.append(...page.marks.map((mark, at) => entry(mark, known[at])));
    before = page.next_before;
    count();
  } catch (refused) {
    if (!(refused instanceof api.Refused)) throw refused;
    if (mine === turn) say($("#triage-said"), refused.message);
  }
  $("#more").hidden = before === null;
  list.ariaBusy = "false";
}

for (const radio of $$('[name="mark"]')) radio.addEventListener("change", () => read({ first: true }));
$("#more").addEventListener("click", () => read({ first: false }));
read({ first: true });
