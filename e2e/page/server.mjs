// A jobtrack server of the test's own, and calls of its native face.

import http from "node:http";
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { history } from "./jobs.mjs";

export class Server {
  #binary;
  #arguments;
  #process = null;
  #agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  #authorization;
  port = 0;

  constructor(binary, { store = "memory:", users = null } = {}) {
    this.#binary = binary;
    this.#arguments = ["serve", "--store", store];
    if (users) {
      for (const { name, password } of users.people) {
        const add = [...["user", "add", name, "--users", users.file, "--role", "admin", "--password-stdin"]];
        const added = spawnSync(binary, add, { input: password });
        if (added.status !== 0) throw new Error(`user add: ${added.stderr}`);
      }
      this.#arguments.push("--users", users.file);
      const [{ name, password }] = users.people;
      this.#authorization = `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
    }
  }

  /** Starts it, at the port that it had before if it had one. */
  async start() {
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    this.#process = spawn(this.#binary, [...this.#arguments, ...listen], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((_, reject) => {
      this.#process.once("exit", (status) => reject(new Error(`the server ended with status ${status}`)));
    });
    ended.catch(() => {});
    const lines = createInterface({ input: this.#process.stdout });
    const listening = new Promise((resolve) => {
      lines.on("line", (line) => {
        const port = /^listening on +http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
        if (port) this.port = Number(port);
        if (line.startsWith("try ")) resolve();
      });
    });
    await Promise.race([listening, ended]);
    return this;
  }

  async stop() {
    if (!this.#process) return;
    const process = this.#process;
    this.#process = null;
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill("SIGTERM");
    await ended;
  }

  get page() {
    return `http://127.0.0.1:${this.port}/ui/`;
  }

  /** A call that must succeed. Bodies are objects, or text as it is. */
  call(method, path, body, parameters = {}) {
    const query = new URLSearchParams(parameters).toString().replaceAll("+", "%20");
    const headers = this.#authorization ? { Authorization: this.#authorization } : {};
    const options = { agent: this.#agent, host: "127.0.0.1", port: this.port, method, headers, path: query ? `${path}?${query}` : path };
    return new Promise((resolve, reject) => {
      const request = http.request(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece) => {
          text += piece;
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
          else resolve(JSON.parse(text));
        });
      });
      request.on("error", reject);
      if (body === undefined) request.end();
      else request.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }

  get(path, parameters) {
    return this.call("GET", path, undefined, parameters);
  }

  post(path, body, parameters) {
    return this.call("POST", path, body, parameters);
  }

  /** Fills it with so many jobs, by two requests at a time, since most of it is reading lines. */
  async fill(count) {
    const batches = batchesOf(history(count, Date.now()));
    let imported = 0;
    const work = async () => {
      for (const lines of batches) {
        const told = await this.post("/v1/import", lines, { retain: "365d" });
        if (told.bad_count > 0) throw new Error(`import: ${JSON.stringify(told).slice(0, 2000)}`);
        imported += told.imported;
      }
    };
    await Promise.all([work(), work()]);
    if (imported !== count) throw new Error(`of ${count} jobs ${imported} were imported`);
  }
}

/** Jobs as lines, some at a time. A generator, so that those who work share what is left. */
function* batchesOf(jobs) {
  let lines = [];
  for (const job of jobs) {
    lines.push(JSON.stringify(job));
    if (lines.length === 5000) {
      yield `${lines.join("\n")}\n`;
      lines = [];
    }
  }
  if (lines.length > 0) yield `${lines.join("\n")}\n`;
}
