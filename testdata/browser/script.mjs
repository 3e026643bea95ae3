// What the console's one script does, tried on the kit's fixture.
import assert from "node:assert/strict";
import { start, open } from "./lib.mjs";

const origin = process.env.ORIGIN;
const browser = await start();
const say = (s) => console.log(s);
try {
  {
    const { context, page } = await open(browser, origin);
    await page.goto(origin + "/live");
    const tick = (n) => page.evaluate((n) => fetch(`/tick?n=${n}`), n);
    await page.click("details.menu summary");
    await page.focus("#job-live form button");
    await tick(1);
    await page.waitForSelector("#job-live [aria-valuenow='25']");
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Cancel");
    assert.equal(await page.locator("details.menu[open]").count(), 1);
    assert.equal(await page.locator("#job-live rect").getAttribute("width"), "25.0%");
    await tick(3);
    await page.waitForSelector("#job-live [aria-valuenow='75']");
    assert.equal(await page.locator("#proofs li").count(), 3);
    await tick(4);
    await page.waitForSelector("#job-live.done");
    assert.equal(await page.locator("#proofs li").count(), 4);
    assert.equal(await page.locator("#job-live form").count(), 0);
    say("fragments of the event stream are merged; focus and an open menu stay");
    await context.close();
  }
  {
    const { context, page } = await open(browser, origin, { noise: ["422"] });
    await page.goto(origin + "/answer");
    await page.evaluate(() => { globalThis.here = true; });
    await page.click("main button");
    await page.waitForSelector("#f-name-error");
    assert.equal(await page.evaluate(() => document.activeElement.id), "f-name");
    await page.keyboard.type("anna");
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1:text('It is done')");
    assert.equal(new URL(page.url()).search, "?done=1");
    assert.equal(await page.evaluate(() => globalThis.here), true);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    assert.equal(await page.textContent("#say"), "Answer · site-07");
    await page.goBack();
    await page.waitForSelector("h1:text('Say your name')");
    say("forms are answered in place: errors focused, addresses kept, back works");
    await context.close();
  }
  {
    const { context, page } = await open(browser, origin, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.goto(origin + "/parts");
    const digest = page.locator(".defs .digest").first(), whole = await digest.getAttribute("data-copy");
    await digest.focus();
    assert.equal(await digest.locator(".whole").isVisible(), true);
    assert.equal(await digest.locator(".short").isVisible(), false);
    await page.keyboard.press("Enter");
    await page.waitForSelector("[data-copied]");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), whole);
    await page.click("details.menu summary");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("details.menu[open]").count(), 0);
    say("digests are whole on focus and copied by Enter; Escape closes the menu");
    await context.close();
  }
  {
    const { context, page } = await open(browser, origin, { noise: ["503"] });
    await page.goto(origin + "/forms");
    await page.setInputFiles("#f-file", { name: "a.bin", mimeType: "application/octet-stream", buffer: Buffer.from("0123456789") });
    await page.click("form[data-upload] button");
    await page.waitForURL(origin + "/import?upload=u1");
    say("files go in pieces: what is there is not sent again, later is waited for");
    await context.close();
  }
  {
    const { context, page } = await open(browser, origin, { javaScriptEnabled: false, viewport: { width: 400, height: 800 }, noise: ["422"] });
    await page.goto(origin + "/");
    assert.equal(await page.locator("#nav").isVisible(), false);
    await page.click("a.menulink");
    assert.equal(await page.locator("#nav a[href='/feeds']").isVisible(), true);
    await page.click("#nav a[href='/import']");
    await page.waitForURL(origin + "/import");
    await page.goto(origin + "/answer");
    await page.click("main button");
    await page.waitForSelector("#f-name-error");
    await page.fill("#f-name", "anna");
    await page.click("main button");
    await page.waitForURL(origin + "/answer?done=1");
    say("without JavaScript, 400 px wide: the navigation opens, forms are plain posts");
    await context.close();
  }
} finally {
  await browser.close();
}
