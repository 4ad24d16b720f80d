// The drawer that says why a licitação is in the results: words, rules, density, quotes and factors.

import { explanation } from "./api.js";
import { JUDGED, LEVELS, SHIELDS, factorList } from "./card.js";
import { $, el } from "./dom.js";
import { number } from "./format.js";

const percent = (share) => `${number(Math.round(Number(share) * 1000) / 10)}%`;

let asked = 0;

/** Open the drawer and fill it with what the API says of this row. */
export async function explain(searchId, row) {
  const drawer = $("#drawer");
  const mine = ++asked;
  $("#drawer-object").textContent = row.objeto;
  drawer.dataset.of = row.id;
  $("#drawer-body").replaceChildren(el("p", { class: "busy" }, "Lendo a explicação…"));
  drawer.showModal();
  drawer.scrollTop = 0;
  let parts;
  try {
    parts = told(await explanation(searchId, row.id));
  } catch (refused) {
    parts = [el("p", {}, refused.message)];
  }
  if (mine === asked) $("#drawer-body").replaceChildren(...parts);
}

function told({ result, reason, steps, final }) {
  const parts = [];
  if (!result) parts.push(el("p", {}, reason ?? "Ainda em avaliação."));
  else parts.push(...verdict(result));
  if (steps.length) parts.push(part("Regras, na ordem em que valeram", el("ol", { class: "steps" }, steps.map((step) => el("li", {}, step)))));
  if (!final) parts.push(el("p", { class: "hint" }, "A busca ainda está em andamento: esta avaliação pode mudar."));
  return parts;
}

function verdict(row) {
  const shield = SHIELDS[row.confidence];
  const parts = [
    part(
      "Relevância",
      el("p", { class: "score" }, el("strong", {}, String(row.confidence_score)), ` de 100 — ${shield.label.toLowerCase()}`),
      el("p", {}, `${JUDGED[row.relevance_source]}.`),
      el("ul", {}, row.reasons.map((each) => el("li", {}, each))),
    ),
    part("Densidade", el("p", {}, `${percent(row.density)} das palavras que dizem o que se compra são termos procurados.`)),
  ];
  if (row.matched_terms.length) {
    parts.splice(1, 0, part("Termos encontrados", el("ul", { class: "terms" }, row.matched_terms.map((term) => el("li", {}, term)))));
  }
  if (row.evidence.length) {
    parts.push(part("Trechos do texto oficial", row.evidence.map((quote) => el("blockquote", {}, `“${quote}”`))));
  }
  if (row.viability) {
    const { score, level, factors } = row.viability;
    parts.push(
      part(
        "Viabilidade",
        el("p", { class: "score" }, el("strong", {}, String(score)), ` de 100 — ${LEVELS[level].label.toLowerCase()}`),
        factorList(factors),
      ),
    );
  }
  return parts;
}

const part = (title, ...content) => el("section", {}, el("h3", {}, title), ...content);

export function wireDrawer() {
  const drawer = $("#drawer");
  $("#drawer-close").addEventListener("click", () => drawer.close());
  /* A click on the backdrop is one on the dialog itself. */
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  /* The browser gives the focus back to the button that opened it, unless its card was made again meanwhile. */
  drawer.addEventListener("close", () => {
    if (document.activeElement !== document.body) return;
    $(`[data-bid="${CSS.escape(drawer.dataset.of)}"] [data-act="explain"]`)?.focus();
  });
}
