// What is counted: jobs by state, jobs over time, and how many match the filter.
//
// Each is asked for when it may have changed and now and then besides, but never for more than a
// twentieth of the time that it takes the server: a page that is left open costs next to nothing.

import { Counters } from "./counters.js";
import { Plot } from "./plot.js";
import { number } from "./text.js";

/** How often at most, and without a reason, in milliseconds. */
const COUNTS = { soonest: 1000, again: 3000 };
const ACTIVITY = { soonest: 5000, again: 5000 };
const MATCHING = { soonest: 3000 };
const SHARE = 20;

export class Numbers {
  #api;
  #listing;
  #table;
  #counters;
  #plot;
  #counts;
  #activity;
  #matching = document.getElementById("matching");
  #counting = null;
  #countedAt = -Infinity;
  #countTook = 0;

  constructor(api, view, listing, table) {
    this.#api = api;
    this.#listing = listing;
    this.#table = table;
    this.#counters = new Counters(view);
    this.#plot = new Plot(() => this.#activity.ask());
    this.#counts = new Poll(api, "/v1/counts", COUNTS, () => [], (body) => this.#showCounts(body));
    const params = () => [...listing.params, ...this.#plot.params];
    this.#activity = new Poll(api, "/v1/activity", ACTIVITY, params, (body) => this.#plot.show(body));
  }

  /** All of it, for another view. */
  askAll() {
    this.askMatching();
    this.#counts.ask();
    this.#activity.ask();
  }

  askCounts() {
    this.#counts.ask();
  }

  /** How many match: kept for all jobs, counted for a filter, which may take its time. */
  async askMatching() {
    const { params } = this.#listing;
    const isSame = this.#counting?.params === params;
    const pause = Math.max(MATCHING.soonest, this.#countTook * SHARE);
    if (isSame && performance.now() - this.#countedAt < pause) return;
    this.#counting?.abort.abort();
    const abort = new AbortController();
    this.#counting = { params, abort };
    this.#countedAt = performance.now();
    if (params.length === 0) {
      this.#showMatching(this.#counters.total);
      return;
    }
    if (!isSame) this.#showMatching(null);
    try {
      const body = await this.#api.get("/v1/jobs", [...params, ["return_records", "false"]], { signal: abort.signal });
      this.#countTook = performance.now() - this.#countedAt;
      this.#showMatching(body.num_records);
    } catch {
      // Without the number the list is no worse.
    }
  }

  #showCounts(body) {
    this.#counters.show(body);
    if (this.#listing.params.length === 0) this.#showMatching(body.total);
  }

  #showMatching(total) {
    const isFiltered = this.#listing.params.length > 0;
    this.#matching.textContent = total === null ? "" : isFiltered ? `${number(total)} match` : number(total);
    this.#table.matching(total);
  }
}

/** Something that is asked for again and again, one request at a time. */
class Poll {
  #api;
  #path;
  #pauses;
  #params;
  #show;
  #asked = null;
  #isAsking = false;
  #notBefore = 0;
  #timer = 0;

  /** `show` is given each answer, and null where it took the server too long. */
  constructor(api, path, pauses, params, show) {
    this.#api = api;
    this.#path = path;
    this.#pauses = pauses;
    this.#params = params;
    this.#show = show;
    // Times go by without changes, too.
    setInterval(() => this.ask(), pauses.again);
  }

  /** Asks now if it may, and else as soon as it may. Another question does not wait. */
  async ask() {
    if (document.hidden) return;
    const params = this.#params();
    const asked = JSON.stringify(params);
    const isEarly = asked === this.#asked && performance.now() < this.#notBefore;
    if (this.#isAsking || isEarly) {
      this.#timer ||= setTimeout(() => {
        this.#timer = 0;
        this.ask();
      }, this.#isAsking ? 50 : this.#notBefore - performance.now());
      return;
    }
    this.#isAsking = true;
    this.#asked = asked;
    const began = performance.now();
    try {
      this.#show(await this.#api.get(this.#path, params));
    } catch (error) {
      if (error.kind === "deadline_exceeded") this.#show(null);
    } finally {
      this.#isAsking = false;
      const took = performance.now() - began;
      this.#notBefore = performance.now() + Math.max(this.#pauses.soonest - took, took * SHARE);
    }
  }
}
