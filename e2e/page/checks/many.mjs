// A server full of jobs: listing, filtering, ordering, paging, one job, and changing it.

import assert from "node:assert/strict";
import { accessible } from "../accessible.mjs";
import { drawn, filter, ready, until } from "../until.mjs";

/** More rows than this are never drawn, however many there are. */
const MOST_DRAWN = 80;

export const CHECKS = [
  { name: "the page loads", check: load },
  { name: "a filter", check: filtering },
  { name: "words are searched for", check: searching },
  { name: "a filter error stands under its word", check: faults, expects: [/status of 400 .*\/v1\/jobs/] },
  { name: "an order by a column", check: ordering },
  { name: "down the pages and back", check: paging },
  { name: "one job, with a link of its own", check: opening },
  { name: "the keyboard", check: keys },
  { name: "pause, resume and cancel", check: changing },
  { name: "a family", check: families },
  { name: "a job that is gone", check: gone, expects: [/status of 404 .*\/v1\/jobs/] },
  { name: "nothing that axe-core finds, light", check: (stage) => views(stage, { scheme: "light" }) },
  { name: "nothing that axe-core finds, dark", check: (stage) => views(stage, { scheme: "dark" }) },
  { name: "nothing that axe-core finds, narrow", check: (stage) => views(stage, { width: 390, height: 844 }) },
];

async function load({ browser, server, tell }) {
  const page = await browser.open(server.page);
  await ready(page);
  const first = await page.evaluate(() => performance.getEntriesByName("first-rows")[0].startTime);
  tell(`first rows after ${first.toFixed(0)} ms`);
  const rows = await drawn(page);
  assert.ok(rows.length >= 10 && rows.length <= MOST_DRAWN, `${rows.length} rows`);
  const { records } = await server.get("/v1/jobs", { order_by: "create_time desc", max_records: rows.length, fields: "uuid" });
  assert.deepEqual(rows, records.map((job) => job.uuid));
  const { total, states } = await server.get("/v1/counts");
  await until("the counters", async () => {
    const shown = await page.$$eval("#counters .count", (counts) => counts.map((count) => Number(count.textContent.replaceAll(",", ""))));
    return JSON.stringify(shown) === JSON.stringify([total, states.queued, states.running, states.paused, states.success, states.failure]);
  });
  await until("the number of rows", async () => (await page.getAttribute("#table", "aria-rowcount")) === String(total + 1));
  await until("the plot", async () => (await page.$$("#plot .bucket")).length === 60);
  assert.match(await page.getAttribute("#plot > svg", "aria-label"), /^In the last five minutes: [\d,]+ jobs created/);
  assert.equal(await page.textContent("#status"), "Live");
  // The browser keeps the files, and is told that they are the same.
  const again = page.waitForResponse((response) => response.url().endsWith("/main.js"));
  const kept = await page.evaluate(async () => {
    const { headers } = await fetch("main.js");
    return (await fetch("main.js", { headers: { "If-None-Match": headers.get("etag") }, cache: "no-store" })).status;
  });
  await again;
  assert.equal(kept, 304);
  await page.close();
}

async function filtering({ browser, server }) {
  const page = await browser.open(server.page);
  await ready(page);
  const text = "state=failure cause=!canceled kind=backup|restore";
  await filter(page, text);
  const asked = { state: "failure", cause: "!canceled", kind: "backup|restore" };
  const { num_records: count } = await server.get("/v1/jobs", { ...asked, return_records: false });
  assert.ok(count > 0);
  await until("the number that match", async () => (await page.textContent("#matching")) === `${count.toLocaleString("en")} match`);
  const words = await page.$$eval("#rows .state-word", (cells) => [...new Set(cells.map((cell) => cell.textContent))]);
  assert.deepEqual(words, ["failed"]);
  const { records } = await server.get("/v1/jobs", { ...asked, order_by: "create_time desc", max_records: 5, fields: "uuid" });
  assert.deepEqual((await drawn(page)).slice(0, 5), records.map((job) => job.uuid));
  // A counter is a filter by one press, and once more takes it back.
  await page.click("#counters .counter[data-tone=success]");
  assert.equal(await page.inputValue("#filter-text"), text.replace("failure", "success"));
  await page.click("#counters .counter[data-tone=success]");
  assert.equal(await page.inputValue("#filter-text"), "cause=!canceled kind=backup|restore");
  // Back, and back, and the first view is there again.
  await page.goBack();
  await page.goBack();
  assert.equal(await page.inputValue("#filter-text"), text);
  await page.goBack();
  assert.equal(await page.inputValue("#filter-text"), "");
  // An example is a filter by one press, too.
  await page.click("#examples button >> text=state=running");
  await until("the example's rows", async () =>
    (await page.$$eval("#rows .state-word", (cells) => [...new Set(cells.map((cell) => cell.textContent))])).join() === "running");
  await page.close();
}

async function searching({ browser, server }) {
  const page = await browser.open(server.page);
  await ready(page);
  await filter(page, 'vol11 "in use" state=failure');
  const asked = { query: 'vol11 "in use"', query_fields: "description,message,kind,node,scope.name", state: "failure", order_by: "create_time desc", max_records: 3 };
  const { records } = await server.get("/v1/jobs", asked);
  assert.ok(records.length > 0);
  await until("the rows found", async () => (await drawn(page)).slice(0, 3).join() === records.map((job) => job.uuid).join());
  await filter(page, "no-such-word-anywhere");
  await until("an answer to nothing found", async () => (await page.textContent("#foot")).startsWith("No job matches"));
  // An identity needs no field's name.
  await filter(page, records[0].uuid);
  await until("the one job", async () => (await drawn(page)).join() === records[0].uuid);
  await page.close();
}

async function faults({ browser, server }) {
  const page = await browser.open(server.page);
  await ready(page);
  const before = await drawn(page);
  const cases = [
    ["kind=backup state=running|bogus node=node1", "bogus", /none of queued, running/],
    ["code=3|5x", "5x", /./],
    ["create_time=2026 kind=backup", "\u00a0", /./],
    ['message=é|"x', '"x', /./],
    ["nosuch=1 state=running", "nosuch", /nosuch/],
    ["state=running state=queued", "state", /twice/],
    ["kind=backup code>5", "code>5", /write code=>5/],
    ["state=", "\u00a0", /./],
  ];
  for (const [text, word, says] of cases) {
    await page.fill("#filter-text", text);
    await page.keyboard.press("Enter");
    const mark = await page.waitForSelector("#filter-mirror mark");
    await until(text, async () => (await page.textContent("#filter-mirror mark")) === word);
    assert.match(await page.textContent("#filter-problem"), says);
    assert.equal(await page.getAttribute("#filter-text", "aria-invalid"), "true");
    // It stands under the word: they begin at the same place.
    const [under, marked] = [await page.locator(".problem-text").boundingBox(), await mark.boundingBox()];
    assert.ok(Math.abs(under.x - marked.x) < 24, `${text}: at ${under.x}, the word at ${marked.x}`);
    // What was listed stays.
    assert.deepEqual((await drawn(page)).length, before.length);
  }
  await accessible(page);
  await filter(page, "state=running");
  await until("no fault any more", async () => (await page.getAttribute("#filter-text", "aria-invalid")) === null);
  assert.equal(await page.textContent("#filter-problem"), "");
  await page.close();
}

async function ordering({ browser, server }) {
  const page = await browser.open(`${server.page}?filter=${encodeURIComponent("state=success|failure")}`);
  await ready(page);
  for (const [column, field, first] of [["kind", "kind", "asc"], ["created", "create_time", "desc"], ["job", "description", "asc"]]) {
    const head = page.locator(`th.c-${column}`).first();
    for (const direction of [first, first === "asc" ? "desc" : "asc"]) {
      // The one in use is turned round already.
      if ((await head.getAttribute("aria-sort")) !== spelled(direction)) await head.locator("button").click();
      await until("the order is shown", async () => (await head.getAttribute("aria-sort")) === spelled(direction));
      const { records } = await server.get("/v1/jobs", { state: "success|failure", order_by: `${field} ${direction}`, max_records: 5, fields: "uuid" });
      await until(`${field} ${direction}`, async () => (await drawn(page)).slice(0, 5).join() === records.map((job) => job.uuid).join());
    }
  }
  assert.match(page.url(), /order=description/);
  await page.close();
}

function spelled(direction) {
  return direction === "asc" ? "ascending" : "descending";
}

async function paging({ browser, server, tell }) {
  // Of those that have ended, so that nothing moves meanwhile.
  const page = await browser.open(`${server.page}?filter=${encodeURIComponent("state=success")}`);
  await ready(page);
  const top = await drawn(page);
  const expected = [];
  let next = null;
  while (expected.length < 3000) {
    const more = next ? { "start.token": next } : {};
    const body = await server.get("/v1/jobs", { state: "success", order_by: "create_time desc", max_records: 1000, fields: "uuid", ...more });
    expected.push(...body.records.map((job) => job.uuid));
    if (!body.next) break;
    next = new URL(body.next, server.page).searchParams.get("start.token");
  }
  const goal = Math.min(2500, expected.length - 50);
  let most = 0;
  await until(`row ${goal}`, async () => {
    await page.evaluate((goal) => {
      const scroller = document.getElementById("scroller");
      scroller.scrollTop = Math.min(scroller.scrollTop + 3000, goal * 50);
    }, goal);
    most = Math.max(most, await page.$$eval("tr", (rows) => rows.length));
    return page.$$eval("#rows tr.row", (rows, goal) => rows.at(-1)?.index >= goal, goal);
  });
  const rows = await until("every row that is seen", async () => {
    const rows = await page.$$eval("#rows tr.row", (rows) => rows.map((row) => [row.index, row.dataset.uuid]));
    return rows.length > 10 ? rows : null;
  });
  for (const [index, uuid] of rows) if (index < expected.length) assert.equal(uuid, expected[index], `row ${index}`);
  tell(`at most ${most} rows drawn of ${rows.at(-1)[0] + 1} passed`);
  assert.ok(most <= MOST_DRAWN + 10, `${most} rows were drawn`);
  // The way back asks for pages that were let go of.
  await page.evaluate(() => document.getElementById("scroller").scrollTo(0, 0));
  await until("the first rows again", async () => (await drawn(page)).join() === top.join());
  await page.close();
}

async function opening({ browser, server }) {
  const page = await browser.open(`${server.page}?filter=${encodeURIComponent("state=failure cause=error")}`);
  await ready(page);
  const row = page.locator("#rows tr.row").nth(2);
  const uuid = await row.getAttribute("data-uuid");
  const job = await server.get(`/v1/jobs/${uuid}`);
  await row.locator(".job-link").click();
  await page.waitForSelector("#detail h2");
  assert.equal(await page.textContent("#detail h2"), job.description);
  assert.equal(await page.textContent("#detail .fault-message"), job.message);
  assert.match(await page.textContent("#detail .fault-facts"), new RegExp(`code ${job.code}`));
  assert.deepEqual(
    (await page.$$eval("#detail .timeline-what", (all) => all.map((what) => what.textContent))).slice(0, 3),
    ["created", "started", "failed"],
  );
  await server.call("POST", `/v1/jobs/${uuid}/hold`, { reason: "for the audit" });
  await page.keyboard.press("Escape");
  await row.locator(".job-link").click();
  await page.waitForSelector("#detail .facts");
  assert.match(await page.textContent("#detail .facts"), /until it is let go.*since .*“for the audit”/);
  assert.equal(
    (await page.$$eval("#detail .timeline-what", (all) => all.map((what) => what.textContent))).at(-1),
    "held",
  );
  await server.call("POST", `/v1/jobs/${uuid}/unhold`, {});
  // Nobody can cancel what has ended.
  assert.equal(await page.$("#act-cancel"), null);
  assert.equal(await page.evaluate(() => document.activeElement.id), "detail-title");
  await page.keyboard.press("Escape");
  await until("the panel is closed", () => page.isHidden("#detail"));
  assert.equal(await page.evaluate(() => document.activeElement.closest("tr")?.dataset.uuid), uuid);
  await page.goBack();
  const link = page.url();
  assert.match(link, new RegExp(`job=${uuid}`));
  await page.close();
  const other = await browser.open(link);
  await other.waitForSelector("#detail h2");
  assert.equal(await other.textContent("#detail h2"), job.description);
  assert.equal(await other.inputValue("#filter-text"), "state=failure cause=error");
  // A fact is a way to those that share it.
  await other.click("#detail .facts a >> nth=1");
  assert.equal(await other.inputValue("#filter-text"), `node=${job.node}`);
  await other.close();
}

async function keys({ browser, server }) {
  const page = await browser.open(`${server.page}?filter=${encodeURIComponent("state=success")}`);
  await ready(page);
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.index ?? document.activeElement.id);
  const expected = [["j", 0], ["j", 1], ["ArrowDown", 2], ["k", 1], ["ArrowUp", 0], ["k", 0]];
  for (const [key, index] of expected) {
    await page.keyboard.press(key);
    assert.equal(await focused(), index, key);
  }
  for (let times = 0; times < 30; times++) await page.keyboard.press("j");
  assert.equal(await focused(), 30);
  assert.ok(await page.evaluate(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect();
    return top > 0 && bottom < innerHeight;
  }));
  await page.keyboard.press("Enter");
  await page.waitForSelector("#detail h2");
  await page.keyboard.press("Escape");
  assert.equal(await focused(), 30);
  await page.keyboard.press("Home");
  assert.equal(await focused(), 0);
  await page.keyboard.press("/");
  assert.equal(await focused(), "filter-text");
  // There it is a letter like any other.
  await page.keyboard.type("?");
  await page.keyboard.press("Escape");
  assert.equal(await page.inputValue("#filter-text"), "");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog.help");
  await accessible(page);
  await page.keyboard.press("Escape");
  assert.equal(await page.$("dialog"), null);
  const before = await page.getAttribute("html", "data-theme");
  await page.keyboard.press("t");
  assert.notEqual(await page.getAttribute("html", "data-theme"), before);
  await page.close();
}

async function changing({ browser, server }) {
  const page = await browser.open(server.page);
  await ready(page);
  const { uuid } = await server.post("/v1/jobs", { description: "Move volume vol7", progress: { done: 1, total: 4, unit: "GB" } });
  await server.post(`/v1/jobs/${uuid}/start`);
  await until("it is listed without being asked for", async () => (await drawn(page))[0] === uuid);
  await page.click(`#rows tr[data-uuid="${uuid}"] .job-link`);
  for (const [action, state, word] of [["pause", "paused", "paused"], ["resume", "running", "running"], ["cancel", "failure", "canceled"]]) {
    await page.click(`#act-${action}`);
    await page.waitForSelector("dialog[open]");
    assert.match(await page.textContent("dialog .dialog-job"), /Move volume vol7/);
    if (action === "cancel") {
      await accessible(page);
      // Leaving it changes nothing.
      await page.click("dialog .secondary");
      assert.equal((await server.get(`/v1/jobs/${uuid}`)).state, "running");
      await page.click("#act-cancel");
    }
    await page.fill("dialog #reason", `because of ${action}`);
    await page.click("dialog .primary");
    await until(`it is ${state}`, async () => (await server.get(`/v1/jobs/${uuid}`)).state === state);
    await until("the panel says so", async () => (await page.textContent("#detail .badge")) === word);
    await until("the row says so", async () => (await page.textContent(`#rows tr[data-uuid="${uuid}"] .state-word`)) === word);
  }
  const job = await server.get(`/v1/jobs/${uuid}`);
  assert.equal(job.cause, "canceled");
  assert.match(job.message, /because of cancel/);
  assert.equal(await page.$(".actions"), null);
  await page.close();
}

async function families({ browser, server }) {
  const parent = await server.post("/v1/jobs", { description: "Back up all volumes" });
  for (let index = 0; index < 10; index++) {
    await server.post("/v1/jobs", { description: `Back up volume ${index}`, parent: parent.uuid });
  }
  const page = await browser.open(`${server.page}?job=${parent.uuid}`);
  await page.waitForSelector("#detail .family");
  assert.equal(await page.textContent("#detail .family-counts"), "10 queued");
  assert.equal((await page.$$("#detail .family-list li")).length, 8);
  await page.click("#detail .family >> text=List all 10");
  await until("its children", async () => (await drawn(page)).length === 10);
  await page.click("#rows tr.row >> nth=0");
  await page.waitForSelector("#detail .family a");
  assert.equal(await page.textContent("#detail .family a"), "Back up all volumes");
  await page.click("#detail .family a");
  await until("the parent again", async () => (await page.textContent("#detail h2")) === "Back up all volumes");
  await page.close();
}

async function gone({ browser, server }) {
  const page = await browser.open(`${server.page}?job=00000000-0000-4000-8000-000000000000`);
  await until("it says so", async () => (await page.textContent("#detail")).includes("There is no such job"));
  await page.close();
}

async function views({ browser, server }, options) {
  const page = await browser.open(server.page, options);
  await ready(page);
  await until("all is drawn", async () => (await page.$$("#plot .bucket")).length > 0);
  await accessible(page);
  await page.click("#rows tr.row:nth-of-type(5)");
  await page.waitForSelector("#detail h2");
  await accessible(page);
  await page.keyboard.press("Escape");
  await filter(page, "state=failure");
  await page.click("#rows tr.row:nth-of-type(5)");
  await page.waitForSelector("#detail .detail-fault");
  await accessible(page);
  await page.close();
}
