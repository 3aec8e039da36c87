// SPDX-License-Identifier: MIT
// Runs scenarios in Debian's Chromium for test_web.py: a line of JSON in asks for one, a line of
// JSON out says how it went.
//   node tests/web/runner.mjs MODULES CHROMIUM OUTPUT
//   {"run": "…", "url": "http://…", "tools": "build/test/tools", …}
//   → {"ok": true}, {"skipped": "…"} or {"failed": "…"}
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Stage } from "./stage.mjs";
import { scenarios } from "./scenario.mjs";

const [modules, chromium, output] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const playwright = require("playwright-core");

const folder = fileURLToPath(new URL("scenarios/", import.meta.url));
for (const file of readdirSync(folder).sort()) {
	if (file.endsWith(".mjs")) await import(`./scenarios/${file}`);
}

const browser = await playwright.chromium.launch({
	executablePath: chromium,
	args: [
		"--no-sandbox", // as root there is none
		"--disable-background-networking",
		"--disable-component-update",
		"--no-default-browser-check",
		"--no-first-run",
		"--force-color-profile=srgb",
	],
});

async function run(task) {
	const scenario = scenarios.get(task.run);
	if (!scenario) return { failed: `there is no scenario "${task.run}"` };
	const stage = new Stage(browser, task, output, require.resolve("axe-core/axe.min.js"));
	try {
		if (scenario.needs && !(await stage.has(scenario.needs)))
			return { skipped: `this server has no ${scenario.needs}` };
		await scenario.run(stage);
		await stage.finish();
		return { ok: true, measured: stage.measured };
	} catch (error) {
		await stage.picture(`failed ${task.run}`).catch(() => {});
		return { failed: `${error.stack ?? error}\n${stage.complaints.join("\n")}` };
	} finally {
		await stage.close();
	}
}

process.stdout.write(`${JSON.stringify({ ready: [...scenarios.keys()] })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
	process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
}
await browser.close();
