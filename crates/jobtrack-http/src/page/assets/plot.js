// Arrivals and failures over time, of the jobs that are still kept: bars upwards for jobs that were
// created, downwards for those that failed, on one scale.

import { counted, el, number, svg } from "./text.js";
import { day, minute } from "./times.js";

const SPANS = [
  { name: "5 min", says: "five minutes", seconds: 300, buckets: 60 },
  { name: "1 h", says: "hour", seconds: 3600, buckets: 60 },
  { name: "1 d", says: "day", seconds: 86_400, buckets: 72 },
  { name: "7 d", says: "week", seconds: 604_800, buckets: 84 },
];
const KEY = "jobtrack.span";
const WIDTH = 480;
const HEIGHT = 72;

export class Plot {
  #figure = document.getElementById("plot");
  #drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #says = el("figcaption", { class: "plot-says" });
  #scale = el("div", { class: "plot-scale", "aria-hidden": "true" });
  #span = kept();
  #onSpan;

  /** `onSpan` is called when somebody chose another stretch of time. */
  constructor(onSpan) {
    this.#onSpan = onSpan;
    const choice = el("div", { class: "plot-spans", role: "group", "aria-label": "Stretch of time" });
    for (const span of SPANS) {
      const button = el("button", { type: "button", class: "quiet", "aria-pressed": String(span === this.#span) }, span.name);
      button.addEventListener("click", () => this.#choose(span, choice, button));
      choice.append(button);
    }
    this.#figure.append(el("div", { class: "plot-head" }, this.#says, choice), this.#drawing, this.#scale);
  }

  /** What to ask `/v1/activity` for. */
  get params() {
    return [["span", this.#span.seconds], ["buckets", this.#span.buckets]];
  }

  /** Draws the answer; null where it took the server too long. */
  show(activity) {
    this.#figure.classList.toggle("without", activity === null);
    if (activity === null) {
      this.#drawing.replaceChildren();
      this.#scale.replaceChildren();
      this.#says.textContent = "Too much to count over time with this filter";
      return;
    }
    const { created, failed, succeeded } = activity;
    const most = Math.max(1, ...created);
    // One scale for both, and all of the room.
    const unit = (HEIGHT - 6) / (most + Math.max(0, ...failed));
    const base = 3 + most * unit;
    const wide = WIDTH / created.length;
    const gap = Math.min(1.5, wide / 5);
    const height = (count) => (count === 0 ? 0 : Math.max(1.5, count * unit));
    const bars = [svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: base, y2: base })];
    for (const [index, count] of created.entries()) {
      const x = index * wide + gap / 2;
      const title = svg("title");
      const from = Date.parse(activity.from) + index * activity.step * 1000;
      title.textContent = `${label(from, this.#span)}: ${number(count)} created, ${number(succeeded[index])} succeeded, ${number(failed[index])} failed`;
      const up = height(count);
      const down = height(failed[index]);
      const width = wide - gap;
      bars.push(
        svg("g", { class: "bucket" },
          svg("rect", { class: "room", x: index * wide, y: 0, width: wide, height: HEIGHT }),
          svg("rect", { class: "created", x, y: base - up, width, height: up }),
          svg("rect", { class: "failed", x, y: base + 0.75, width, height: down }),
          title),
      );
    }
    this.#drawing.replaceChildren(...bars);
    const sum = (counts) => counts.reduce((total, count) => total + count, 0);
    this.#legend(sum(created), sum(failed));
    const summary = `In the last ${this.#span.says}: ${counted(sum(created), "job")} created, ${number(sum(failed))} failed; at most ${number(most)} in one bar.`;
    this.#drawing.setAttribute("aria-label", summary);
    const middle = (Date.parse(activity.from) + Date.parse(activity.to)) / 2;
    const marks = [Date.parse(activity.from), middle].map((time) => el("span", {}, label(time, this.#span)));
    this.#scale.replaceChildren(...marks, el("span", {}, "now"));
  }

  #legend(created, failed) {
    this.#says.replaceChildren(
      el("span", { class: "key created" }), `${number(created)} created `,
      el("span", { class: "key failed" }), `${number(failed)} failed`,
    );
  }

  #choose(span, choice, pressed) {
    this.#span = span;
    for (const button of choice.children) button.setAttribute("aria-pressed", String(button === pressed));
    try {
      localStorage.setItem(KEY, span.name);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
    this.#onSpan();
  }
}

function kept() {
  try {
    return SPANS.find((span) => span.name === localStorage.getItem(KEY)) ?? SPANS[0];
  } catch {
    return SPANS[0];
  }
}

function label(time, span) {
  return span.seconds > 86_400 ? `${day(time)} ${minute(time)}` : minute(time);
}
