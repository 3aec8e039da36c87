// SPDX-License-Identifier: MIT
// What a scenario has: pages that are watched, the triggers of tests/tools, and waiting.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";

const exec = promisify(execFile);
const DEADLINE = 15000;

export class Stage {
	constructor(browser, task, output, axe) {
		this.browser = browser;
		this.task = task;
		this.url = task.url;
		this.output = output;
		this.axe = axe;
		this.complaints = [];
		this.contexts = [];
		this.pages = [];
		this.measured = {};
		/** Complaints that the scenario provokes: a regular expression. */
		this.expected = null;
		mkdirSync(output, { recursive: true });
	}

	/** A page of the server in a browser of its own; `path` such as "/ui/live?type=connection". */
	async open(
		path,
		{ width = 1440, height = 900, theme = "light", init, route, ...options } = {},
	) {
		const context = await this.browser.newContext({
			viewport: { width, height },
			colorScheme: theme,
			timezoneId: "UTC",
			locale: "en-GB",
			...options,
		});
		this.contexts.push(context);
		context.setDefaultTimeout(DEADLINE);
		await context.addInitScript(() => {
			document.addEventListener("securitypolicyviolation", (event) =>
				console.error(
					`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`,
				),
			);
		});
		if (route) await context.route("**/*", route);
		if (init) await context.addInitScript(init);
		const page = await context.newPage();
		this.pages.push(page);
		this.#watch(page);
		await page.goto(this.url + path);
		return page;
	}

	#watch(page) {
		page.on("console", (message) => {
			if (["error", "warning"].includes(message.type()))
				this.complaints.push(`${message.type()}: ${message.text()}`);
		});
		page.on("pageerror", (error) => this.complaints.push(`error: ${error.stack}`));
		page.on("dialog", (dialog) => {
			this.complaints.push(`dialog: ${dialog.message()}`);
			dialog.dismiss();
		});
		page.on("request", (request) => {
			const url = new URL(request.url());
			if (!["data:", "blob:"].includes(url.protocol) && url.origin !== this.url)
				this.complaints.push(`request to another host: ${request.url()}`);
		});
	}

	/** Waits until `condition` gives something true, and returns that. */
	async until(condition, what, deadline = DEADLINE) {
		const end = Date.now() + deadline;
		let last;
		for (;;) {
			try {
				const value = await condition();
				if (value) return value;
				last = value;
			} catch (error) {
				last = error;
			}
			assert(Date.now() < end, `${what}: not within ${deadline} ms; at last ${last}`);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	/** Makes connects by tests/tools/trigger; returns {pid, calls…}. */
	async trigger(kind, address, options = {}) {
		const list = Object.entries(options).flatMap(([name, value]) => [
			`--${name}`,
			String(value),
		]);
		const { stdout } = await exec(`${this.task.tools}/trigger`, [...list, kind, address]);
		return JSON.parse(stdout);
	}

	/** The same by a shell, for bytes that no argument of node can hold. */
	async shell(command) {
		const { stdout } = await exec("sh", ["-c", command], { cwd: this.task.tools });
		return stdout;
	}

	async api(path, options = {}) {
		const response = await fetch(this.url + path, options);
		assert(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
		return response.json();
	}

	/** Whether this server has such a route. */
	async has(path) {
		return path in (await this.api("/openapi.json")).paths;
	}

	async picture(name, page = this.pages.at(-1), options = {}) {
		const file = `${this.output}/${name.replace(/[^\w-]+/g, "-")}.png`;
		await page?.screenshot({ path: file, ...options });
	}

	/** axe-core on what the page shows now: nothing serious, nothing critical. */
	async accessible(page, what) {
		// Through the protocol: the page's policy admits no script that is put into it.
		await page.evaluate(readFileSync(this.axe, "utf8"));
		const { violations } = await page.evaluate(() => window.axe.run());
		const grave = violations.filter((one) => ["serious", "critical"].includes(one.impact));
		assert.deepEqual(
			grave.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`),
			[],
			what,
		);
	}

	/** Nothing went wrong that nobody looked at. */
	async finish() {
		const left = this.complaints.filter((text) => !this.expected?.test(text));
		assert.deepEqual(left, []);
	}

	async close() {
		for (const context of this.contexts) await context.close();
	}
}

/** The texts of all elements that fit. */
export const texts = (page, selector) =>
	page.$$eval(selector, (found) => found.map((element) => element.textContent));
