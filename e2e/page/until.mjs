// Waiting for what must come, without a clock in what is asserted.

import assert from "node:assert/strict";

/** Asks until the answer is true, and fails with the last one otherwise. */
export async function until(what, ask, { patience = 15_000 } = {}) {
  const end = performance.now() + patience;
  let last;
  for (;;) {
    last = await ask();
    if (last) return last;
    if (performance.now() > end) assert.fail(`never: ${what} (last: ${JSON.stringify(last)})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The uuids of the rows that are drawn, from the top. */
export function drawn(page) {
  return page.$$eval("#rows tr.row", (rows) => rows.map((row) => row.dataset.uuid));
}

/** Waits until the list has been read for this view. */
export function ready(page) {
  return page.waitForFunction(() => document.getElementById("table").getAttribute("aria-busy") === "false"
    && performance.getEntriesByName("first-rows").length > 0);
}

/** Writes a filter as people do, and waits until the address has it. */
export async function filter(page, text) {
  await page.fill("#filter-text", text);
  await page.keyboard.press("Enter");
  await page.waitForFunction((text) => (new URLSearchParams(location.search).get("filter") ?? "") === text, text);
}
