// What happens to the jobs that are shown, as it happens; and whether the server is there at all.

import { Unreachable } from "./api.js";
import { events } from "./stream.js";

/** Waits before connecting again, in milliseconds: doubled from the first to the last. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
/** The server says something every 15 s; after so long without, the connection is given up. */
const SILENCE = 40_000;

export class Live {
  #api;
  #handlers;
  #abort = null;

  /**
   * `handlers.event(name, data)` hears of each change, `handlers.gap()` that changes are missing,
   * `handlers.state(state)` is told "live", "waiting" (for the server) or "crowded" (there is no room
   * for another who watches).
   */
  constructor(api, handlers) {
    this.#api = api;
    this.#handlers = handlers;
  }

  /** Watches what matches, from this revision on, in place of what was watched before. */
  start(params, after) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#run(params, after, abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run(params, after, signal) {
    let position = after;
    let wait = FIRST_WAIT;
    while (!signal.aborted) {
      let pause = wait;
      let state = "waiting";
      try {
        for await (const event of this.#events(params, position, signal)) {
          if (signal.aborted) return;
          if (wait !== 0) this.#handlers.state("live");
          wait = 0;
          if (event.id) position = event.id;
          if (event.event === "gap") this.#handlers.gap();
          else if (event.event) this.#handlers.event(event.event, event.data);
        }
        pause = FIRST_WAIT;
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 400 || error.status === 410) {
          // Where it stood means nothing to this server: begin again.
          this.#handlers.gap();
          return;
        }
        // Any other 503 is of a server that is busy, or not open yet, and is waited for like none.
        if (error.kind === "too_many_watchers") state = "crowded";
        else if (!(error instanceof Unreachable) && error.status === undefined) console.warn(error);
      }
      if (signal.aborted) return;
      pause = Math.max(FIRST_WAIT, pause);
      // Many pages that lost the same server do not all come back at once.
      const jittered = pause * (0.75 + Math.random() / 2);
      this.#handlers.state(state);
      await delay(jittered, signal);
      wait = Math.min(pause * 2, LONGEST_WAIT);
    }
  }

  async *#events(params, position, signal) {
    const silence = new AbortController();
    const both = AbortSignal.any([signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE);
    try {
      const headers = { Accept: "text/event-stream" };
      if (position) headers["Last-Event-ID"] = position;
      const response = await this.#api.send("GET", "/v1/watch", { params, headers, signal: both });
      for await (const event of events(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE);
        yield event;
      }
    } catch (error) {
      // A body that breaks off is the network's affair, whatever the browser calls it.
      if (signal.aborted || error.status !== undefined) throw error;
      throw new Unreachable("the connection is lost");
    } finally {
      clearTimeout(timer);
    }
  }
}

function delay(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
    // Whoever looks again does not wait for the rest of it.
    addEventListener("online", resolve, { once: true });
  });
}
