// The form: from fields to the body of a request, and from a refusal back to the fields.

import { $, $$, say } from "./dom.js";
import { amount, isoDay, places, plural } from "./format.js";

const FIELD_OF = { terms: "sector" };
const DAY_MS = 86400000;
const ALL_MODALIDADES = () => $$('[name="modalidades"]').filter((box) => box.defaultChecked).map((box) => Number(box.value));

export function wireForm(form, send) {
  for (const radio of $$('[name="by"]', form)) radio.addEventListener("change", drawBy);
  for (const box of $$("[data-region]", form)) {
    box.addEventListener("change", () => choose(membersOf(box), box.checked));
  }
  for (const box of ufBoxes()) box.addEventListener("change", drawRegions);
  for (const button of $$("[data-all]", form)) {
    button.addEventListener("click", () => choose(ufBoxes(), button.dataset.all === "on"));
  }
  for (const name of ["date_from", "date_to"]) form[name].addEventListener("input", drawWindow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = queryOf(form);
    const errors = missingIn(query);
    if (errors.length) showProblems({ errors });
    else send(query);
  });
  window.addEventListener("pageshow", drawForm);
  drawForm();
}

function drawForm() {
  drawBy();
  drawRegions();
  drawWindow();
}

/** What the server would refuse anyway, said at once and all together. */
function missingIn(query) {
  const errors = [];
  if (!query.sector && !query.terms?.length) {
    errors.push({ pointer: "#/sector", message: query.terms ? "escreva pelo menos um termo" : "escolha um setor" });
  }
  if (!query.ufs.length) errors.push({ pointer: "#/ufs", message: "escolha pelo menos um estado" });
  if (!query.modalidades.length) errors.push({ pointer: "#/modalidades", message: "escolha pelo menos uma modalidade" });
  return errors;
}

/** The window in Brazilian dates, whatever language the browser writes its date fields in. */
function drawWindow() {
  const [from, to] = ["date_from", "date_to"].map((name) => document.getElementById(name).value);
  const days = from && to ? Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1 : 0;
  say($("#window"), days > 0 ? `${plural(days, "dia", "dias")}: de ${isoDay(from)} a ${isoDay(to)}` : "");
}

const ufBoxes = () => $$('[name="ufs"]');
const membersOf = (region) => $$('[name="ufs"]', region.closest(".region"));

function choose(boxes, on) {
  for (const box of boxes) box.checked = on;
  drawRegions();
}

function drawBy() {
  const by = $('[name="by"]:checked').value;
  for (const part of $$("[data-by]")) part.hidden = part.dataset.by !== by;
}

function drawRegions() {
  for (const region of $$("[data-region]")) {
    const members = membersOf(region);
    const on = members.filter((box) => box.checked).length;
    region.checked = on === members.length;
    region.indeterminate = on > 0 && on < members.length;
  }
  const on = ufBoxes().filter((box) => box.checked).length;
  say($("#ufs-count"), on === 0 ? "Nenhum estado escolhido" : on === 27 ? "Todos os 27 estados" : plural(on, "estado escolhido", "estados escolhidos"));
}

/** The body of `POST /v1/searches`; what is left open is left out, so that the server's defaults hold. */
export function queryOf(form) {
  const fields = new FormData(form);
  const query = { ufs: fields.getAll("ufs"), modalidades: fields.getAll("modalidades").map(Number) };
  if (fields.get("by") === "terms") {
    query.terms = fields.get("terms").split(/[,;\n]/).map((term) => term.trim()).filter(Boolean);
  } else if (fields.get("sector")) {
    query.sector = fields.get("sector");
  }
  for (const name of ["date_from", "date_to", "home_uf"]) if (fields.get(name)) query[name] = fields.get(name);
  for (const name of ["value_min", "value_max"]) if (fields.get(name).trim()) query[name] = amount(fields.get(name));
  return query;
}

const EMPTY = (value) => value === null || value === undefined || value === "" || value?.length === 0;

/** What the state says was asked, as the body that asks it again. */
export const asAsked = (query) => Object.fromEntries(Object.entries(query).filter(([, value]) => !EMPTY(value)));

/** Put a query back into the fields. */
export function fillForm(form, query) {
  $(`[name="by"][value="${query.terms ? "terms" : "sector"}"]`).checked = true;
  form.sector.value = query.sector ?? "";
  form.terms.value = (query.terms ?? []).join(", ");
  for (const box of ufBoxes()) box.checked = query.ufs.includes(box.value);
  for (const box of $$('[name="modalidades"]')) box.checked = query.modalidades.includes(Number(box.value));
  for (const name of ["date_from", "date_to"]) if (query[name]) form[name].value = query[name];
  form.home_uf.value = query.home_uf ?? "";
  for (const name of ["value_min", "value_max"]) form[name].value = (query[name] ?? "").replace(".", ",");
  drawForm();
}

/** What a query is called and what it asks for, in words. */
export function wordsOf(query) {
  const sector = query.sector && [...$("#sector").options].find((option) => option.value === query.sector);
  const title = sector ? sector.textContent : (query.terms ?? []).map((term) => `“${term}”`).join(", ");
  const words = [places(query.ufs)];
  if (query.date_from && query.date_to) words.push(`publicadas de ${isoDay(query.date_from)} a ${isoDay(query.date_to)}`);
  if (String(query.modalidades) !== String(ALL_MODALIDADES())) words.push(plural(query.modalidades.length, "modalidade", "modalidades"));
  return { title, words: words.join(" · ") };
}

export function clearProblems() {
  for (const slot of $$(".problem")) slot.hidden = true;
  for (const field of $$("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/** Show each problem beside its field (`errors[].pointer`), the rest above the form, and go to the first. */
export function showProblems(refused) {
  clearProblems();
  const left = [];
  for (const { pointer, message } of refused.errors) {
    const name = (pointer ?? "#").split("/")[1] ?? "";
    const slot = document.getElementById(`problem-${FIELD_OF[name] ?? name}`);
    if (!slot || name === "form") {
      left.push(message);
      continue;
    }
    if (slot.hidden) say(slot, message);
    slot.hidden = false;
    for (const field of document.getElementsByName(name)) if (field.type !== "checkbox") field.ariaInvalid = "true";
    slot.closest("details")?.setAttribute("open", "");
  }
  if (!refused.errors.length) left.push(refused.message);
  const whole = $("#problem-form");
  whole.hidden = left.length === 0;
  say(whole, left.join(" "));
  goToFirst();
}

function goToFirst() {
  const slot = $$(".problem").find((each) => !each.hidden);
  const field = slot.id === "problem-form" ? slot : firstField(slot.dataset.field);
  field.focus();
  slot.scrollIntoView({ block: "center" });
}

function firstField(name) {
  const named = name === "sector" && $('[name="by"]:checked').value === "terms" ? "terms" : name;
  return document.getElementsByName(named)[0];
}
