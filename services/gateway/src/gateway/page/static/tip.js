// A badge that explains itself: on hover, on focus and on a click or touch; Escape closes it.

import { el } from "./dom.js";

let count = 0;

/** A button and the panel it describes. The panel is also the button's description for a screen reader. */
export function tip({ tone, label, content }) {
  const id = `tip-${++count}`;
  const panel = el("div", { class: "tip", id, role: "tooltip" }, content);
  const button = el(
    "button",
    { type: "button", class: "badge", "aria-describedby": id, "aria-expanded": "false", data: { tone } },
    label,
  );
  let pinned = false;
  const show = (open) => {
    panel.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
  };
  const away = () => {
    pinned = false;
    show(false);
  };
  button.addEventListener("click", () => {
    pinned = !pinned;
    show(pinned);
  });
  button.addEventListener("blur", away);
  for (const each of [button, panel]) {
    each.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(true));
    each.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(pinned));
  }
  button.addEventListener("focus", () => button.matches(":focus-visible") && show(true));
  button.addEventListener("keydown", (event) => event.key === "Escape" && away());
  return [button, panel];
}
