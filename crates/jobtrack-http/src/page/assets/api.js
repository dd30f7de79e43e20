// Requests to this server's /v1, and to nobody else.

/** Where the server is: the folder above the page's own. */
const BASE = new URL("../", document.baseURI);

/** Tells the server that a script asks, so that a refusal does not open the browser's own dialog. */
const ASKER = { "X-Requested-With": "jobtrack" };

/** What the server refused, from its problem document. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.title ?? `status ${status}`);
    this.status = status;
    this.detail = this.message;
    this.kind = document.kind ?? "";
    this.field = document.field ?? null;
    this.position = document.position ?? null;
  }
}

/** The server cannot be reached. */
export class Unreachable extends Error {}

export class Api {
  #authorization = null;
  #signingIn = null;
  #askCredentials;

  /** `askCredentials(problem)` gives `{name, password}` once somebody has written them. */
  constructor(askCredentials) {
    this.#askCredentials = askCredentials;
  }

  /** Uses this name and password from now on; null forgets them. */
  identify(credentials) {
    this.#authorization = credentials && basic(credentials);
  }

  get isIdentified() {
    return this.#authorization !== null;
  }

  /** The JSON at this path. Parameters are pairs. */
  async get(path, params = [], { signal } = {}) {
    const response = await this.send("GET", path, { params, signal });
    return response.json();
  }

  /** Posts JSON, and gives the answer's. */
  async post(path, body, params = []) {
    const response = await this.send("POST", path, { params, body });
    return response.json();
  }

  /** The answer as it comes, for who reads it piece by piece. */
  async send(method, path, { params = [], body, headers = {}, signal } = {}) {
    for (;;) {
      const used = this.#authorization;
      const response = await this.#once(method, path, { params, body, headers, signal });
      if (response.ok) return response;
      const problem = await problemOf(response);
      if (response.status !== 401) throw problem;
      // Somebody else's request may have signed in meanwhile.
      if (this.#authorization === used) await this.#signIn(problem, used !== null);
      signal?.throwIfAborted();
    }
  }

  async #once(method, path, { params, body, headers, signal }) {
    const url = new URL(path.replace(/^\//, ""), BASE);
    // Blanks as %20: a plus would do, but is harder to read in a log.
    const query = params.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    if (query.length > 0) url.search = `${url.search ? `${url.search}&` : "?"}${query.join("&")}`;
    const init = {
      method,
      signal,
      headers: { ...ASKER, Accept: "application/json", ...headers },
      cache: "no-store",
      // Nothing of the browser's own: only what was written into the page's form.
      credentials: "omit",
      redirect: "error",
    };
    if (this.#authorization) init.headers.Authorization = this.#authorization;
    if (body !== undefined) init.body = JSON.stringify(body);
    try {
      return await fetch(url, init);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable("the server does not answer");
    }
  }

  /** One question at a time, whoever needs the answer. */
  async #signIn(problem, wasRefused) {
    this.#signingIn ??= this.#askCredentials(wasRefused ? problem : null).finally(() => {
      this.#signingIn = null;
    });
    this.identify(await this.#signingIn);
  }
}

async function problemOf(response) {
  try {
    return new Problem(response.status, await response.json());
  } catch {
    return new Problem(response.status, { detail: `${response.status} ${response.statusText}`.trim() });
  }
}

function basic({ name, password }) {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
