// Three pictures of what was found, drawn from the rows; each says in words what it shows.

import { $, el, svg } from "./dom.js";
import { daysUntil, money, number, plural, roundMoney } from "./format.js";

const WIDTH = 260;
const LABEL = 34;
const LINE = 24;
const MOST_BARS = 8;
const DAYS = 30;

/** Draw them; without rows there is nothing to see. `total` rows exist, of which `rows` are known here. */
export function drawPictures(rows, total) {
  const place = $("#panorama");
  place.hidden = rows.length === 0;
  if (place.hidden) return;
  const part = rows.length < total ? `Sobre as ${number(rows.length)} primeiras de ${number(total)}.` : "";
  $("#pictures").replaceChildren(valueByUf(rows), deadlines(rows), modalidades(rows), ...(part ? [el("p", { class: "hint" }, part)] : []));
}

function valueByUf(rows) {
  const sums = new Map();
  for (const row of rows) if (row.valor_estimado !== null) sums.set(row.uf, (sums.get(row.uf) ?? 0) + Number(row.valor_estimado));
  const unknown = rows.filter((row) => row.valor_estimado === null).length;
  const bars = [...sums].sort(([, a], [, b]) => b - a).map(([label, amount]) => ({ label, amount, text: roundMoney(amount), said: `${label}: ${money(amount)}` }));
  const note = unknown ? `${plural(unknown, "licitação não divulga", "licitações não divulgam")} o valor.` : "Todas divulgam o valor.";
  return figure("Valor estimado por estado", barChart(bars, LABEL), note, bars.length ? null : "Nenhum valor divulgado.");
}

function modalidades(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(row.modalidade, (counts.get(row.modalidade) ?? 0) + 1);
  const bars = [...counts].sort(([, a], [, b]) => b - a).map(([label, amount]) => ({ label, amount, text: number(amount), said: `${label}: ${number(amount)}` }));
  return figure("Modalidades", barChart(bars, 0), `${plural(rows.length, "licitação", "licitações")} ao todo.`);
}

/** Bars with their label at the left (`label` wide) or, where labels are long, above. */
function barChart(all, label) {
  const bars = all.slice(0, MOST_BARS);
  const most = Math.max(...bars.map((bar) => bar.amount), 1);
  const step = label ? LINE : LINE + 14;
  const room = WIDTH - label - 72;
  const drawn = bars.flatMap((bar, place) => {
    const top = place * step + (label ? 0 : 16);
    const long = Math.max(3, (bar.amount / most) * room);
    return [
      svg("text", { class: "label", x: 0, y: label ? top + 15 : top - 3 }, bar.label),
      svg("rect", { class: "bar", x: label, y: top + 3, width: long, height: label ? 15 : 12, rx: 3 }),
      svg("text", { class: "amount", x: label + long + 7, y: top + (label ? 15 : 13) }, bar.text),
    ];
  });
  const rest = all.length > bars.length ? `; e mais ${all.length - bars.length}` : "";
  return { said: bars.map((bar) => bar.said).join("; ") + rest, node: picture(bars.length * step, drawn) };
}

function deadlines(rows) {
  const byDay = new Array(DAYS + 1).fill(0);
  let over = 0;
  let later = 0;
  let unknown = 0;
  for (const { data_encerramento: end } of rows) {
    const days = end === null ? null : daysUntil(end);
    if (days === null) unknown += 1;
    else if (days < 0) over += 1;
    else if (days > DAYS) later += 1;
    else byDay[days] += 1;
  }
  const week = byDay.slice(0, 8).reduce((sum, count) => sum + count, 0);
  const month = byDay.reduce((sum, count) => sum + count, 0);
  const most = Math.max(...byDay, 1);
  const [height, wide] = [80, WIDTH / (DAYS + 1)];
  const bars = byDay.flatMap((count, days) => {
    if (!count) return [];
    const tall = Math.max(4, (count / most) * height);
    const bar = svg("rect", { class: days <= 3 ? "bar soon" : "bar", x: days * wide + 1, y: 18 + height - tall, width: wide - 2, height: tall, rx: 2 });
    bar.append(svg("title", {}, `${plural(count, "encerra", "encerram")} ${days === 0 ? "hoje" : `em ${plural(days, "dia", "dias")}`}`));
    return count === most ? [bar, svg("text", { class: "amount middle", x: days * wide + wide / 2, y: 13 + height - tall }, number(count))] : [bar];
  });
  const ticks = [0, 7, 14, 21, 30].flatMap((days) => [
    svg("line", { class: "tick", x1: days * wide + wide / 2, x2: days * wide + wide / 2, y1: 18 + height, y2: 23 + height }),
    svg("text", { class: `label ${days === 0 ? "" : days === 30 ? "end" : "middle"}`, x: days === 0 ? 0 : days === 30 ? WIDTH : days * wide + wide / 2, y: 37 + height }, days === 0 ? "hoje" : days === 30 ? "30 dias" : String(days)),
  ]);
  const axis = svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: 18 + height, y2: 18 + height });
  const parts = [[week, "em até 7 dias"], [month - week, "de 8 a 30 dias"], [later, "depois"], [over, "já encerradas"], [unknown, "sem prazo informado"]];
  const said = parts.filter(([count]) => count).map(([count, when]) => `${number(count)} ${when}`).join("; ");
  return figure("Prazo para propostas", { said, node: picture(height + 42, [axis, ...bars, ...ticks]) }, `${said}.`);
}

const picture = (height, drawn) => svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img" }, ...drawn);

function figure(title, { said, node }, note, instead = null) {
  if (!instead) node.setAttribute("aria-label", `${title}. ${said}.`);
  return el("figure", {}, el("figcaption", {}, title), instead ? el("p", {}, instead) : node, el("p", { class: "hint" }, note));
}
