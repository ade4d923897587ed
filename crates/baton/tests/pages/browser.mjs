// Drives the pages in a real browser and ends with 0, or says what is not as it should be.
//
//   node browser.mjs MODULES CHROMIUM BASE FOLDER SHOTS
//
// MODULES holds playwright-core and axe-core; FOLDER is that of the runs, with their gates; SHOTS gets
// the screenshots. What is run, and what it is called, stands in ../pages.rs.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { ground } from "./ground.mjs";

const [modules, executablePath, base, folder, shots] = process.argv.slice(2);
const { browser, open, watchShifts, looks, accessible, wrong } = await ground(modules, executablePath, base, shots);
const { light: { viewport: wide }, narrow: { viewport: narrow } } = looks;

const workflows = (await (await fetch(`${base}api/v1/workflows`)).json()).items;
const idOf = (name) => workflows.find((it) => it.name === name).id;
const openGate = (name) => fs.writeFileSync(path.join(folder, name), "go\n");

async function changesWithoutReload() {
  const page = await open(`workflows/${idOf("live")}`);
  await page.locator("#t-0 .pill.moving").waitFor();
  await page.evaluate(() => { window.sameDocument = true; });
  await watchShifts(page);
  await page.locator("#filter").fill("half a word");
  await page.evaluate(() => document.querySelector("#filter").setSelectionRange(5, 6));
  const began = performance.now();
  openGate("first");
  await page.locator("#t-0 .pill.good").waitFor();
  const took = performance.now() - began;
  // An age that grows under the reader's eyes moves nothing either.
  await page.locator(".meta time", { hasText: "ago" }).waitFor();
  const now = await page.evaluate(() => {
    const { id, value, selectionStart, selectionEnd } = document.activeElement;
    return { sameDocument: window.sameDocument, id, value, selection: [selectionStart, selectionEnd], shifted: window.shifted };
  });
  assert.deepEqual(now, { sameDocument: true, id: "filter", value: "half a word", selection: [5, 6], shifted: [] });
  openGate("second");
  await page.locator("#t-2 .pill.needs").waitFor();
  console.log(`a task's end was seen ${took.toFixed(0)} ms after it, without a reload`);
  await page.close();
}

async function answersByClick() {
  const page = await open("");
  const card = page.locator(".card", { hasText: "live" }).first();
  const top = (await page.locator("[data-line]").first().boundingBox()).y;
  assert.ok(top < 200, `the first line stands at ${top}`);
  await card.getByRole("button", { name: "Approve" }).click();
  await card.waitFor({ state: "detached" });
  await page.locator(`#w-${idOf("live")} .pill.good`).waitFor();
  await page.getByRole("button", { name: "<i>one</i>" }).click();
  await page.getByText("Answer…").click();
  await page.getByLabel("Score").fill("7");
  await page.getByRole("button", { name: "Send the answer" }).click();
  await page.locator(".card", { hasText: "Fill this in" }).waitFor({ state: "detached" });
  await page.close();
}

async function hostileTextIsText() {
  for (const look of [{ viewport: wide }, { viewport: narrow }]) {
    for (const address of ["", `workflows/${idOf("hostile")}?task=1`]) {
      const page = await open(address, look);
      const found = await page.evaluate(() => ({
        scripts: document.querySelectorAll("main script, main img, main b:not([data-ours])").length,
        beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        said: document.body.innerText.includes("<script>alert("),
      }));
      assert.deepEqual(found, { scripts: 0, beyond: 0, said: true }, `${address} at ${look.viewport.width}`);
      await page.close();
    }
  }
}

async function keyboard() {
  const page = await open("");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "filter");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  assert.ok(await page.evaluate(() => document.activeElement.closest("[data-line]") !== null));
  await page.keyboard.press("?");
  await page.locator("#help[open]").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("status:failed");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=status%3Afailed/);
  assert.equal(await page.locator("tr[data-line]").count(), 1);
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await page.waitForURL(base);
  await page.close();
}

async function onlyOwnForms() {
  const address = `${base}workflows/${idOf("hostile")}/act`;
  for (const headers of [{}, { origin: "http://evil.example" }]) {
    const body = new URLSearchParams({ verb: "cancel", token: "0".repeat(64) });
    assert.equal((await fetch(address, { method: "POST", headers, body })).status, 403);
  }
}

// A proxy that serves Baton beneath a path, as a company's would.
async function beneathPrefix() {
  const proxy = http.createServer((asked, answer) => {
    const to = new URL(asked.url.replace(/^\/tools\/baton\//, "/"), base);
    const relay = http.request(to, { method: asked.method, headers: asked.headers }, (told) => {
      answer.writeHead(told.statusCode, told.headers);
      told.pipe(answer);
    });
    relay.on("error", () => answer.destroy());
    answer.on("close", () => relay.destroy());
    asked.pipe(relay);
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${proxy.address().port}/tools/baton/`);
  await page.locator("#live.is-live").waitFor();
  await page.locator("tr[data-line] a", { hasText: "paused" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.close();
  proxy.closeAllConnections();
  proxy.close();
}

async function accessibleAndSeen() {
  const pages = { home: "", workflow: `workflows/${idOf("failed")}?task=1`, asking: `workflows/${idOf("hostile")}`, found: "?q=is:ended" };
  for (const [name, address] of Object.entries(pages)) await accessible(name, address);
}

try {
  await changesWithoutReload();
  await accessibleAndSeen();
  await hostileTextIsText();
  await answersByClick();
  await keyboard();
  await onlyOwnForms();
  await beneathPrefix();
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
