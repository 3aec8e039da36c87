// SPDX-License-Identifier: MIT
// The server of these records what is called "overview", and nothing else.
import assert from "node:assert/strict";
import { scenario } from "../scenario.mjs";
import { texts } from "../stage.mjs";

const panel = (page, name) => page.getByRole("region", { name, exact: true });

scenario("the overview counts what happened, exactly, and goes on by itself", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:19", { command: "overview", count: 13 });
	const page = await stage.open("/ui/?since=-5m");
	const row = panel(page, "Top destinations").locator(".top-row", {
		hasText: "127.0.0.1:19",
	});
	await row.locator(".top-count", { hasText: /^13$/ }).waitFor();
	const failures = panel(page, "Connection failures").locator(".top-row", {
		hasText: "ECONNREFUSED · 127.0.0.1:19",
	});
	await failures.locator(".top-count", { hasText: /^13$/ }).waitFor();
	await stage.trigger("tcp4", "127.0.0.1:19", { command: "overview", count: 4 });
	await row.locator(".top-count", { hasText: /^17$/ }).waitFor();
	const summary = await stage.api(
		"/api/events/summary?by=command&since=-5m&type=connection&buckets=0",
	);
	assert.equal(summary.total.count, 17);
	await panel(page, "Top processes").locator(".top-row", { hasText: "overview" }).waitFor();
	await row.getByRole("link").click();
	await page.waitForURL(/ui\/history\?.*destination=127\.0\.0\.1:19/);
	await page.getByText("17 events").waitFor();
});

scenario("drops show with the kernel's own reason", async (stage) => {
	await stage.trigger("udp4", "127.0.0.1:19", { command: "overview", send: 1, count: 3 });
	const page = await stage.open("/ui/?since=-5m");
	await panel(page, "Drop reasons").locator(".top-row", { hasText: "NO_SOCKET" }).waitFor();
});

scenario("the range is in the address bar", async (stage) => {
	const page = await stage.open("/ui/");
	await page.getByRole("button", { name: "1 h", exact: true }).click();
	await page.waitForURL("**/ui/?since=-1h");
	await page.reload();
	await page.locator('.segments [aria-pressed="true"]', { hasText: "1 h" }).waitFor();
});

scenario("a chart has a curve and a legend for each stream", async (stage) => {
	const page = await stage.open("/ui/");
	const streams = (await stage.api("/api/schema")).streams.filter((stream) => stream.active);
	assert(streams.length > 1);
	await stage.until(async () => {
		const legend = (await texts(page, ".u-legend .u-label")).join(" ");
		return streams.every((stream) => legend.includes(stream.name));
	}, "all streams in the legend");
	const painted = await page.$eval(".chart canvas", (canvas) => {
		const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
		return data.some((value) => value !== 0);
	});
	assert(painted);
});

scenario(
	"a program that is dropped in has its tile, its panel and its table at once",
	async (stage) => {
		const { name, source, target, pid } = stage.task.dropped;
		const { copyFileSync, rmSync } = await import("node:fs");
		const page = await stage.open("/ui/?since=-5m");
		await page.locator(".tile-label", { hasText: /^connection$/ }).waitFor();
		assert.equal(await page.locator(".tile", { hasText: name }).count(), 0);
		copyFileSync(source, target);
		process.kill(pid, "SIGHUP");
		await page.locator(".tile", { hasText: name }).waitFor();
		await page.getByRole("region", { name, exact: true }).waitFor();
		await page.locator(".tile", { hasText: name }).click();
		await page.waitForURL(`**/ui/live?type=${name}`);
		await stage.until(
			async () => (await texts(page, ".grid th")).includes("asked_pid"),
			"the columns of the new stream",
		);
		await stage.until(async () => {
			await stage.shell("python3 -c 'import os; os.getpgid(0)'");
			return (await texts(page, ".grid tbody tr:not(.spacer)")).length > 0;
		}, "its events");
		await stage.picture("dropped-in");
		await page.goto(`${stage.url}/ui/programs`);
		await page.getByRole("article", { name }).getByText("running").waitFor();
		rmSync(target);
		process.kill(pid, "SIGHUP");
		await page.getByRole("article", { name }).getByText("disabled").waitFor();
	},
);
