// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { scenario } from "../scenario.mjs";
import { texts } from "../stage.mjs";

const say = async (stage, room, ...lines) => {
	const response = await fetch(`${stage.url}/api/rooms/${room}`, {
		method: "POST",
		body: lines.map((line) => `${line}\n`).join(""),
		headers: { "Content-Type": "text/plain" },
	});
	assert(response.ok, `${response.status} ${await response.text()}`);
};

scenario(
	"a room is joined, filtered, paused, cleared and left",
	async (stage) => {
		await say(stage, "web-test", "first");
		const page = await stage.open("/ui/rooms");
		await page.getByRole("button", { name: "Join web-test" }).click();
		await page.waitForURL("**/ui/rooms?room=web-test");
		await page.locator(".room.joined", { hasText: "web-test" }).waitFor();
		const has = (text) =>
			stage.until(async () => (await texts(page, ".log .message")).includes(text), text);
		const joined = async () => {
			await say(stage, "web-test", "are you there");
			return (await texts(page, ".log .message")).includes("are you there");
		};
		await stage.until(joined, "the stream");

		await say(
			stage,
			"web-test",
			"GET /index.html 200",
			"GET /nosuch 404",
			"<b>bold</b> \x1b[31mred",
		);
		await has("GET /index.html 200");
		await has("<b>bold</b> \\x1b[31mred");
		assert.equal(await page.locator(".log b").count(), 0);

		const filter = page.getByRole("searchbox", { name: "Filter messages" });
		await filter.fill("GET");
		await stage.until(
			async () => (await texts(page, ".log .message")).length === 2,
			"two with GET",
		);
		await page.getByLabel("Regular expression").check();
		await filter.fill("4\\d\\d$");
		await stage.until(
			async () => (await texts(page, ".log .message")).length === 1,
			"one with 404",
		);
		assert.match(page.url(), /_text=.*_regex=1|_regex=1.*_text=/);
		await filter.fill("(");
		await page.getByRole("alert").filter({ hasText: "regular expression" }).waitFor();
		await filter.fill("");

		await page.getByRole("button", { name: "Pause" }).click();
		await say(stage, "web-test", "while paused");
		await page.getByText("Paused: 1 message since then.").waitFor();
		await page.getByRole("button", { name: "Continue" }).click();
		await has("while paused");
		await page.getByRole("button", { name: "Clear" }).click();
		assert.deepEqual(await texts(page, ".log .message"), []);

		await page.getByRole("button", { name: "Leave web-test" }).click();
		await page.waitForURL("**/ui/rooms");
		await say(stage, "web-test", "nobody hears");
		await page.getByText("Join a room to see its messages.").waitFor();
	},
	{ needs: "/api/rooms" },
);

scenario(
	"numbers in messages have a chart each",
	async (stage) => {
		await say(stage, "numbers", "begin");
		const page = await stage.open("/ui/rooms?room=numbers");
		await page.locator(".room.joined", { hasText: "numbers" }).waitFor();
		let i = 0;
		await stage.until(async () => {
			await say(
				stage,
				"numbers",
				`temperature: ${20 + (i++ % 7)}`,
				`{"load": ${i}, "text": "x"}`,
			);
			return (await texts(page, ".curve-head")).length === 2;
		}, "two charts");
		const heads = await texts(page, ".curve-head");
		assert.match(heads[0], /^temperature /);
		assert.match(heads[1], /^load /);
		await page.locator(".curve canvas").first().waitFor();
	},
	{ needs: "/api/rooms" },
);
