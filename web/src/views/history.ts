// SPDX-License-Identifier: MIT
// What happened: any range of time, any filters, grouped by any field, event by event.
import { address, get, isAbort, messageOf, request } from "../api";
import { chart } from "../chart";
import { columnsMenu, shownColumns } from "../columns";
import { eventDetail } from "../detail";
import { h, icon, say, show } from "../dom";
import { activeTypes, filterBar } from "../filters";
import { eventGrid } from "../grid";
import { apiQuery, parameters, setParameters } from "../location";
import { moment, rangeControl, rangeText, since, until } from "../range";
import { type Event, isQuantity, type Schema } from "../schema";
import { buckets, type Summary, summarize, topList } from "../summary";
import { count, quantity, several, visible, zoneName } from "../text";
import { lifetime, type View } from "../view";

const PAGE = 500;
// What the table holds at most; a narrower range shows the rest.
const ROWS = 20000;

interface Answer {
	events: Event[];
	total_count: number;
	complete: boolean;
	lost: number;
	next: string | null;
}

/** The question about events: filters, and the range, whose beginning has a default. */
function question(): URLSearchParams {
	const query = apiQuery();
	for (const name of ["limit", "after", "before", "format"]) query.delete(name);
	query.set("since", since());
	query.set("int64", "string");
	return query;
}

export function history(): View {
	const life = lifetime();
	let schema: Schema;
	let asked = "";
	let asking: AbortController | null = null;
	let rows: Event[] = [];
	let next: string | null = null;

	const bar = filterBar();
	const range = rangeControl(true);
	const detail = eventDetail(() => grid.select(null));
	const grid = eventGrid("Events", (event) => {
		detail.open(event, schema);
		grid.select(event.id);
	});
	const menu = columnsMenu();
	const course = chart({
		height: 150,
		stacked: true,
		format: count,
		label: "Events over the chosen time, by type. Drawing over it narrows the time.",
		zoom: (from, to) =>
			setParameters({
				since: new Date(from * 1e3).toISOString(),
				until: new Date(to * 1e3).toISOString(),
			}),
	});
	const by = h("select", {
		"aria-label": "Group by",
		change: () => setParameters({ _by: by.value || null }),
	});
	const order = h("select", {
		"aria-label": "Order",
		change: () => setParameters({ order: order.value === "asc" ? "asc" : null }),
	});
	const status = h("p", { class: "status", role: "status" });
	const more = h("button", { type: "button", class: "button", click: () => void load(true) });
	const groups = h("div", { class: "panels groups" });
	const figures = h("div", { class: "figures" });
	const empty = h("p", { class: "empty", hidden: true });
	const element = h(
		"div",
		{ class: "view history" },
		h("div", { class: "view-head" }, h("h1", {}, "History"), range.element),
		bar.element,
		h(
			"section",
			{ class: "panel", "aria-label": "Over time" },
			h(
				"header",
				{ class: "panel-head" },
				status,
				h("label", { class: "field" }, h("span", {}, "Group by"), by),
			),
			course.element,
			figures,
		),
		groups,
		h(
			"div",
			{ class: "with-detail" },
			h(
				"section",
				{ class: "panel table-panel", "aria-label": "Events" },
				h(
					"div",
					{ class: "table-note" },
					h("span", { class: "note" }, "Times in ", h("span", { class: "zone" })),
					h(
						"div",
						{ class: "actions" },
						order,
						menu.element,
						download("csv"),
						download("json"),
					),
				),
				grid.element,
				empty,
				h("div", { class: "table-foot" }, more),
			),
			detail.element,
		),
	);

	function download(format: "csv" | "json"): HTMLElement {
		return h(
			"button",
			{
				type: "button",
				class: "button",
				"aria-label": `Download as ${format.toUpperCase()}, at most 10,000 events`,
				title: "At most 10,000 events",
				click: () => void save(format),
			},
			icon("download"),
			format.toUpperCase(),
		);
	}

	async function save(format: "csv" | "json"): Promise<void> {
		const query = question();
		query.set("format", format);
		query.set("limit", "10000");
		query.delete("int64");
		try {
			const answer = await request(address("api/events", query), {
				signal: life.signal,
			});
			const url = URL.createObjectURL(await answer.blob());
			h("a", { href: url, download: `events.${format}` }).click();
			setTimeout(() => URL.revokeObjectURL(url), 1000);
		} catch (error) {
			if (!isAbort(error)) say(status, messageOf(error));
		}
	}

	function describe(answer: Answer): void {
		const parts = [`${several(answer.total_count, "event")}, ${rangeText()}`];
		if (answer.lost) parts.push(`${count(answer.lost)} were lost: a ring buffer was full`);
		else if (!answer.complete) parts.push("older ones are no longer kept");
		say(status, `${parts.join("; ")}.`);
	}

	async function load(onward: boolean): Promise<void> {
		if (!onward) asking?.abort();
		asking ??= new AbortController();
		if (asking.signal.aborted) asking = new AbortController();
		const signal = AbortSignal.any([asking.signal, life.signal]);
		const query = question();
		query.set("limit", String(PAGE));
		const oldestFirst = query.get("order") === "asc";
		if (onward && next) query.set(oldestFirst ? "after" : "before", next);
		element.setAttribute("aria-busy", "true");
		more.disabled = true;
		try {
			const answer = await get<Answer>("api/events", query, signal);
			rows = onward ? [...rows, ...answer.events] : answer.events;
			next = answer.next;
			bar.fail("");
			if (!onward) describe(answer);
			grid.set(rows);
			if (!onward) grid.element.scrollTop = 0;
			empty.hidden = rows.length > 0;
			say(empty, "No event in this time fits. Take a longer range, or fewer filters.");
			more.hidden = !next || rows.length >= ROWS;
			say(
				more,
				`Show ${oldestFirst ? "later" : "earlier"} events (${count(rows.length)} of ` +
					`${count(answer.total_count)} are here)`,
			);
		} catch (error) {
			if (!isAbort(error)) bar.fail(messageOf(error));
		}
		more.disabled = false;
		element.removeAttribute("aria-busy");
	}

	function filters(): Record<string, string> {
		const query = question();
		for (const name of ["since", "until", "order", "int64"]) query.delete(name);
		return Object.fromEntries(query);
	}

	async function loadSummary(): Promise<void> {
		const signal = AbortSignal.any([asking!.signal, life.signal]);
		const known = schema;
		const ask = (fields: string[], top: number, buckets: number, of: string[] = []) =>
			summarize(
				{
					by: fields,
					since: since(),
					until: until(),
					top,
					buckets,
					of,
					filters: filters(),
				},
				signal,
			);
		const group = parameters().get("_by");
		const numbers = numberFields();
		try {
			const [types, grouped] = await Promise.all([
				ask(["type"], 100, 120, numbers),
				group ? ask(group.split(","), 20, 60) : null,
			]);
			showCourse(types, known);
			showFigures(types, numbers, known);
			showGroups(grouped, group);
		} catch (error) {
			if (!isAbort(error)) bar.fail(messageOf(error));
		}
	}

	/** Measured fields of the one stream that is looked at: what a mean of can be taken. */
	function numberFields(): string[] {
		const types = activeTypes();
		const stream = types.length === 1 ? schema.stream(types[0]!) : undefined;
		return (stream?.fields ?? [])
			.filter((field) => isQuantity(field) && field.unit && field.name !== "timestamp")
			.map((field) => field.name)
			.slice(0, 3);
	}

	function showCourse(summary: Summary, known: Schema): void {
		const { times, seconds } = buckets(summary);
		course.set(
			times,
			summary.groups.map((one) => ({
				name: String(one.key.type),
				colour: known.colour(String(one.key.type)),
				values: one.counts ?? [],
				idle: count(one.count),
			})),
			times.length ? [times[0]!, times.at(-1)! + seconds] : undefined,
		);
	}

	function showFigures(summary: Summary, names: string[], known: Schema): void {
		const values = summary.groups[0]?.values ?? {};
		show(
			figures,
			...names.flatMap((name) => {
				const one = values[name];
				const unit = known.field(name)?.unit;
				if (!one?.count) return [];
				const figure = (label: string, value: number | null | undefined) =>
					value === null || value === undefined
						? null
						: h(
								"span",
								{},
								h("span", { class: "muted" }, `${label} `),
								quantity(value, unit),
							);
				return [
					h(
						"p",
						{ class: "figure-line" },
						h("strong", {}, name),
						figure("min", one.min),
						figure("median", one.p50),
						figure("p90", one.p90),
						figure("p99", one.p99),
						figure("max", one.max),
						figure("mean", one.mean),
					),
				];
			}),
		);
	}

	function showGroups(summary: Summary | null, group: string | null): void {
		if (!summary || !group) {
			show(groups);
			return;
		}
		const list = topList(
			`By ${group}`,
			"Of the events below; each leads to its own",
			"None.",
			20,
			true,
		);
		list.update(summary, schema, {
			...filters(),
			since: since(),
			...(until() ? { until: until() as string } : {}),
		});
		show(groups, list.element);
	}

	function showControls(): void {
		const chosen = parameters().get("_by") ?? "";
		const names = ["", "type", ...schema.fieldNames(activeTypes())];
		if (!names.includes(chosen)) names.push(chosen);
		show(by, ...names.map((name) => h("option", { value: name }, visible(name) || "nothing")));
		by.value = chosen;
		show(
			order,
			h("option", { value: "desc" }, "Newest first"),
			h("option", { value: "asc" }, "Oldest first"),
		);
		order.value = parameters().get("order") === "asc" ? "asc" : "desc";
		say(element.querySelector(".zone")!, zoneName());
	}

	more.hidden = true;
	return {
		element,
		update(known) {
			schema = known;
			bar.update(known);
			range.update();
			showControls();
			const names = shownColumns(known);
			menu.update(known, names);
			grid.columns(names, known);
			const query = new URLSearchParams(parameters());
			query.delete("_columns");
			const now = query.toString();
			if (now === asked && asking) return;
			asked = now;
			void load(false);
			void loadSummary();
		},
		keys: {
			"/": { does: "Filter", run: () => bar.focus() },
			"[": { does: "Earlier", run: () => shift(-1) },
			"]": { does: "Later", run: () => shift(1) },
			Escape: { does: "Close the event", run: () => detail.close() },
		},
		close() {
			course.close();
			life.end();
		},
	};

	/** The same length of time, before or after. */
	function shift(direction: number): void {
		const begin = moment(since());
		const end = until() ? moment(until() as string) : Date.now();
		const step = (end - begin) * direction;
		setParameters({
			since: new Date(begin + step).toISOString(),
			until: new Date(end + step).toISOString(),
		});
	}
}
