// One row of the table: made once, and then only what has changed in it is written.

import { el, hasEnded, icon, number, put, standing, visible } from "./text.js";
import { ago, full, ran, short, span } from "./times.js";

/** Makes an empty row. `link(uuid)` gives the address of a job's view. */
export function makeRow(link) {
  const parts = {
    icon: el("span", { class: "state-icon" }),
    word: el("span", { class: "state-word" }),
    link: el("a", { class: "job-link", tabindex: "-1" }, el("bdi")),
    message: el("bdi"),
    kind: el("bdi"),
    node: el("bdi"),
    scope: el("bdi"),
    bar: el("span", { class: "bar-fill" }),
    meter: null,
    amount: el("span", { class: "amount" }),
    created: el("time"),
    took: el("span"),
  };
  parts.meter = el("span", { class: "meter", "aria-hidden": "true" }, parts.bar);
  const row = el(
    "tr",
    { class: "row" },
    el("td", { class: "c-state" }, el("span", { class: "state" }, parts.icon, parts.word)),
    el("th", { class: "c-job", scope: "row" }, parts.link, el("span", { class: "message" }, parts.message)),
    el("td", { class: "c-kind" }, parts.kind),
    el("td", { class: "c-place" }, parts.node),
    el("td", { class: "c-scope" }, parts.scope),
    el("td", { class: "c-progress" }, parts.meter, parts.amount),
    el("td", { class: "c-created" }, parts.created),
    el("td", { class: "c-took" }, parts.took),
  );
  row.parts = parts;
  row.link = link;
  return row;
}

/** Writes this job into the row. */
export function fillRow(row, job, index) {
  const { parts } = row;
  if (row.uuid !== job.uuid) {
    row.uuid = job.uuid;
    row.dataset.uuid = job.uuid;
    parts.link.href = row.link(job.uuid);
  }
  // The head is the first row.
  attribute(row, "aria-rowindex", String(index + 2));
  const isGone = job.left === "expired" || job.left === "deleted";
  const state = isGone ? { icon: "canceled", tone: "canceled", word: job.left } : standing(job);
  if (parts.icon.shown !== state.icon) {
    parts.icon.shown = state.icon;
    parts.icon.replaceChildren(icon(state.icon));
  }
  write(parts.word, state.word);
  attribute(row, "data-tone", state.tone);
  if (row.classList.contains("left") !== Boolean(job.left)) row.classList.toggle("left");
  put(parts.link.firstChild, job.description || job.uuid);
  // Of what has ended well there is nothing more to say than that.
  put(parts.message, job.message ?? "");
  put(parts.kind, job.kind ?? "");
  put(parts.node, job.node ?? "");
  put(parts.scope, job.scope?.name ?? "");
  fillProgress(parts, job);
  tickRow(row, job);
}

/** Writes what changes with time alone. */
export function tickRow(row, job) {
  const { created, took } = row.parts;
  if (created.dateTime !== job.create_time) {
    created.dateTime = job.create_time;
    created.title = full(job.create_time);
  }
  write(created, ago(job.create_time));
  const time = ran(job);
  write(took, time === null ? "" : hasEnded(job) ? span(time) : short(time));
}

function fillProgress({ meter, bar, amount }, job) {
  // How far it was when it had done all of it says nothing.
  const { done, total, unit } = (job.state !== "success" && job.progress) || {};
  const isShown = done !== undefined && total > 0;
  meter.hidden = !isShown;
  if (isShown) {
    const share = Math.min(1, done / total);
    const width = `${(share * 100).toFixed(1)}%`;
    if (bar.shown !== width) {
      bar.shown = width;
      bar.style.width = width;
    }
    write(amount, `${Math.floor(share * 100)} %`);
    attribute(amount, "title", `${number(done)} of ${number(total)} ${visible(unit ?? "")}`.trim());
  } else {
    write(amount, done === undefined ? "" : number(done));
    amount.removeAttribute("title");
  }
}

function write(element, text) {
  if (element.shownText !== text) {
    element.shownText = text;
    element.textContent = text;
  }
}

function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
