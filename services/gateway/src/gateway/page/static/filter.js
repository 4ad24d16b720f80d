// The filter over the results: it asks the server again, never reloads the page.

import { $, $$, el } from "./dom.js";
import { amount } from "./format.js";

const WAIT_MS = 250;

/** The chosen filters as parameters of the results route; nothing chosen gives none. */
export function chosen(form) {
  const wanted = [];
  for (const [name, value] of new FormData(form)) {
    const text = value.trim();
    if (text) wanted.push([name, name.startsWith("value_") ? amount(text) : text]);
  }
  return wanted;
}

export function wireFilter(form, changed) {
  let waiting;
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, event.target.type === "checkbox" ? 0 : WAIT_MS);
  });
  /* The button, not the event: a new search resets the form as well, and then there is nothing to ask. */
  $("[type=reset]", form).addEventListener("click", () => {
    setTimeout(changed);
    $("#filter-q").focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    changed();
  });
}

/** Offer the UFs of this search, and nothing chosen. */
export function freshFilter(form, ufs) {
  form.reset();
  const names = Object.fromEntries($$("#ask [name=ufs]").map((box) => [box.value, box.dataset.nome]));
  const select = $("#filter-uf");
  select.replaceChildren(el("option", { value: "" }, "Todos os estados"), ...ufs.map((uf) => el("option", { value: uf }, names[uf] ?? uf)));
}

/** Beside each field what the server refused of it; returns what belongs to no field. */
export function showRefused(form, refused) {
  for (const field of $$("input", form)) field.removeAttribute("aria-invalid");
  for (const { parameter } of refused?.errors ?? []) if (form.elements[parameter]) form.elements[parameter].ariaInvalid = "true";
}
