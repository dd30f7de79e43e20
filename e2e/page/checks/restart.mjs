// The server goes away under the open page, and comes back.

import assert from "node:assert/strict";
import { drawn, ready, until } from "../until.mjs";

export const CHECKS = [
  {
    name: "the server restarted under the open page",
    check: restart,
    // The browser logs what it could not reach; what broke off in the middle it logs, too, and that the
    // store was not open yet.
    expects: [/status of 503 /, /net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/],
  },
];

async function restart({ browser, server }) {
  const { uuid: first } = await server.post("/v1/jobs", { description: "Before" });
  const page = await browser.open(server.page);
  await ready(page);
  await until("it is live", async () => (await page.textContent("#status")) === "Live");
  await page.evaluate(() => {
    globalThis.isTheSamePage = true;
  });
  await server.stop();
  await until("it says so, quietly", async () => (await page.textContent("#status")) === "Reconnecting…");
  assert.equal(await page.$("dialog"), null);
  assert.deepEqual(await drawn(page), [first]);
  await server.start();
  const { uuid: second } = await server.post("/v1/jobs", { description: "After" });
  await server.post(`/v1/jobs/${first}/start`);
  await until("it is live again", async () => (await page.textContent("#status")) === "Live", { patience: 30_000 });
  await until("what happened since", async () => (await drawn(page)).join() === [second, first].join());
  await until("in every row", async () => (await page.textContent(`#rows tr[data-uuid="${first}"] .state-word`)) === "running");
  await until("and in the counters", async () => (await page.textContent("#counters .counter[data-tone=running] .count")) === "1");
  assert.equal(await page.evaluate(() => globalThis.isTheSamePage), true);
  await page.close();
}
