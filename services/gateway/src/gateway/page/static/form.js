// The form: from fields to the body of a request, and from a refusal back to the fields.

import { $, $$, say } from "./dom.js";
import { amount, isoDay, money, places, plural } from "./format.js";
import { keepProfile, profile } from "./kept.js";

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
  for (const radio of $$('[name="scope"]', form)) radio.addEventListener("change", drawScope);
  form.porte.addEventListener("change", drawPorte);
  $("#porte-hint button").addEventListener("click", useCeiling);
  fillProfile(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = queryOf(form);
    const errors = missingIn(query);
    if (errors.length) return showProblems({ errors });
    keepProfile(form.remember.checked ? Object.fromEntries(PROFILE.map((name) => [name, form[name].value])) : null);
    send(query);
  });
  window.addEventListener("pageshow", drawForm);
  drawForm();
}

const PROFILE = ["home_uf", "porte", "value_min", "value_max"];

/** What this browser knows of the company. */
function fillProfile(form) {
  const known = profile();
  form.remember.checked = known !== null;
  for (const name of PROFILE) if (known?.[name]) form[name].value = known[name];
}

/** A size proposes a ceiling; only a click makes it one, since a bid above it is not out of reach for everyone. */
function drawPorte() {
  const { teto } = $("#porte").selectedOptions[0].dataset;
  $("#porte-hint").hidden = !teto;
  if (teto) say($("#porte-hint span"), `A receita anual deste porte vai até ${money(teto)}.`);
}

function useCeiling() {
  const field = $("#value_max");
  field.value = money($("#porte").selectedOptions[0].dataset.teto).replace(/[^\d.,]/g, "");
  field.closest("details").open = true;
  field.focus();
}

function drawScope() {
  const scope = $('[name="scope"]:checked').value;
  for (const part of $$("[data-scope]")) part.hidden = part.dataset.scope !== scope;
}

function drawForm() {
  drawBy();
  drawScope();
  drawPorte();
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
  query.scope = fields.get("scope");
  const named = query.scope === "open" ? ["home_uf"] : ["date_from", "date_to", "home_uf"];
  for (const name of named) if (fields.get(name)) query[name] = fields.get(name);
  for (const name of ["value_min", "value_max"]) if (fields.get(name).trim()) query[name] = amount(fields.get(name));
  return query;
}

const EMPTY = (value) => value === null || value === undefined || value === "" || value?.length === 0;

/** What the state says was asked, as the body that asks it again. */
export function asAsked({ date_from, date_to, ...query }) {
  const asked = query.scope === "open" ? query : { date_from, date_to, ...query };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => !EMPTY(value)));
}

/** Put a query back into the fields. */
export function fillForm(form, query) {
  $(`[name="by"][value="${query.terms ? "terms" : "sector"}"]`).checked = true;
  $(`[name="scope"][value="${query.scope ?? "published"}"]`).checked = true;
  form.sector.value = query.sector ?? "";
  form.terms.value = (query.terms ?? []).join(", ");
  for (const box of ufBoxes()) box.checked = query.ufs.includes(box.value);
  for (const box of $$('[name="modalidades"]')) box.checked = (query.modalidades ?? ALL_MODALIDADES()).includes(Number(box.value));
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
  if (query.scope === "open") words.push("ainda abertas");
  else if (query.date_from && query.date_to) words.push(`publicadas de ${isoDay(query.date_from)} a ${isoDay(query.date_to)}`);
  if (query.modalidades && String(query.modalidades) !== String(ALL_MODALIDADES())) words.push(plural(query.modalidades.length, "modalidade", "modalidades"));
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
