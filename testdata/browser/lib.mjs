// What every script here shares: one Chromium, shut off from any network, with a watch over what pages do.
import { chromium } from "playwright-core";

// start opens Debian's Chromium. Only loopback can be reached.
export function start() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
      "--disable-domain-reliability", "--disable-default-apps", "--metrics-recording-only", "--disable-dev-shm-usage", "--disable-gpu",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
  });
}

// watch reports what a page must not do: ask another origin, break the content policy, raise an error.
export function watch(page, origin, report, noise = []) {
  const quiet = (text) => noise.some((n) => text.includes(n));
  page.on("request", (r) => {
    if (new URL(r.url()).origin !== origin) report(`asks another origin: ${r.url()}`);
  });
  page.on("console", (m) => {
    if ((m.type() === "error" || m.type() === "warning") && !quiet(m.text())) report(`console: ${m.text()}`);
  });
  page.on("pageerror", (e) => report(`script: ${e.message}`));
}

// open gives a context and a page that are watched; report collects findings.
export async function open(browser, origin, options = {}, report = (s) => { throw new Error(s); }) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  watch(page, new URL(origin).origin, report, options.noise);
  return { context, page };
}
