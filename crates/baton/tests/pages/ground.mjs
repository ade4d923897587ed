// What tests in a real browser stand on: the browser itself, pages in which nothing may go wrong
// unseen, and what is checked of each of them alike.
//
// What is looked at, and what must be there, is each test's own.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const quietly = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const wide = { width: 1440, height: 900 };
const narrow = { width: 390, height: 844 };
const looks = {
  light: { colorScheme: "light", viewport: wide },
  dark: { colorScheme: "dark", viewport: wide },
  narrow: { colorScheme: "light", viewport: narrow },
};

// MODULES holds playwright-core and axe-core; SHOTS gets the screenshots. `wrong` gathers whatever the
// console, a script, a dialog or a foreign request says against a page.
export async function ground(modules, executablePath, base, shots) {
  const require = createRequire(path.join(modules, "/"));
  const { chromium } = require("playwright-core");
  const axe = fs.readFileSync(require.resolve("axe-core"), "utf8");
  const browser = await chromium.launch({ executablePath, args: quietly });
  const wrong = [];

  async function open(address, look = looks.light) {
    const page = await browser.newPage(look);
    page.on("console", (it) => ["error", "warning"].includes(it.type()) && wrong.push(`${address}: ${it.text()}`));
    page.on("pageerror", (it) => wrong.push(`${address}: ${it.message}`));
    page.on("dialog", (it) => { wrong.push(`${address}: a dialog: ${it.message()}`); it.dismiss(); });
    page.on("request", (it) => it.url().startsWith("http://127.0.0.1:") || wrong.push(`asks ${it.url()}`));
    await page.goto(base + address);
    if (look.javaScriptEnabled !== false) await page.locator("#live.is-live").waitFor();
    return page;
  }

  // From here on `window.shifted` tells what moved on the page without anybody's doing.
  const watchShifts = (page) => page.evaluate(() => {
    window.shifted = [];
    const at = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
    const told = ({ node, previousRect, currentRect }) =>
      `${node?.outerHTML?.slice(0, 80)} from ${at(previousRect)} to ${at(currentRect)}`;
    // Text that was written anew where it stood is told as well, and has not moved.
    const moved = ({ previousRect, currentRect }) => at(previousRect) !== at(currentRect);
    new PerformanceObserver((all) => all.getEntries().forEach((it) => window.shifted.push(...it.sources.filter(moved).map(told))))
      .observe({ type: "layout-shift" });
  });

  async function accessible(name, address) {
    for (const [how, look] of Object.entries(looks)) {
      const page = await open(address, look);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const told = violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
      assert.deepEqual(told, [], `${name}, ${how}`);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(beyond, 0, `${name}, ${how}: wider than the window`);
      await page.screenshot({ path: path.join(shots, `${name}-${how}.png`) });
      await page.close();
    }
  }

  return { browser, open, watchShifts, looks, accessible, wrong };
}
