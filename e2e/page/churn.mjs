// Jobs that begin, report and end, five hundred changes a second.

import { newJob, random } from "./jobs.mjs";

/** Turns a second, and what each of them does. */
const TURNS = 10;
const CREATED = 20;
const REPORTS = 30;

export class Churn {
  #server;
  #random = random(7);
  #live = [];
  #timer = null;
  #turns = Promise.resolve();
  #began = 0;
  changes = 0;
  fault = null;
  #watched = [];

  constructor(server) {
    this.#server = server;
  }

  /** Somebody looks at these: every other report is one of theirs, and they do not end. */
  watch(uuids) {
    this.#watched = uuids.filter((uuid) => this.#live.includes(uuid));
  }

  start() {
    this.#began = performance.now();
    this.#timer = setInterval(() => {
      this.#turns = this.#turns.then(() => this.#turn()).catch((error) => {
        this.fault ??= error;
      });
    }, 1000 / TURNS);
  }

  /** Stops it, and says how many changes there were in a second. */
  async stop() {
    clearInterval(this.#timer);
    const seconds = (performance.now() - this.#began) / 1000;
    await this.#turns;
    if (this.fault) throw this.fault;
    return this.changes / seconds;
  }

  /** New jobs are created and started, and as many of the oldest end; the others report. */
  async #turn() {
    const created = Array.from({ length: CREATED }, () => newJob(this.#random));
    const lines = created.map((job) => {
      const now = new Date().toISOString();
      return JSON.stringify({ ...job, state: "running", create_time: now, start_time: now, update_time: now });
    });
    await this.#server.post("/v1/import", `${lines.join("\n")}\n`);
    this.#live.push(...created.map((job) => job.uuid));
    const oldest = this.#live.length > 200 ? this.#live.splice(0, CREATED) : [];
    const ended = oldest.filter((uuid) => !this.#watched.includes(uuid));
    const reports = Array.from({ length: REPORTS }, (_, index) => {
      const among = index % 2 === 0 && this.#watched.length > 0 ? this.#watched : this.#live;
      const uuid = among[this.#random.below(among.length)];
      const done = this.#random.below(1000);
      return this.#do(uuid, "report", { message: `Step ${this.changes + index}`, progress: { done, total: 1000, unit: "steps" } });
    });
    const ends = ended.map((uuid) => this.#do(uuid, "finish", { state: "success", message: "done" }));
    await Promise.all([...reports, ...ends]);
    this.changes += created.length + reports.length + ends.length;
  }

  #do(uuid, change, body) {
    return this.#server.post(`/v1/jobs/${uuid}/${change}`, body, { durability: "deferred" });
  }
}
