// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { scenario } from "../scenario.mjs";
import { texts } from "../stage.mjs";

const ROWS = ".grid tbody tr:not(.spacer)";
const local = (time) => new Date(time).toISOString().slice(0, 19);

scenario("a range of time shows exactly what happened in it", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:23", { command: "in-range", count: 5 });
	const page = await stage.open("/ui/history?type=connection&command=in-range");
	await page.getByText("5 events, the last 15 minutes.").waitFor();
	await stage.until(async () => (await texts(page, ROWS)).length === 5, "five rows");

	await page.getByText("Custom range").click();
	await page.getByLabel("From").fill(local(Date.now() - 7200e3));
	await page.getByLabel("To", { exact: true }).fill(local(Date.now() - 3600e3));
	await page.getByRole("button", { name: "Show", exact: true }).click();
	await page.waitForURL(/since=.*until=/);
	await page.getByText(/^0 events/).waitFor();
	await page.getByText("No event in this time fits.").waitFor();
	assert.deepEqual(await texts(page, ROWS), []);

	await page.goBack();
	await page.getByText("5 events, the last 15 minutes.").waitFor();
});

scenario("drawing over the chart narrows the range", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:23", { command: "zoom" });
	const page = await stage.open("/ui/history?since=-1h");
	const over = page.locator(".chart .u-over");
	await over.waitFor();
	const box = await over.boundingBox();
	await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 5 });
	await page.mouse.up();
	await page.waitForURL(/since=.*until=/);
	const query = new URL(page.url()).searchParams;
	const minutes = (Date.parse(query.get("until")) - Date.parse(query.get("since"))) / 60e3;
	assert(minutes > 13 && minutes < 17, `${minutes} minutes of 60, a quarter of them drawn`);
});

scenario("groups, figures and order follow the address bar", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:29", { command: "grouped", count: 3 });
	await stage.trigger("tcp4", "127.0.0.1:31", { command: "grouped", count: 2 });
	const page = await stage.open("/ui/history?type=connection&command=grouped");
	await page.getByLabel("Group by").selectOption("destination");
	await page.waitForURL(/_by=destination/);
	const rows = page.getByRole("region", { name: "By destination" }).locator(".top-row");
	await rows.first().waitFor();
	assert.match(await rows.nth(0).textContent(), /127\.0\.0\.1:29.*60 %3$/);
	assert.match(await rows.nth(1).textContent(), /127\.0\.0\.1:31.*40 %2$/);
	await page.locator(".figure-line", { hasText: "duration_ns" }).getByText("median").waitFor();
	await page.getByLabel("Order").selectOption("asc");
	await page.waitForURL(/order=asc/);
	await stage.until(
		async () => /127\.0\.0\.1:29/.test((await texts(page, ROWS))[0] ?? ""),
		"the oldest first",
	);
	await rows.first().getByRole("link").click();
	await page.waitForURL(/destination=127\.0\.0\.1:29/);
	await page.getByText("3 events").waitFor();
});

scenario("page after page, as far as there are events", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:37", { command: "pages", count: 1013 });
	const page = await stage.open("/ui/history?type=connection&command=pages");
	const more = page.getByRole("button", { name: "Show earlier events" });
	await page.getByText("1,013 events").waitFor();
	await more.filter({ hasText: "500 of 1,013" }).click();
	await more.filter({ hasText: "1,000 of 1,013" }).click();
	await more.waitFor({ state: "hidden" });
	assert.equal(await page.getAttribute(".grid", "aria-rowcount"), "1014");
	assert((await texts(page, ROWS)).length < 100, "only the rows in sight exist");
	await page.locator(".grid-scroll").focus();
	await page.keyboard.press("End");
	await stage.until(
		async () => (await page.locator(":focus").getAttribute("aria-rowindex")) === "1014",
		"the last row",
	);
});

scenario("events are downloaded as CSV and JSON", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:41", { command: "saved", count: 3 });
	const page = await stage.open("/ui/history?command=saved&type=connection");
	await page.getByText("3 events").waitFor();
	for (const format of ["CSV", "JSON"]) {
		const waiting = page.waitForEvent("download");
		await page.getByRole("button", { name: `Download as ${format}` }).click();
		const download = await waiting;
		assert.equal(download.suggestedFilename(), `events.${format.toLowerCase()}`);
		const { readFileSync } = await import("node:fs");
		const text = readFileSync(await download.path(), "utf8");
		if (format === "JSON") assert.equal(JSON.parse(text).events.length, 3);
		else assert.equal(text.trim().split("\n").length, 4);
	}
});
