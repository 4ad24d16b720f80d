// A badge that explains itself: on hover, on focus and on a click or touch; Escape closes it wherever the focus is.

import { $$, el } from "./dom.js";

let count = 0;

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") for (const panel of $$(".tip.open")) panel.dispatchEvent(new Event("dismiss"));
});

/**
 * A button and the panel it describes. The panel is also the button's description for a screen reader. `act` names the
 * button among those of its card, so that a card that is made again gives it back as it was.
 */
export function tip({ act, tone, label, content }) {
  const id = `tip-${++count}`;
  const panel = el("div", { class: "tip", id, role: "tooltip" }, content);
  const button = el(
    "button",
    { type: "button", class: "badge", "aria-describedby": id, "aria-expanded": "false", data: { act, tone } },
    label,
  );
  let pinned = false;
  const show = (open) => {
    panel.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
  };
  const pin = (on) => {
    pinned = on;
    button.toggleAttribute("data-pressed", on);
    show(on);
  };
  const away = () => pin(false);
  button.addEventListener("click", () => pin(!pinned));
  panel.addEventListener("dismiss", away);
  button.addEventListener("blur", () => button.isConnected && away());
  for (const each of [button, panel]) {
    each.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(true));
    each.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(pinned));
  }
  button.addEventListener("focus", () => button.matches(":focus-visible") && show(true));
  return [button, panel];
}
