// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { scenario } from "../scenario.mjs";

const program = async (stage, name) => stage.api(`/api/programs/${name}`);

scenario("programs show hooks, costs, losses and why a better hook is not used", async (stage) => {
	await stage.trigger("tcp4", "127.0.0.1:43", { count: 7 });
	await stage.trigger("udp4", "127.0.0.1:43", { send: 1 });
	const page = await stage.open("/ui/programs");
	const { programs } = await stage.api("/api/programs");
	for (const one of programs) {
		const card = page.getByRole("article", { name: one.name, exact: true });
		await card.getByText(one.status, { exact: true }).waitFor();
		const text = await card.innerText();
		for (const part of [one.description, one.hook, one.fallback_reason, one.error])
			if (part) assert(text.includes(part), `${one.name}: ${part}`);
		if (one.streams.length) assert.match(text, /Lost\s+0\s/);
		if (one.status === "running") assert.match(text, /Cost of a run\s+[\d.]+ (ns|µs)/);
	}
	const [first] = programs.filter((one) => one.streams.length);
	const card = page.getByRole("article", { name: first.name, exact: true });
	await card.getByText("Parameters, streams, metrics").click();
	await card.getByRole("row", { name: /produced/ }).waitFor();
	for (const parameter of first.parameters) {
		await card.getByLabel(parameter.name, { exact: true }).waitFor();
		await card.getByText(parameter.description).waitFor();
	}
});

scenario("a program is switched off and on again", async (stage) => {
	const page = await stage.open("/ui/programs");
	const toggle = page.getByRole("switch", { name: "packet_drop runs" });
	const card = page.getByRole("article", { name: "packet_drop" });
	await card.getByText("running", { exact: true }).waitFor();
	await toggle.click({ force: true });
	await card.getByText("disabled", { exact: true }).waitFor();
	assert.equal((await program(stage, "packet_drop")).enabled, false);
	await toggle.click({ force: true });
	await card.getByText("running", { exact: true }).waitFor();
	assert.equal((await program(stage, "packet_drop")).status, "running");
});

scenario("a parameter is set, and a bad value is refused in words", async (stage) => {
	stage.expected = /400 \(Bad Request\)/;
	const page = await stage.open("/ui/programs?program=connection");
	const card = page.getByRole("article", { name: "connection", exact: true });
	const field = card.getByLabel("only_command", { exact: true });
	await field.fill("parametrised");
	await card.getByRole("button", { name: "Set" }).click();
	await stage.until(
		async () =>
			(await program(stage, "connection")).parameters.find(
				(one) => one.name === "only_command",
			).value === "parametrised",
		"the value in force",
	);
	await card.getByRole("button", { name: "Set" }).waitFor({ state: "hidden" });
	await field.fill("");
	await card.getByRole("button", { name: "Set" }).click();
	await card.getByRole("button", { name: "Set" }).waitFor({ state: "hidden" });
	const number = card.getByLabel("only_pid", { exact: true });
	await number.fill("many");
	await card.getByRole("button", { name: "Set" }).click();
	await page.getByRole("alert").filter({ hasText: "only_pid" }).waitFor();
	assert.equal(
		(await program(stage, "connection")).parameters.find((one) => one.name === "only_pid")
			.value,
		0,
	);
});
