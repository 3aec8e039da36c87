// SPDX-License-Identifier: MIT
// The programs: what each costs and loses, by which hooks it runs, and its switches.
import { messageOf, poll, send, get } from "../api";
import { h, icon, say, show } from "../dom";
import { hrefOf, parameters } from "../location";
import type { Schema } from "../schema";
import { count, duration, percent, short, visible } from "../text";
import { lifetime, type View } from "../view";

const REFRESH_MS = 2000;

interface Parameter {
	name: string;
	type: "integer" | "boolean" | "string";
	value: number | string | boolean | null;
	default: number | string | boolean | null;
	unit: string | null;
	description: string;
}

interface Program {
	name: string;
	description: string;
	status: string;
	enabled: boolean;
	hook: string | null;
	fallback_reason: string | null;
	interfaces: { name: string; direction: string; mode: string | null; reason: string | null }[];
	run_count: number | null;
	run_time_ns: number | null;
	ns_per_run: number | null;
	parameters: Parameter[];
	streams: { name: string; active: boolean; ledger: Record<string, number> }[];
	metrics: { name: string; type: string; help: string; series: number }[];
	event_count: number;
	dropped_count: number;
	drop_rate: number;
	error: string | null;
}

interface List {
	programs: Program[];
	total_programs: number;
	running_programs: number;
}

const TONES: Record<string, string> = {
	running: "good",
	failed: "bad",
	waiting: "warn",
	loading: "warn",
	disabled: "",
};

// As /openapi.json describes them.
const LEDGER: [string, string][] = [
	["produced", "happened at the hook"],
	["filtered", "filtered out in the kernel"],
	["sampled_out", "left out by sampling"],
	["lost", "lost: the ring buffer was full"],
	["stored", "taken into the store"],
	["held", "in memory now"],
	["expired", "made room for newer ones"],
];

interface Card {
	element: HTMLElement;
	update(program: Program): void;
}

export function programs(): View {
	const life = lifetime();
	const cards = new Map<string, Card>();
	const seen = new Map<string, { at: number; time: number }>();
	const status = h("p", { class: "status", role: "status" });
	const problem = h("p", { class: "form-error", role: "alert" });
	const list = h("div", { class: "programs" }, h("p", { class: "loading" }, "Reading…"));
	const element = h(
		"div",
		{ class: "view" },
		h("div", { class: "view-head" }, h("h1", {}, "Programs"), status),
		problem,
		list,
	);

	/** Share of one processor since it was last asked, or null. */
	function load(program: Program): number | null {
		if (program.run_time_ns === null) return null;
		const now = performance.now();
		const before = seen.get(program.name);
		seen.set(program.name, { at: now, time: program.run_time_ns });
		if (!before || now <= before.at || program.run_time_ns < before.time) return null;
		return (program.run_time_ns - before.time) / ((now - before.at) * 1e6);
	}

	async function change(name: string, does: () => Promise<Program>): Promise<void> {
		say(problem, "");
		try {
			const program = await does();
			cards.get(name)?.update(program);
		} catch (error) {
			say(problem, `${name}: ${messageOf(error)}`);
			await refresh();
		}
	}

	function card(name: string): Card {
		const made = programCard(name, load, change);
		cards.set(name, made);
		return made;
	}

	async function refresh(): Promise<void> {
		const answer = await get<List>("api/programs", {}, life.signal);
		say(status, `${count(answer.running_programs)} of ${count(answer.total_programs)} run`);
		const names = answer.programs.map((program) => program.name);
		for (const known of [...cards.keys()]) if (!names.includes(known)) cards.delete(known);
		const fresh =
			names.some((name) => !cards.has(name)) || list.childElementCount !== names.length;
		for (const program of answer.programs)
			(cards.get(program.name) ?? card(program.name)).update(program);
		if (fresh) {
			show(list, ...names.map((name) => cards.get(name)!.element));
			const asked = parameters().get("program");
			if (asked) cards.get(asked)?.element.scrollIntoView();
		}
		if (!names.length)
			show(
				list,
				h(
					"p",
					{ class: "empty" },
					"There is no program. Start the server with --enable NAME.",
				),
			);
	}

	poll(REFRESH_MS, life.signal, refresh, (error) => say(status, messageOf(error)));

	return {
		element,
		update(_schema: Schema) {
			// What is shown here comes from /api/programs alone.
		},
		close: () => life.end(),
	};
}

function figure(
	label: string,
	about: string,
): [HTMLElement, (text: string, tone?: string) => void] {
	const value = h("dd", {}, "–");
	return [
		h("div", { class: "figure-box", title: about }, h("dt", {}, label), value),
		(text, tone = "") => {
			say(value, text);
			value.setAttribute("data-tone", tone);
		},
	];
}

type Change = (name: string, does: () => Promise<Program>) => Promise<void>;

function programCard(
	name: string,
	load: (program: Program) => number | null,
	change: Change,
): Card {
	const path = `api/programs/${encodeURIComponent(name)}`;
	const badge = h("span", { class: "pill" });
	const about = h("p", { class: "about" });
	const hook = h("p", { class: "hook" });
	const interfaces = h("ul", { class: "why" });
	const why = h("p", { class: "why" });
	const error = h("p", { class: "why failed" });
	const [cost, setCost] = figure("Cost of a run", "Measured by the kernel");
	const [share, setShare] = figure("Processor", "Share of one processor, now");
	const [runs, setRuns] = figure("Runs", "How often it ran");
	const [events, setEvents] = figure("Events", "Taken into the store");
	const [lost, setLost] = figure("Lost", "The ring buffer was full");
	const toggle = h("input", {
		type: "checkbox",
		role: "switch",
		"aria-label": `${name} runs`,
		change: () => {
			toggle.disabled = true;
			void change(name, () =>
				send<Program>("POST", `${path}/${toggle.checked ? "enable" : "disable"}`),
			).finally(() => {
				toggle.disabled = false;
			});
		},
	});
	const settings = h("div", { class: "settings" });
	const ledgers = h("div", { class: "ledgers" });
	const more = h(
		"details",
		{ class: "more", open: parameters().get("program") === name },
		h("summary", {}, "Parameters, streams, metrics"),
		settings,
		ledgers,
	);
	const setters = new Map<string, (parameter: Parameter) => void>();
	const element = h(
		"article",
		{ class: "panel program", "aria-label": visible(name) },
		h(
			"header",
			{ class: "program-head" },
			h("h2", {}, visible(name)),
			badge,
			h(
				"label",
				{ class: "switch" },
				toggle,
				h("span", { class: "track", "aria-hidden": "true" }),
			),
		),
		about,
		h("dl", { class: "figures-row" }, cost, share, runs, events, lost),
		hook,
		interfaces,
		why,
		error,
		more,
	);

	function setting(parameter: Parameter): HTMLElement {
		const id = `parameter-${name}-${parameter.name}`;
		const input =
			parameter.type === "boolean"
				? h("input", { type: "checkbox", id })
				: h("input", {
						type: "text",
						id,
						inputmode: parameter.type === "integer" ? "numeric" : "text",
						autocomplete: "off",
						spellcheck: "false",
					});
		const button = h("button", { type: "submit", class: "button", hidden: true }, "Set");
		const value = () => (parameter.type === "boolean" ? input.checked : input.value);
		let inForce: Parameter["value"] = null;
		const changed = () => {
			button.hidden = String(value()) === String(inForce ?? "");
		};
		input.addEventListener("input", changed);
		setters.set(parameter.name, (now) => {
			const untouched = button.hidden;
			inForce = now.value;
			if (untouched && document.activeElement !== input) {
				if (parameter.type === "boolean") input.checked = now.value === true;
				else input.value = String(now.value ?? "");
			}
			changed();
		});
		return h(
			"form",
			{
				class: "setting",
				submit: (event: Event) => {
					event.preventDefault();
					const text = value();
					const given =
						parameter.type === "integer" && /^-?\d{1,15}$/.test(String(text))
							? Number(text)
							: text;
					void change(name, () =>
						send<Program>("PATCH", path, {
							parameters: { [parameter.name]: given },
						}),
					);
				},
			},
			h("label", { for: id }, parameter.name),
			h("span", { class: "setting-input" }, input, parameter.unit, button),
			h(
				"span",
				{ class: "about" },
				parameter.description,
				h(
					"span",
					{ class: "muted" },
					parameter.default === ""
						? " (empty as delivered)"
						: ` (${visible(String(parameter.default))} as delivered)`,
				),
			),
		);
	}

	function showSettings(program: Program): void {
		const names = program.parameters.map((parameter) => parameter.name);
		if (names.join() !== [...setters.keys()].join()) {
			setters.clear();
			show(settings, ...program.parameters.map(setting));
			if (!names.length) show(settings, h("p", { class: "about" }, "It has no parameters."));
		}
		for (const parameter of program.parameters) setters.get(parameter.name)?.(parameter);
	}

	function showLedgers(program: Program): void {
		show(
			ledgers,
			...program.streams.map((stream) =>
				h(
					"table",
					{ class: "ledger" },
					h(
						"caption",
						{},
						"Stream ",
						h(
							"a",
							{
								href: hrefOf("live", {
									type: stream.name,
								}),
							},
							visible(stream.name),
						),
						stream.active ? "" : " (not read now)",
					),
					h(
						"tbody",
						{},
						...LEDGER.filter(([key]) => key in stream.ledger).map(([key, means]) =>
							h(
								"tr",
								{},
								h("th", { scope: "row" }, key),
								h("td", { class: "number" }, count(stream.ledger[key] as number)),
								h("td", { class: "about" }, means),
							),
						),
					),
				),
			),
			program.metrics.length
				? h(
						"table",
						{ class: "ledger" },
						h("caption", {}, "Metrics, at /metrics"),
						h(
							"tbody",
							{},
							...program.metrics.map((metric) =>
								h(
									"tr",
									{},
									h("th", { scope: "row" }, visible(metric.name)),
									h("td", { class: "number" }, `${count(metric.series)} series`),
									h("td", { class: "about" }, visible(metric.help)),
								),
							),
						),
					)
				: null,
		);
	}

	return {
		element,
		update(program) {
			say(badge, program.status);
			badge.setAttribute("data-tone", TONES[program.status] ?? "");
			say(about, program.description);
			if (!toggle.disabled) toggle.checked = program.enabled;
			const part = load(program);
			setCost(program.ns_per_run === null ? "–" : duration(program.ns_per_run));
			cost.title =
				program.run_count === null
					? "Not measured: start the server with --program-stats"
					: "Measured by the kernel";
			setShare(
				part === null ? "–" : percent(part),
				part !== null && part > 0.05 ? "warn" : "",
			);
			setRuns(program.run_count === null ? "–" : short(program.run_count));
			setEvents(program.streams.length ? short(program.event_count) : "none by design");
			setLost(
				program.streams.length
					? program.dropped_count
						? `${count(program.dropped_count)} (${percent(program.drop_rate)})`
						: "0"
					: "–",
				program.dropped_count ? "bad" : "",
			);
			show(
				hook,
				program.hook ? h("span", { class: "muted" }, "Hook ") : null,
				program.hook ? h("code", {}, visible(program.hook)) : null,
			);
			hook.hidden = !program.hook;
			interfaces.hidden = !program.interfaces.length;
			show(
				interfaces,
				...program.interfaces.map((one) =>
					h(
						"li",
						{},
						h("span", { class: "muted" }, "Interface "),
						h("code", {}, visible(one.name)),
						` ${one.direction}: ${one.mode ?? "not attached"}`,
						one.reason ? `; ${visible(one.reason)}` : null,
					),
				),
			);
			why.hidden = !program.fallback_reason;
			if (program.fallback_reason)
				show(
					why,
					h("span", { class: "muted" }, "Better hooks do not work here: "),
					visible(program.fallback_reason),
				);
			error.hidden = !program.error;
			const failed = program.status === "failed";
			error.classList.toggle("failed", failed);
			if (program.error) show(error, failed && icon("warning"), visible(program.error));
			showSettings(program);
			if (more.open) showLedgers(program);
			more.ontoggle = () => more.open && showLedgers(program);
		},
	};
}
