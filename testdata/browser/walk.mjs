// Opens the pages given on stdin in every variant: axe, off-origin requests, the browser's console, sideways scrolling,
// printed size, pictures. Each line "FINDING …" is an error; the exit is 1 when there is one.
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { start, watch } from "./lib.mjs";

const job = JSON.parse(readFileSync(0, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const origin = new URL(job.origin).origin;
let findings = 0, looked = 0, passes = 0;
const find = (text) => { findings++; console.log(`FINDING ${text}`); };
if (job.out) mkdirSync(job.out, { recursive: true });

// judge lets axe look at the page as it stands.
async function judge(page, name) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  passes += result.passes.length;
  for (const v of result.violations) {
    for (const n of v.nodes.slice(0, 5)) find(`${name}: axe ${v.id} (${v.impact}): ${n.target.join(" ")}: ${(n.failureSummary || v.help).replace(/\s+/g, " ")}`);
  }
}

// sideways names the elements that make a page wider than its window.
const sideways = () => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > wide + 1 && !e.closest("pre"));
  return [`the page ${document.documentElement.scrollWidth} > ${wide}`,
    ...out.slice(0, 4).map((e) => `${e.tagName.toLowerCase()}.${e.getAttribute("class") || ""} ${Math.round(e.getBoundingClientRect().right)} > ${wide}`)];
};

async function look(page, spec, variant, name) {
  const answer = await page.goto(new URL(spec.path, job.origin).href, { waitUntil: "load" });
  if (!answer || (answer.status() >= 400 && !spec.noise)) find(`${name}: answered ${answer && answer.status()}`);
  if (spec.wait) await page.waitForSelector(spec.wait, { timeout: 20000 });
  for (const e of await page.evaluate(sideways)) find(`${name}: scrolls sideways: ${e}`);
  if (job.out) await page.screenshot({ path: join(job.out, `${name}.png`), fullPage: true });
  if (!variant.noAxe) await judge(page, name);
  if (spec.sheet && variant.name === "light") {
    const pdf = (await page.pdf({ preferCSSPageSize: true })).toString("latin1");
    const pages = (pdf.match(/\/Type\s*\/Page\b/g) || []).length;
    if (pages !== 1) find(`${name}: takes ${pages} printed pages`);
    if (job.out) {
      await page.emulateMedia({ media: "print" });
      await page.setViewportSize({ width: 688, height: 980 });
      await page.screenshot({ path: join(job.out, `${spec.name}-print.png`), fullPage: true });
    }
  }
  looked++;
}

const browser = await start();
try {
  for (const variant of job.variants) {
    const zoom = variant.zoom || 1;
    const context = await browser.newContext({
      ignoreHTTPSErrors: true, colorScheme: variant.scheme, javaScriptEnabled: !variant.noScript, deviceScaleFactor: zoom,
      viewport: { width: Math.round(variant.width / zoom), height: Math.round(variant.height / zoom) },
    });
    if (job.cookies) {
      await context.addCookies(job.cookies.map((c) => ({ name: c.Name, value: c.Value, url: origin, secure: c.Secure, httpOnly: c.HttpOnly })));
    }
    for (const spec of job.pages) {
      const name = `${spec.name}-${variant.name}`;
      const page = await context.newPage();
      watch(page, origin, (text) => find(`${name}: ${text}`), spec.noise);
      await look(page, spec, variant, name).catch((e) => find(`${name}: ${e.message}`));
      await page.close();
    }
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(`${looked} pages looked at, ${passes} axe rules passed, ${findings} findings`);
process.exit(findings ? 1 : 0);
