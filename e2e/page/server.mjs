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
        const add = [...["user", "add", name, "--users", users.file, "--password-stdin"]];
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

  /** A call that must succeed. Bodies are objects, or text as it is, or made piece by piece. */
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
      if (body?.[Symbol.iterator] && typeof body !== "string") write(request, body).catch(reject);
      else if (body === undefined) request.end();
      else request.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }

  get(path, parameters) {
    return this.call("GET", path, undefined, parameters);
  }

  post(path, body, parameters) {
    return this.call("POST", path, body, parameters);
  }

  /** Fills it with so many jobs, in two streams, since most of it is reading lines. */
  async fill(count) {
    const now = Date.now();
    const halves = [0, 1].map((half) => this.post("/v1/import", pieces(every(2, half, history(count, now))), { retain: "30d" }));
    const told = await Promise.all(halves);
    const imported = told.reduce((sum, { imported }) => sum + imported, 0);
    if (imported !== count) throw new Error(`of ${count} jobs ${JSON.stringify(told).slice(0, 2000)}`);
  }
}

function* every(nth, first, jobs) {
  let index = 0;
  for (const job of jobs) if (index++ % nth === first) yield job;
}

function* pieces(jobs) {
  let lines = [];
  for (const job of jobs) {
    lines.push(JSON.stringify(job));
    if (lines.length === 1000) {
      yield `${lines.join("\n")}\n`;
      lines = [];
    }
  }
  yield `${lines.join("\n")}\n`;
}

async function write(request, body) {
  for (const piece of body) {
    if (!request.write(piece)) await new Promise((resolve) => request.once("drain", resolve));
  }
  request.end();
}
