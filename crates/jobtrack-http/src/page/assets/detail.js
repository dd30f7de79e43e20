// One job: what it is, how it stands, what went wrong, what one may do about it.

import { el, hasEnded, icon, number, say, standing, visible } from "./text.js";
import { ago, coarse, full, ran, span } from "./times.js";
import { confirmAction } from "./dialogs.js";
import { family, familyOf } from "./family.js";
import { quoted } from "./filter.js";
import { timeline } from "./timeline.js";

/** How often a job that is open and not ended is asked for; changes in the list come sooner. */
const AGAIN = 2000;
/** However often it changes, it is not asked for more often than this. */
const SOON = 300;

export class Detail {
  #api;
  #view;
  #panel = document.getElementById("detail");
  #mayControl = () => false;
  #onChanged;
  #onClosed;
  #abort = null;
  #job = null;
  #drawn = "";
  #hasLog = true;
  #soon = 0;

  /**
   * `mayControl()` tells whether to offer changes, `onChanged(job)` hears of those made here, and
   * `onClosed(uuid)` takes the focus back.
   */
  constructor(api, view, { mayControl, onChanged, onClosed }) {
    this.#api = api;
    this.#view = view;
    this.#mayControl = mayControl;
    this.#onChanged = onChanged;
    this.#onClosed = onClosed;
    view.onChange((now, before) => {
      if (now.job !== before.job) this.#turn(before.job);
    });
    this.#panel.addEventListener("click", (event) => this.#follow(event));
    setInterval(() => {
      if (this.#job && !hasEnded(this.#job) && !document.hidden) this.refresh();
    }, AGAIN);
  }

  /** Shows the job that the view names, at the start. */
  begin() {
    if (this.#view.job) this.#turn(null, { takesFocus: false });
  }

  /** Asks again soon, if this is the job that is open. */
  touch(uuid) {
    if (uuid !== this.#view.job) return;
    this.#soon ||= setTimeout(() => {
      this.#soon = 0;
      this.refresh();
    }, SOON);
  }

  async refresh() {
    const uuid = this.#view.job;
    if (!uuid || !this.#abort) return;
    const { signal } = this.#abort;
    try {
      const job = await this.#api.get(`/v1/jobs/${encodeURIComponent(uuid)}`, [], { signal });
      const [log, kin, estimate] = await Promise.all([
        this.#log(uuid, signal), familyOf(this.#api, job, signal), this.#estimate(job, signal),
      ]);
      if (signal.aborted) return;
      this.#job = job;
      this.#draw(job, log, kin, estimate);
    } catch (error) {
      // That the server is away is told elsewhere, and what is shown stays.
      if (signal.aborted || error.status === undefined) return;
      this.#job = null;
      this.#drawFault(uuid, error);
    }
  }

  async #turn(before, { takesFocus = true } = {}) {
    this.#abort?.abort();
    this.#job = null;
    this.#drawn = "";
    const uuid = this.#view.job;
    this.#panel.hidden = !uuid;
    document.body.classList.toggle("with-detail", Boolean(uuid));
    if (!uuid) {
      this.#abort = null;
      this.#panel.replaceChildren();
      if (before) this.#onClosed(before);
      return;
    }
    this.#abort = new AbortController();
    await this.refresh();
    if (takesFocus) this.#panel.querySelector("h2")?.focus({ preventScroll: true });
  }

  async #log(uuid, signal) {
    if (!this.#hasLog) return null;
    try {
      return await this.#api.get(`/v1/jobs/${encodeURIComponent(uuid)}/log`, [], { signal });
    } catch (error) {
      // A server without logs has none of any job.
      if (error.kind === "no_such_path") this.#hasLog = false;
      if (error.status !== undefined) return null;
      throw error;
    }
  }

  async #estimate(job, signal) {
    if (job.state !== "running" || !job.progress?.total) return null;
    return (await this.#api.get(`/v1/jobs/${job.uuid}/progress`, [], { signal })).estimate ?? null;
  }

  #draw(job, log, kin, estimate) {
    // What is the same stays: a pointer, marked text, a screen reader may be on it.
    const drawn = JSON.stringify([job, log, kin, Math.round(estimate?.remaining ?? -1), this.#mayControl()]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = this.#panel.contains(document.activeElement) ? document.activeElement.id : null;
    const { scrollTop } = this.#panel;
    this.#panel.replaceChildren(
      this.#head(job),
      this.#actions(job),
      progress(job, estimate),
      fault(job),
      el("section", {}, el("h3", {}, "Timeline"), timeline(job, log)),
      kin ? family(kin, job, this.#view) : "",
      this.#facts(job),
    );
    this.#panel.scrollTop = scrollTop;
    if (focused) (document.getElementById(focused) ?? this.#panel.querySelector("h2")).focus({ preventScroll: true });
  }

  #head(job) {
    const { icon: name, tone, word } = standing(job);
    return el("header", { class: "detail-head" },
      el("div", { class: "detail-top" },
        el("span", { class: "state badge", "data-tone": tone }, icon(name), word),
        this.#copyLink(),
        this.#close()),
      el("h2", { id: "detail-title", tabindex: "-1" }, say(job.description || "(without a description)", 1000)),
      // How it failed stands below.
      job.message && job.state !== "failure" ? el("p", { class: "detail-message" }, say(job.message, 2000)) : "");
  }

  #close() {
    const button = el("button", { type: "button", id: "detail-close", class: "quiet icon", "aria-label": "Close this job", title: "Close (Escape)" }, icon("close"));
    button.addEventListener("click", () => this.#view.change({ job: null }));
    return button;
  }

  #copyLink() {
    const button = el("button", { type: "button", id: "detail-link", class: "quiet icon", "aria-label": "Copy the link to this job", title: "Copy the link" }, icon("link"));
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        document.getElementById("announcer").textContent = "The link is copied.";
        button.classList.add("done");
        setTimeout(() => button.classList.remove("done"), 1200);
      } catch {
        // Not everybody lets a page write there; the address stands in the bar.
      }
    });
    return button;
  }

  #actions(job) {
    if (!this.#mayControl() || hasEnded(job)) return "";
    const asked = job.requested?.action;
    const offered = [
      job.state === "running" && asked !== "pause" && job.allows?.pause !== false && ["pause", "Pause…"],
      (job.state === "paused" || asked === "pause") && asked !== "resume" && ["resume", "Resume…"],
      asked !== "cancel" && job.allows?.cancel !== false && ["cancel", "Cancel…"],
    ].filter(Boolean);
    if (offered.length === 0) return "";
    return el("div", { class: "actions", role: "group", "aria-label": "What to do with it" },
      ...offered.map(([action, text]) => {
        const button = el("button", { type: "button", id: `act-${action}`, class: action === "cancel" ? "secondary grave" : "secondary" }, text);
        button.addEventListener("click", () => this.#act(action, job));
        return button;
      }));
  }

  async #act(action, job) {
    await confirmAction(action, job, async (reason) => {
      const body = reason ? { action, reason } : { action };
      const changed = await this.#api.post(`/v1/jobs/${job.uuid}/request`, body);
      this.#onChanged(changed);
    });
    await this.refresh();
  }

  #facts(job) {
    const same = (field, value) => value && el("a", { href: this.#view.link({ filter: `${field}=${quoted(value)}`, job: null }), "data-filter": `${field}=${quoted(value)}`, title: "List those with the same" }, say(value, 300));
    const time = (value) => value && el("time", { datetime: value }, full(value));
    const rows = [
      ["UUID", el("code", {}, job.uuid)],
      ["Kind", same("kind", job.kind)],
      ["Node", same("node", job.node)],
      ["Scope", job.scope && (same("scope.name", job.scope.name) || say(job.scope.id ?? "", 300))],
      ...Object.entries(job.labels ?? {}).map(([name, value]) => [visible(name), value ? same(`labels.${name}`, value) : "(empty)"]),
      ["Held by", job.lease && el("span", {}, say(job.lease.holder, 300), ` until ${full(job.lease.until)}`)],
      ["Claims", job.claims > 0 && number(job.claims)],
      ["Lost workers", job.losses > 0 && number(job.losses)],
      ["Created", time(job.create_time)],
      ["Started", time(job.start_time)],
      ["Ended", time(job.end_time)],
      ["Deadline", time(job.deadline)],
      ["Kept", job.held ? "until it is let go" : job.retention !== undefined && `${span(job.retention * 1000)} after its end`],
      ["Kept by", job.held && keptBy(job.held)],
      ["Code", job.code ? String(job.code) : null],
      ["Revision", job.revision && el("code", {}, job.revision)],
    ];
    const list = el("dl", { class: "facts" });
    for (const [name, value] of rows) {
      if (value) list.append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
    }
    return el("section", {}, el("h3", {}, "Facts"), list);
  }

  #drawFault(uuid, error) {
    const what = error.status === 410 ? "This job is gone" : error.status === 404 ? "There is no such job" : "This job cannot be shown";
    this.#panel.replaceChildren(
      el("header", { class: "detail-head" },
        el("div", { class: "detail-top" }, el("span", { class: "state badge", "data-tone": "canceled" }, icon("canceled"), "gone"), this.#close()),
        el("h2", { id: "detail-title", tabindex: "-1" }, what)),
      el("p", { class: "detail-message" }, say(error.detail, 1000)),
      el("p", {}, el("code", {}, say(uuid, 100))));
  }

  /** Links to other views of this page need no new page. */
  #follow(event) {
    const link = event.target.closest("a[data-filter], a[data-job]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (link.dataset.job) this.#view.change({ job: link.dataset.job });
    else this.#view.change({ filter: link.dataset.filter, job: null });
  }
}

function keptBy({ by, time, reason }) {
  const why = reason ? [": “", say(reason, 500), "”"] : [];
  return el("span", {}, by ? say(by, 200) : "somebody", ` since ${full(time)}`, ...why);
}

function progress(job, estimate) {
  const { done, total, unit } = job.progress ?? {};
  const time = ran(job);
  if (done === undefined && time === null) return "";
  const section = el("section", { class: "detail-progress" }, el("h3", { class: "hidden" }, "Progress"));
  if (total > 0 && job.state !== "success") {
    const share = Math.min(100, (done / total) * 100);
    const meter = el("progress", { max: String(total), value: String(Math.min(done, total)), "aria-label": "Progress", "data-tone": standing(job).tone });
    section.append(el("p", { class: "detail-share" }, `${Math.floor(share)} %`), meter);
  }
  const words = [];
  if (done !== undefined) words.push(total > 0 ? `${number(done)} of ${number(total)}` : number(done), " ", say(unit ?? "", 60));
  if (time !== null) words.push(words.length ? " · " : "", hasEnded(job) ? `took ${span(time)}` : `started ${ago(job.start_time)}`);
  if (estimate) words.push(` · about ${coarse(estimate.remaining * 1000)} to go`);
  section.append(el("p", { class: "detail-amount" }, ...words));
  return section;
}

function fault(job) {
  if (job.state !== "failure") return "";
  const { message, target, code, arguments: given = [] } = job.error ?? { message: job.message, code: job.code };
  return el("section", { class: job.cause === "canceled" ? "detail-fault canceled" : "detail-fault" },
    el("h3", {}, job.cause === "canceled" ? "Why it ended" : "What went wrong"),
    el("p", { class: "fault-message" }, say(message || job.message || "", 4000)),
    el("p", { class: "fault-facts" }, `code ${code ?? job.code}`, ` · ${standing(job).word}`, target ? " · at " : "", target ? say(target, 300) : ""),
    given.length > 0 ? el("ul", {}, ...given.map((one) => el("li", {}, say(one.code ?? "", 200), ": ", say(one.message ?? "", 500)))) : "");
}
