// Whether a licitação belongs to a search: told once, remembered by this browser, changed or taken back at will.

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { keepVerdict, verdict } from "./kept.js";

const THUMBS = [["correct", "Pertence", ""], ["false_positive", "Não pertence", " down"]];
const REASONS = [
  ["wrong_sector", "É de outro setor"],
  ["wrong_modalidade", "A modalidade não serve"],
  ["too_small", "Valor pequeno demais"],
  ["too_large", "Valor grande demais"],
  ["too_far", "Longe demais"],
  ["other", "Outro motivo"],
];

/** The two thumbs of one row and, once it does not belong, why. Only one word is on its way at a time. */
export function thumbs(searchId, row) {
  const place = el("div", { class: "thumbs", role: "group", "aria-label": "Avaliação" });
  const said = el("span", { role: "status" });
  let sending = false;

  async function tell(told, { words, focus }) {
    if (sending) return;
    sending = true;
    try {
      await (told ? api.tell(searchId, row.id, told) : api.takeBack(searchId, row.id));
      keepVerdict(searchId, row.id, told);
      said.textContent = words;
    } catch (refused) {
      if (!(refused instanceof api.Refused)) throw refused;
      said.textContent = refused.message;
    }
    sending = false;
    draw();
    place.querySelector(`[data-act="${focus}"]`)?.focus();
  }

  function thumb([name, words, turned], told) {
    const pressed = told?.user_verdict === name;
    const click = () => tell(pressed ? null : { user_verdict: name }, { focus: name, words: pressed ? "Avaliação retirada." : "Obrigado! Avaliação guardada." });
    return el("button", { type: "button", class: "triage", "aria-pressed": String(pressed), data: { act: name }, on: { click } }, icon(`polegar${turned}`), words);
  }

  function why(told) {
    const options = [["", "Escolha (opcional)"], ...REASONS].map(([value, words]) => el("option", { value, selected: value === (told.category ?? "") }, words));
    const change = (event) => tell({ user_verdict: told.user_verdict, category: event.target.value || null }, { focus: "category", words: "Motivo guardado." });
    return el("label", {}, "Por quê?", el("select", { data: { act: "category" }, on: { change } }, options));
  }

  function draw() {
    const told = verdict(searchId, row.id);
    place.replaceChildren(...THUMBS.map((each) => thumb(each, told)), ...(told?.user_verdict === "false_positive" ? [why(told)] : []), said);
  }

  draw();
  return place;
}
