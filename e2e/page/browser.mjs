// Chromium, watched: what it complains of, and whom it speaks to.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Where Debian puts it. */
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export class Browser {
  #browser;
  /** Complaints that no check expected. */
  complaints = [];
  /** What a check may provoke: the browser itself logs each request that is refused. */
  #expected = [];

  #assets;

  /** `assets` is a folder with files to use in place of those in the binary. */
  static async launch({ assets } = {}) {
    const browser = new Browser();
    browser.#assets = assets;
    // Tests run as root, where Chromium's sandbox cannot; it is shown nothing but our own page.
    browser.#browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    return browser;
  }

  /** A page of its own, with nothing kept from the ones before. */
  async open(url, { width = 1440, height = 900, scheme = "light", reducedMotion = "reduce" } = {}) {
    const context = await this.#browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const origin = new URL(url).origin;
    page.on("request", (request) => {
      const asked = request.url();
      if (new URL(asked).origin !== origin) this.complaints.push(`a request to somewhere else: ${asked}`);
    });
    page.on("pageerror", (error) => this.complaints.push(`an error in the page: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      const text = `${message.text()} (${message.location().url})`;
      if (!this.#expected.some((expected) => expected.test(text))) this.complaints.push(`the console: ${text}`);
    });
    if (this.#assets) await page.route("**/ui/**", (route) => this.#replace(route));
    await page.goto(url);
    return page;
  }

  async #replace(route) {
    const name = new URL(route.request().url()).pathname.split("/ui/")[1] || "index.html";
    const response = await route.fetch();
    if (response.status() !== 200) return route.fulfill({ response });
    return route.fulfill({ response, body: readFileSync(join(this.#assets, name)) });
  }

  /** Complaints that match are the check's own doing, until it has ended. */
  async expecting(patterns, check) {
    this.#expected = patterns;
    try {
      await check();
    } finally {
      this.#expected = [];
    }
    if (this.complaints.length > 0) throw new Error(this.complaints.join("\n"));
  }

  close() {
    return this.#browser.close();
  }
}
