// The jobs that a view shows, page by page, as far as somebody has looked.
//
// Pages are keyset: each is asked for by the token of the one before. The tokens are kept, the jobs
// only of the pages around what is seen, so that a long way down costs no memory, and the way back
// up asks for the same pages again.

import { learn } from "./times.js";

const PAGE = 100;
/** Pages kept with their jobs, on either side of those that are seen. */
const AROUND = 4;
/** Further down nobody scrolls; and no browser draws a higher table. */
const MOST_ROWS = 400_000;

const FIELDS = [
  "state", "requested.action", "cause", "description", "message", "code", "create_time",
  "start_time", "end_time", "kind", "node", "scope.name", "progress", "parent", "revision",
].join(",");

export class Listing {
  #api;
  #params = [];
  #order = "";
  #pages = [];
  #jobs = new Map();
  #abort = new AbortController();
  #more = null;
  #version = 0;
  #revision = "0-0";
  /** What was told of jobs while pages are on their way, which may be older than that. */
  #told = new Map();
  #asking = 0;

  constructor(api) {
    this.#api = api;
  }

  /** What a watch needs to speak of the same jobs. */
  get watchParams() {
    return [...this.#params, ["fields", FIELDS]];
  }

  /** The filter as parameters. */
  get params() {
    return this.#params;
  }

  /** How many rows are known of. */
  get length() {
    const last = this.#pages.at(-1);
    return last ? last.start + last.size : 0;
  }

  get isWhole() {
    return this.#pages.length > 0 && this.#pages.at(-1).next === null;
  }

  get isFull() {
    return this.length >= MOST_ROWS;
  }

  /** Loads the first page of this filter and order, and only then shows them. */
  async open(params, order) {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#more = null;
    const { signal } = this.#abort;
    const body = await this.#ask(params, order, null, signal);
    signal.throwIfAborted();
    this.#params = params;
    this.#order = order;
    this.#pages = [];
    this.#jobs.clear();
    this.#version++;
    this.#revision = body.revision;
    this.#add(null, body);
    return body.revision;
  }

  /** Loads the next page, unless that is happening already. False if there is none. */
  more() {
    if (this.isWhole || this.isFull || this.#pages.length === 0) return Promise.resolve(false);
    const token = this.#pages.at(-1).next;
    this.#more ??= this.#ask(this.#params, this.#order, token, this.#abort.signal)
      .then((body) => {
        if (this.#pages.at(-1)?.next !== token) return false;
        this.#add(token, body);
        return true;
      })
      .finally(() => {
        this.#more = null;
      });
    return this.#more;
  }

  /** The job in this row; undefined where its page is not kept. */
  at(row) {
    const page = this.#pageOf(row);
    return page?.jobs?.[row - page.start];
  }

  /** The job of this uuid, if it is among those kept. */
  job(uuid) {
    return this.#jobs.get(uuid);
  }

  /** Puts what is new of a job into its row; it stays where it is. False if it is in none. */
  update(job) {
    if (this.#asking > 0) this.#told.set(job.uuid, { job });
    const kept = this.#jobs.get(job.uuid);
    if (kept) renew(kept, job);
    return Boolean(kept);
  }

  /** Whether this list was read before that revision, and so cannot show what it changed. */
  isBefore(revision) {
    return isLater(revision, this.#revision);
  }

  /** Marks a job that does not belong here any more; its row stays until the list is read anew. */
  leave(uuid, how) {
    if (this.#asking > 0) this.#told.set(uuid, { ...this.#told.get(uuid), how });
    const kept = this.#jobs.get(uuid);
    if (kept) kept.left = how;
    return Boolean(kept);
  }

  /** Sees to it that these rows are kept, and lets go of those far away. True if all are there. */
  keep(from, to, whenLoaded) {
    let isThere = true;
    const first = this.#indexOf(from);
    const last = this.#indexOf(Math.max(from, to - 1));
    for (const [index, page] of this.#pages.entries()) {
      if (index >= first && index <= last) {
        if (!page.jobs) {
          isThere = false;
          this.#reload(page, whenLoaded);
        }
      } else if (page.jobs && (index < first - AROUND || index > last + AROUND)) {
        for (const job of page.jobs) this.#jobs.delete(job.uuid);
        page.jobs = null;
      }
    }
    return isThere;
  }

  async #reload(page, whenLoaded) {
    if (page.isLoading) return;
    page.isLoading = true;
    const version = this.#version;
    try {
      const body = await this.#ask(this.#params, this.#order, page.token, this.#abort.signal);
      if (version !== this.#version) return;
      // Fewer may be left by now; the pages behind it still begin where they did.
      page.jobs = body.records.slice(0, page.size);
      this.#take(page.jobs);
      whenLoaded();
    } catch {
      // Scrolling on asks again; that the server is away is told elsewhere.
    } finally {
      page.isLoading = false;
    }
  }

  async #ask(params, order, token, signal) {
    const asked = [...params, ["order_by", order], ["max_records", PAGE], ["fields", FIELDS]];
    if (token) asked.push(["start.token", token]);
    this.#asking++;
    try {
      return await this.#api.get("/v1/jobs", asked, { signal });
    } finally {
      // Once whoever asked has taken what came.
      setTimeout(() => {
        if (--this.#asking === 0) this.#told.clear();
      });
    }
  }

  /** Keeps these jobs, as they are by what has been told since they were read. */
  #take(jobs) {
    for (const job of jobs) {
      this.#jobs.set(job.uuid, job);
      const told = this.#told.get(job.uuid);
      if (told?.job) renew(job, told.job);
      // A list that is newer than that knows better.
      if (told?.how && !isLater(job.revision, told.job?.revision ?? job.revision)) job.left = told.how;
    }
  }

  #add(token, body) {
    learn(body.horizon);
    const next = body.next ? new URL(body.next, location).searchParams.get("start.token") : null;
    const jobs = body.records;
    this.#pages.push({ token, next, start: this.length, size: jobs.length, jobs, isLoading: false });
    this.#take(jobs);
  }

  #pageOf(row) {
    return this.#pages[this.#indexOf(row)];
  }

  /** By halving: there may be thousands of pages. */
  #indexOf(row) {
    let low = 0;
    let high = this.#pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#pages[middle].start <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Makes a job what it was later; what it was before changes nothing. */
function renew(kept, job) {
  if (!isLater(job.revision, kept.revision)) return;
  for (const name of Object.keys(kept)) if (!(name in job)) delete kept[name];
  Object.assign(kept, job);
}

/** Whether the first revision comes after the second: by epoch, then by number. */
function isLater(first, second) {
  if (!first || !second) return true;
  const [epoch, number] = first.split("-").map(Number);
  const [otherEpoch, otherNumber] = second.split("-").map(Number);
  return epoch > otherEpoch || (epoch === otherEpoch && number > otherNumber);
}
