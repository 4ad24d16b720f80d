// Elements are made, never parsed: what comes from a bid can only ever become text.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Make an element. `props` are attributes, but for `on` (listeners) and `data`; children are nodes or text. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make an element of a picture. */
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

export const icon = (name) => el("span", { class: `icon icon-${name}`, "aria-hidden": "true" });

/** Change a text only when it differs: a live region must not speak twice. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

let saying;
/** Tell a screen reader, at most once every two seconds, the newest word only. */
export function announce(text, { now = false } = {}) {
  clearTimeout(saying);
  saying = setTimeout(() => say($("#announcer"), text), now ? 50 : 2000);
}
