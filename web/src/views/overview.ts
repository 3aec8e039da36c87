// SPDX-License-Identifier: MIT
// What goes on here: rates, and of what there is most. Panels follow from the fields that streams
// have, so a stream nobody has thought of has its own.
import { isAbort, messageOf, poll } from "../api";
import { type Chart, chart, sparkline } from "../chart";
import { h, say, show } from "../dom";
import { hrefOf } from "../location";
import { rangeControl, rangeText, since, until } from "../range";
import { own, type Schema, type Stream } from "../schema";
import { buckets, rates, type Summary, summarize, type TopList, topList } from "../summary";
import { count, percent, rate, visible } from "../text";
import { lifetime, type View } from "../view";

const REFRESH_MS = 3000;

// A connect that does not wait is no failure.
const FAILED = { return_code: "..-1", error: "!EINPROGRESS" };
// What a stream of connections has.
const FAILURE = ["return_code", "error", "destination"];

interface Panel {
	title: string;
	about: string;
	empty: string;
	by: string[];
	/** Of streams that have these fields; [] for all. */
	needs: string[];
	filters?: Record<string, string>;
	/** How many groups; 8 when not given. */
	top?: number;
}

const PANELS: Panel[] = [
	{
		title: "Top processes",
		about: "Events of any type, by command",
		empty: "Nothing has happened in this time. Any connect(2) would show here.",
		by: ["command"],
		needs: [],
	},
	{
		title: "Top destinations",
		about: "Where connections go",
		empty: "No connection was tried in this time.",
		by: ["destination"],
		needs: ["destination"],
	},
	{
		title: "Connection failures",
		about: "By error and destination; those under way (EINPROGRESS) are none",
		empty: "No connection has failed in this time.",
		by: ["error", "destination"],
		needs: FAILURE,
		filters: FAILED,
	},
	{
		title: "Drop reasons",
		about: "Why the kernel dropped packets, in its own words",
		empty: "The kernel has dropped no packet in this time.",
		by: ["drop_reason"],
		needs: ["drop_reason"],
	},
];

// Of streams that no panel above is about: one panel each, by its most telling field.
function panelsOf(schema: Schema, shown: Stream[]): Panel[] {
	const known = PANELS.filter(
		(panel) =>
			!panel.needs.length ||
			schema.having(...panel.needs).some((stream) => shown.includes(stream)),
	);
	const covered = new Set(
		known.flatMap((panel) =>
			panel.needs.length ? schema.having(...panel.needs).map((stream) => stream.name) : [],
		),
	);
	const others = shown.filter((stream) => !covered.has(stream.name));
	return [...known, ...others.map(panelOf)];
}

function panelOf(stream: Stream): Panel {
	const fields = own(stream);
	const field =
		fields.find((item) => item.type === "enum") ??
		fields.find((item) => ["string", "ip", "symbol", "mac"].includes(item.type)) ??
		fields.find((item) => item.type === "boolean");
	return {
		title: stream.name,
		about: stream.description,
		empty: `No ${stream.name} event in this time.`,
		by: [field?.name ?? "command"],
		needs: fields.map((item) => item.name),
	};
}

interface Tile {
	element: HTMLElement;
	set(value: string, note: string, course?: number[], tone?: string): void;
}

function tile(label: string, href: string, colour: number | null = null): Tile {
	const value = h("span", { class: "tile-value" }, "–");
	const note = h("span", { class: "tile-note" }, "\u00a0");
	const line = h("span", { class: "tile-line" });
	const inner = [h("span", { class: "tile-label" }, visible(label)), value, note, line];
	const element = h(
		"a",
		{ class: colour === null ? "tile" : `tile series-${colour}`, href },
		...inner,
	);
	return {
		element,
		set(text, about, course, tone = "") {
			say(value, text);
			say(note, about || "\u00a0");
			show(line, course?.length ? sparkline(course, 120, 28) : null);
			element.setAttribute("data-tone", tone);
		},
	};
}

// The last bucket is not over yet.
function latest(values: number[]): number {
	return values.at(-2) ?? values.at(-1) ?? 0;
}

export function overview(): View {
	const life = lifetime();
	let schema: Schema | null = null;
	let shape = "";
	let course: Chart | null = null;
	let tiles = new Map<string, Tile>();
	let lists: [Panel, TopList][] = [];
	let asking: AbortController | null = null;
	// Streams that had events in the window; those that do not run and had none are left out.
	let busy = new Set<string>();

	const range = rangeControl(false);
	const status = h("p", { class: "status", role: "status" });
	const tileRow = h("div", { class: "tiles" });
	const panels = h("div", { class: "panels" });
	const chartBox = h("div");
	const element = h(
		"div",
		{ class: "view overview" },
		h("div", { class: "view-head" }, h("h1", {}, "Overview"), range.element),
		status,
		tileRow,
		h(
			"section",
			{ class: "panel wide", "aria-label": "Events per second" },
			h("header", { class: "panel-head" }, h("h2", {}, "Events per second, by type")),
			chartBox,
		),
		panels,
	);

	const shownStreams = (known: Schema) =>
		known.streams.filter((stream) => stream.active || busy.has(stream.name));

	/** Streams come and go; what is shown of them is made anew only then. */
	function build(known: Schema): void {
		const streams = shownStreams(known);
		const next = JSON.stringify([
			streams.map((stream) => stream.name),
			panelsOf(known, streams).map((panel) => panel.title),
			since(),
			until(),
		]);
		if (next === shape) return;
		shape = next;
		const window = { since: since(), ...(until() ? { until: until() as string } : {}) };
		tiles = new Map([
			["all", tile("Events", hrefOf("live"))],
			...streams.map((stream): [string, Tile] => [
				stream.name,
				tile(stream.name, hrefOf("live", { type: stream.name }), known.colour(stream.name)),
			]),
		]);
		if (streams.some((stream) => known.having(...FAILURE).includes(stream)))
			tiles.set(
				"failed",
				tile("Failed connections", hrefOf("history", { ...window, ...FAILED })),
			);
		tiles.set("lost", tile("Lost events", hrefOf("programs")));
		show(tileRow, ...[...tiles.values()].map((one) => one.element));
		course?.close();
		course = chart({
			height: 210,
			label: "Events per second, by type, over the chosen time",
		});
		show(chartBox, course.element);
		lists = panelsOf(known, streams).map((panel) => [
			panel,
			topList(panel.title, panel.about, panel.empty),
		]);
		show(panels, ...lists.map(([, list]) => list.element));
	}

	function ask(panel: Partial<Panel>, signal: AbortSignal, buckets = 60): Promise<Summary> {
		return summarize(
			{
				by: panel.by ?? [],
				since: since(),
				until: until(),
				top: panel.top ?? 8,
				buckets,
				filters: filtersOf(panel),
			},
			signal,
		);
	}

	function filtersOf(panel: Partial<Panel>): Record<string, string> {
		const types = panel.needs?.length ? schema!.having(...panel.needs) : [];
		return {
			...(types.length ? { type: types.map((stream) => stream.name).join(",") } : {}),
			...panel.filters,
		};
	}

	function showRates(summary: Summary, known: Schema): void {
		const { times, seconds } = buckets(summary);
		const all = rates(summary.total.counts, seconds);
		const byType = new Map(summary.groups.map((group) => [String(group.key.type), group]));
		busy = new Set(byType.keys());
		build(known);
		tiles.get("all")?.set(rate(latest(all)), `${count(summary.total.count)} in all`, all);
		for (const stream of shownStreams(known)) {
			const group = byType.get(stream.name);
			const values = rates(group?.counts ?? times.map(() => 0), seconds);
			tiles
				.get(stream.name)
				?.set(
					rate(latest(values)),
					stream.active ? `${count(group?.count ?? 0)} in all` : "does not run",
					values,
				);
		}
		course?.set(
			times,
			shownStreams(known).map((stream) => ({
				name: stream.name,
				colour: known.colour(stream.name),
				values: rates(byType.get(stream.name)?.counts ?? times.map(() => 0), seconds),
			})),
			times.length ? [times[0]!, times.at(-1)! + seconds] : undefined,
		);
		tiles
			.get("lost")
			?.set(
				count(summary.lost),
				summary.lost
					? "a ring buffer was full"
					: summary.complete
						? "the window is complete"
						: "older ones have left the memory",
				undefined,
				summary.lost ? "bad" : "good",
			);
	}

	async function showFailures(signal: AbortSignal): Promise<void> {
		const one = tiles.get("failed");
		if (!one) return;
		const [failed, tried] = await Promise.all([
			ask({ by: ["error"], needs: FAILURE, filters: FAILED }, signal),
			ask({ by: [], needs: FAILURE }, signal, 0),
		]);
		const { seconds } = buckets(failed);
		const part = tried.total.count ? failed.total.count / tried.total.count : 0;
		one.set(
			percent(part),
			`${count(failed.total.count)} of ${count(tried.total.count)}`,
			rates(failed.total.counts, seconds),
			part > 0.05 ? "warn" : "",
		);
	}

	async function refresh(): Promise<void> {
		if (!schema) return;
		const known = schema;
		asking?.abort();
		asking = new AbortController();
		const signal = AbortSignal.any([asking.signal, life.signal]);
		// What there is decides on what else is asked.
		showRates(await ask({ by: ["type"], top: 100 }, signal), known);
		await Promise.all([
			showFailures(signal),
			...lists.map(async ([panel, list]) => {
				try {
					list.update(await ask(panel, signal), known, {
						...filtersOf(panel),
						since: since(),
						...(until() ? { until: until() as string } : {}),
					});
				} catch (error) {
					if (!isAbort(error)) list.fail(messageOf(error));
				}
			}),
		]);
		say(status, "");
	}

	poll(REFRESH_MS, life.signal, refresh, (error) => say(status, messageOf(error)));

	return {
		element,
		update(next) {
			const first = !schema;
			schema = next;
			range.update();
			const before = shape;
			build(next);
			element.setAttribute("aria-description", `Shown: ${rangeText()}`);
			if (!first && before !== shape)
				refresh().catch((error) => !isAbort(error) && say(status, messageOf(error)));
		},
		close() {
			life.end();
			course?.close();
		},
	};
}
