// Brazilian formats; every time is shown in America/Sao_Paulo.

const ZONE = "America/Sao_Paulo";
const REAIS = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "BRL" });
const NUMBER = new Intl.NumberFormat("pt-BR");
const DAY = new Intl.DateTimeFormat("pt-BR", { timeZone: ZONE, day: "2-digit", month: "2-digit", year: "numeric" });
const TIME = new Intl.DateTimeFormat("pt-BR", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" });
const ISO_DAY = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit" });

const ROUND = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "BRL", notation: "compact", maximumFractionDigits: 1 });

export const roundMoney = (amount) => ROUND.format(Number(amount));
export const money = (amount) => REAIS.format(Number(amount));
export const number = (amount) => NUMBER.format(amount);
export const day = (moment) => DAY.format(new Date(moment));
export const dayAndTime = (moment) => `${DAY.format(new Date(moment))} às ${TIME.format(new Date(moment))}`;
export const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

/** `2026-07-13` as `13/07/2026`, without a time zone in between. */
export const isoDay = (iso) => iso.split("-").reverse().join("/");

/** `há 3 min`. */
export function ago(moment, now = Date.now()) {
  const minutes = Math.max(0, Math.floor((now - new Date(moment)) / 60000));
  if (minutes < 1) return "agora há pouco";
  if (minutes < 60) return `há ${minutes} min`;
  if (minutes < 48 * 60) return `há ${Math.floor(minutes / 60)} h`;
  return `há ${Math.floor(minutes / 1440)} dias`;
}

/** Calendar days from today in Brasília; negative once it is past. */
export function daysUntil(moment, now = Date.now()) {
  const end = new Date(moment);
  const days = Math.round((Date.parse(ISO_DAY.format(end)) - Date.parse(ISO_DAY.format(now))) / 86400000);
  return days === 0 && end <= now ? -1 : days;
}

/** The same in one or two words. */
export function daysLeft(moment, now = Date.now()) {
  const days = daysUntil(moment, now);
  if (days < 0) return { words: "Encerrado", urgency: "over" };
  return { words: days === 0 ? "Hoje" : plural(days, "dia", "dias"), urgency: days <= 3 ? "soon" : "" };
}

/** How long proposals are still taken: words and how urgent (`soon`, `over` or nothing). Days are calendar days. */
export function deadline(moment, now = Date.now()) {
  const end = new Date(moment);
  if (end <= now) return { words: `Prazo encerrado em ${day(end)}`, urgency: "over" };
  const days = daysUntil(end, now);
  const at = TIME.format(end);
  if (days === 0) return { words: `Encerra hoje às ${at}`, urgency: "soon" };
  if (days === 1) return { words: `Encerra amanhã às ${at}`, urgency: "soon" };
  return { words: `Encerra em ${days} dias — ${day(end)}, ${at}`, urgency: days <= 3 ? "soon" : "" };
}

/** `1.234,56` as the API's `1234.56`; what cannot be read goes as it is, for the server to refuse by name. */
export function amount(text) {
  const bare = text.replace(/R\$|\s/g, "");
  if (/^\d{1,3}(\.\d{3})+(,\d+)?$|^\d+,\d+$/.test(bare)) return bare.replaceAll(".", "").replace(",", ".");
  return bare;
}

/** `RJ, SP e MG`; a long list is counted. */
export function places(ufs) {
  if (ufs.length === 27) return "Brasil inteiro";
  if (ufs.length > 6) return `${ufs.length} estados`;
  return ufs.length > 1 ? `${ufs.slice(0, -1).join(", ")} e ${ufs.at(-1)}` : ufs.join("");
}
