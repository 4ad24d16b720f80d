// What this browser remembers: searches asked, the company's profile, how results are shown. Never sent anywhere.

const SEARCHES = "farol.buscas";
const PROFILE = "farol.perfil";
const LAYOUT = "farol.visao";
const VERDICTS = "farol.avaliacoes";
const MOST_SEARCHES = 20;
const MOST_VERDICTS = 500;

function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    /* Private windows have no room: everything works without. */
  }
}

/** The searches of this browser, newest first: `{id, query, at, status, total}`. */
export const searches = () => read(SEARCHES, []).filter((each) => each?.id && each.query);

/** Remember a search or what became of it; one that is known keeps its place. */
export function keepSearch(id, known) {
  const all = searches();
  const place = all.findIndex((each) => each.id === id);
  if (place >= 0) all[place] = { ...all[place], ...known };
  else all.unshift({ id, at: Date.now(), ...known });
  write(SEARCHES, all.slice(0, MOST_SEARCHES));
}

export const forgetSearches = () => write(SEARCHES, null);

/** Home UF, size and value range as the form's fields hold them; null where nothing is kept. */
export const profile = () => read(PROFILE, null);
export const keepProfile = (fields) => write(PROFILE, fields);

/** What was said of a licitação in a search, `{user_verdict, category}`; undefined where nothing was. */
export const verdict = (search, bid) => read(VERDICTS, []).find(([key]) => key === `${search} ${bid}`)?.[1];

/** Remember it, or with null that it was taken back. */
export function keepVerdict(search, bid, told) {
  const others = read(VERDICTS, []).filter(([key]) => key !== `${search} ${bid}`);
  write(VERDICTS, (told ? [[`${search} ${bid}`, told], ...others] : others).slice(0, MOST_VERDICTS));
}

export const layout = () => (read(LAYOUT, "cards") === "table" ? "table" : "cards");
export const keepLayout = (name) => write(LAYOUT, name);
