// How many jobs there are in each state: the server's kept counts, and a filter by one press.

import { el, icon, number } from "./text.js";
import { fieldOf, withField } from "./filter.js";

const STATES = [
  ["queued", "Queued"],
  ["running", "Running"],
  ["paused", "Paused"],
  ["success", "Succeeded"],
  ["failure", "Failed"],
];

export class Counters {
  #view;
  #buttons = new Map();
  total = null;

  constructor(view) {
    this.#view = view;
    const group = document.getElementById("counters");
    group.append(this.#make("", "All jobs"));
    for (const [state, name] of STATES) group.append(this.#make(state, name));
    view.onChange(() => this.#press());
    this.#press();
  }

  /** Shows what `/v1/counts` answered. */
  show(counts) {
    this.total = counts.total;
    for (const [state, { count }] of this.#buttons) {
      const text = number(state ? counts.states[state] : counts.total);
      if (count.textContent !== text) count.textContent = text;
    }
  }

  #make(state, name) {
    const count = el("span", { class: "count" }, "–");
    const label = el("span", { class: "count-name" }, state ? icon(state) : "", name);
    const button = el("button", { type: "button", class: "counter", "data-tone": state || "all" }, count, label);
    button.addEventListener("click", () => {
      const { filter } = this.#view;
      const isPressed = state !== "" && fieldOf(filter, "state") === state;
      this.#view.change({ filter: withField(filter, "state", state && !isPressed ? state : null) });
    });
    this.#buttons.set(state, { button, count });
    return button;
  }

  #press() {
    const filtered = fieldOf(this.#view.filter, "state");
    for (const [state, { button }] of this.#buttons) {
      button.setAttribute("aria-pressed", String(filtered === (state || null)));
    }
  }
}
