// The first day at a site, in the console of a running appliance. MODE is script, plain (no JavaScript) or keys (nothing but
// the keyboard). Anything on the console of the browser, and any request elsewhere, ends it.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { start, open } from "./lib.mjs";

const { ORIGIN: origin, MODE: mode, CODE: code, STICK: stick, HUBWORDS: hub, SITEWORDS: ours } = process.env;
const say = (s) => console.log(s);
const browser = await start();
const { context, page } = await open(browser, origin, { javaScriptEnabled: mode !== "plain", viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(90000);

// phone is what an authenticator shows for a secret (RFC 6238).
function phone(secret, at = Date.now()) {
  let bits = "";
  for (const c of secret.replace(/[\s=]/g, "")) bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30000)));
  const mac = createHmac("sha1", key).update(counter).digest(), off = mac[19] & 15;
  return String((mac.readUInt32BE(off) & 0x7fffffff) % 1000000).padStart(6, "0");
}

// reach moves the focus with Tab until it is on the element; nobody with a keyboard can do more.
async function reach(target) {
  await target.waitFor();
  const element = await target.elementHandle();
  for (let i = 0; i < 150; i++) {
    if (await element.evaluate((e) => e === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${target} is not reached by Tab`);
}
async function fill(label, text) {
  const target = page.locator("main input").and(page.getByLabel(label, { exact: true }));
  if (mode !== "keys") return target.fill(text);
  await reach(target);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}
async function press(target, key = "Enter") {
  if (mode !== "keys") return target.click();
  await reach(target);
  await page.keyboard.press(key);
}
const button = (name) => page.getByRole("button", { name, exact: true }).first();
const link = (name) => page.locator("main").getByRole("link", { name }).first();
const reads = (text) => page.locator("main").getByText(text).first().waitFor();

try {
  await page.goto(origin + "/");
  await page.waitForURL(origin + "/set-up");
  await fill("One-time code", code);
  await press(button("Go on"));
  const secret = (await page.locator("main").textContent()).match(/([A-Z2-7]{4} ){3,}[A-Z2-7]{1,4}/)[0];
  await fill("Name", "anna");
  await fill("Password", "correct horse battery staple");
  await fill("Password again", "correct horse battery staple");
  await fill("Code your phone shows now", phone(secret));
  await press(button("Make the account"));
  await reads("Each signs you in once");
  say("set-up code, admin, phone");
  await press(link("I have written them down"));
  await reads(ours);
  if (mode === "keys") {
    const chosen = page.locator("input[type=radio]:checked");
    await reach(await chosen.count() ? chosen : page.getByRole("radio").first());
    await page.keyboard.press("ArrowDown");
  } else {
    await page.getByRole("radio").nth(1).check();
  }
  await press(button("Go on"));
  await press(button("Make the recovery card"));
  await reads("To get back in");
  await press(link("It is printed and put away"));
  await reads("Needs you");
  say("rhythm, recovery card, Overview");

  await press(page.locator("#nav").getByRole("link", { name: "Import" }));
  await fill("Folder", stick);
  await press(button("Look and plan"));
  const words = page.locator("main input[name=typed]"), meet = page.locator("main a[href^='/peers/add']").first();
  await words.or(meet).first().waitFor();
  if (!await words.count()) await press(meet);
  await fill("Its nine words, or its fingerprint", hub);
  await press(button("Compare and add"));
  await reads("is a peer now");
  if (new URL(page.url()).pathname === "/import") {
    await fill("Folder", stick);
    await press(button("Look and plan"));
  }
  await reads("Label signed by acme at hub");
  say("hub met from its stick");
  await press(button("Approve this plan"));
  await reads("Activated osv-go generation 1");
  await reads("Receipt");
  say("plan, approval, receipt");

  await press(page.locator("#nav").getByRole("link", { name: "Records" }));
  await page.locator("input[name=q]").waitFor();
  if (mode === "keys") await reach(page.locator("input[name=q]")), await page.keyboard.type("GO-2024-2687"), await page.keyboard.press("Enter");
  else await page.fill("input[name=q]", "GO-2024-2687"), await page.click("form[role=search] button");
  await press(link("GO-2024-2687"));
  await reads("HTTP/2 CONTINUATION flood");
  await press(page.locator("main a[href*='proof=1']").first());
  await reads("Every step holds");
  say("GO-2024-2687 and its proof");

  await press(page.locator("#nav").getByRole("link", { name: "Import" }));
  await fill("Folder", stick);
  await press(button("Exchange"));
  await reads("What would go out");
  await press(page.locator("main form[action$='/approve'] button").first());
  await reads("Done. Safe to remove.");
  say("exchange: safe to remove");
  const kept = (await context.cookies()).find((c) => c.httpOnly);
  say(`SESSION ${JSON.stringify({ Name: kept.name, Value: kept.value, Secure: kept.secure, HttpOnly: true })}`);
} catch (e) {
  say(`at ${page.url()}: ${e.message}`);
  say(await page.locator("body").innerText().catch(() => ""));
  process.exitCode = 1;
} finally {
  await browser.close();
}
