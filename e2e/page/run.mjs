// The web page in a real browser against a real server. Prints a line for each check; the first one
// that fails ends the run with status 1.
//
//     node e2e/page/run.mjs --binary target/debug/jobtrack [--jobs 100000] [--screenshots FOLDER]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import { Server } from "./server.mjs";
import { CHECKS as MANY } from "./checks/many.mjs";
import { CHECKS as LIVE } from "./checks/live.mjs";
import { CHECKS as HOSTILE } from "./checks/hostile.mjs";
import { CHECKS as USERS } from "./checks/users.mjs";
import { CHECKS as RESTART } from "./checks/restart.mjs";
import { takeScreenshots } from "./screenshots.mjs";

const { values } = parseArgs({
  options: {
    binary: { type: "string" },
    jobs: { type: "string", default: "100000" },
    screenshots: { type: "string" },
    // For who writes the page: the checks whose names have this in them, and files not built yet.
    only: { type: "string" },
    assets: { type: "string" },
  },
});
const PEOPLE = [{ name: "ana", password: "Zürich: correct horse" }];

const folder = mkdtempSync(join(tmpdir(), "jobtrack-page-"));
const browser = await Browser.launch({ assets: values.assets });
const servers = [];
let passed = 0;
try {
  const jobs = Number(values.jobs.replaceAll("_", ""));
  const server = await start();
  const fill = async () => {
    const began = performance.now();
    await server.fill(jobs);
    print(`   ${seconds(began)}  ${jobs} jobs imported`);
  };
  if (values.screenshots) {
    await fill();
    await takeScreenshots(browser, server, values.screenshots);
  } else {
    // While one fills, the others are looked at.
    const filled = fill();
    // It is awaited below; until then its failure is nobody's surprise.
    filled.catch(() => {});
    await run(USERS, await start({ users: { file: join(folder, "users"), people: PEOPLE } }));
    await run(RESTART, await start({ store: `redb:${join(folder, "data")}` }));
    await filled;
    await run([...MANY, ...LIVE, ...HOSTILE], server);
    print(`${passed} checks passed`);
  }
} catch (error) {
  print(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true });
}

async function start(options) {
  const server = new Server(values.binary, options);
  servers.push(server);
  return server.start();
}

async function run(checks, server) {
  for (const { name, expects = [], check } of checks) {
    if (values.only && !name.includes(values.only)) continue;
    const began = performance.now();
    const told = [];
    try {
      await browser.expecting(expects, () => check({ browser, server, people: PEOPLE, tell: (text) => told.push(text) }));
    } catch (error) {
      throw new Error(`failed: ${name}: ${error.stack}`);
    }
    passed += 1;
    print(`ok ${seconds(began)}  ${[name, ...told].join("; ")}`);
  }
}

function seconds(began) {
  return `${((performance.now() - began) / 1000).toFixed(2).padStart(6)} s`;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
