// SPDX-License-Identifier: MIT
// Events as they happen. However many there are, a frame takes in a bounded number: the newest are
// shown, all are counted, and what is left out is said.
import {
	address,
	ApiError,
	get,
	isAbort,
	messageData,
	messageOf,
	namedMessage,
	readStream,
} from "../api";
import { chart } from "../chart";
import { columnsMenu, shownColumns } from "../columns";
import { eventDetail } from "../detail";
import { h, icon, say, show } from "../dom";
import { activeTypes, filterBar } from "../filters";
import { eventGrid } from "../grid";
import { apiQuery } from "../location";
import { type Event, type Schema } from "../schema";
import { count, rate, zoneName } from "../text";
import { lifetime, type View } from "../view";

const ROWS = 1000;
const ROWS_AT_FIRST = 100;
// What a second may add before the flood is thinned out, and a frame from then on. Nobody reads as
// many; the page stays quick.
const ROWS_A_SECOND = 500;
const ROWS_A_FRAME = 5;
const SECONDS = 120;

export function live(): View {
	const life = lifetime();
	let schema: Schema;
	let question = "";
	let streaming: AbortController | null = null;
	let rows: Event[] = [];
	let waiting: string[] = []; // messages that no frame has taken yet; the newest ROWS
	let received = 0; // since the last second began
	let taken = 0;
	let skipped = 0;
	let missed = 0;
	let whilePaused = 0;
	let paused = false;
	let scheduled = false;
	const perSecond: number[] = Array.from({ length: SECONDS }, () => 0);

	const bar = filterBar();
	const detail = eventDetail(() => grid.select(null));
	const grid = eventGrid("Live events", (event) => {
		detail.open(event, schema);
		grid.select(event.id);
	});
	const menu = columnsMenu();
	const course = chart({
		height: 76,
		label: "Events received per second, over the last two minutes",
	});
	const state = h("span", { class: "pill", role: "status" });
	const speed = h("span", { class: "figure" }, "0/s");
	const note = h("span", { class: "note", role: "status" });
	const pauseButton = h("button", {
		type: "button",
		class: "button",
		"aria-pressed": "false",
		click: () => setPaused(!paused),
	});
	const clearButton = h(
		"button",
		{ type: "button", class: "button", click: () => clear() },
		icon("clear"),
		h("span", { class: "label" }, "Clear"),
	);
	const empty = h("p", { class: "empty" });
	const zone = h("span", { class: "zone-note" });
	const element = h(
		"div",
		{ class: "view live" },
		h(
			"div",
			{ class: "view-head" },
			h("h1", {}, "Live events"),
			h("div", { class: "actions" }, state, speed, pauseButton, clearButton, menu.element),
		),
		bar.element,
		h("div", { class: "panel strip" }, course.element),
		h(
			"div",
			{ class: "with-detail" },
			h(
				"section",
				{ class: "panel table-panel", "aria-label": "Events" },
				h("div", { class: "table-note" }, note, zone),
				grid.element,
				empty,
			),
			detail.element,
		),
	);

	function showState(text: string, tone: string): void {
		say(state, text);
		state.setAttribute("data-tone", tone);
	}

	function setPaused(value: boolean): void {
		paused = value;
		whilePaused = 0;
		pauseButton.setAttribute("aria-pressed", String(paused));
		show(
			pauseButton,
			icon(paused ? "play" : "pause"),
			h("span", { class: "label" }, paused ? "Continue" : "Pause"),
		);
		if (!paused) takeAll();
	}

	function clear(): void {
		rows = [];
		waiting = [];
		missed = 0;
		grid.set(rows);
		showEmpty();
	}

	function showEmpty(): void {
		empty.hidden = rows.length > 0;
		if (rows.length) return;
		say(
			empty,
			bar.element.querySelector(".chip") || activeTypes().length
				? "Waiting for an event that fits the filters. It shows here as soon as it happens."
				: "Waiting for events. Any connect(2) on this machine shows here: " +
						"try curl http://127.0.0.1:1/",
		);
	}

	function parse(messages: string[]): Event[] {
		const events: Event[] = [];
		for (const message of messages) {
			const data = messageData(message);
			if (data) events.push(JSON.parse(data) as Event);
		}
		return events;
	}

	function add(messages: string[]): void {
		const events = parse(messages).reverse();
		if (!events.length) return;
		taken += events.length;
		rows = [...events, ...rows].slice(0, ROWS);
		grid.set(rows, events.length);
		showEmpty();
	}

	/** Once in a frame. */
	function take(): void {
		scheduled = false;
		const messages = waiting.slice(-Math.max(ROWS_A_FRAME, ROWS_A_SECOND - taken));
		skipped += waiting.length - messages.length;
		waiting = [];
		add(messages);
	}

	function takeAll(): void {
		const messages = waiting;
		waiting = [];
		add(messages);
	}

	function onBatch(messages: string[]): void {
		for (const message of messages) {
			if (message.startsWith(":") || message.startsWith("retry:")) continue;
			const named = message.startsWith("id:") ? null : namedMessage(message);
			if (named) {
				if (named[0] === "lost") missed += Number(JSON.parse(named[1]).missed) || 0;
				continue;
			}
			received++;
			if (paused) whilePaused++;
			waiting.push(message);
		}
		if (waiting.length > 2 * ROWS) {
			skipped += waiting.length - ROWS;
			waiting = waiting.slice(-ROWS);
		}
		if (paused || document.hidden || scheduled) return;
		scheduled = true;
		requestAnimationFrame(take);
	}

	/** Once in a second: what came, and how much of it is shown. */
	function tick(): void {
		perSecond.push(received);
		perSecond.shift();
		say(speed, rate(received));
		const parts: string[] = [];
		if (paused) {
			parts.push(`Paused: ${count(whilePaused)} since then.`);
		} else if (skipped) {
			parts.push(
				`Too many to show: ${count(taken)} of ${count(taken + skipped)} ` +
					"in the last second. " +
					"A filter shows all that fit it.",
			);
		} else if (rows.length >= ROWS) {
			parts.push(`The newest ${count(ROWS)}; older ones are under History.`);
		}
		if (missed)
			parts.push(`${count(missed)} were missed: this page was too slow for the stream.`);
		say(note, parts.join(" "));
		received = taken = skipped = 0;
		const now = Math.floor(Date.now() / 1e3);
		course.set(
			perSecond.map((_, i) => now - SECONDS + i + 1),
			[
				{
					name: "events",
					colour: schema?.colour(activeTypes()[0] ?? "") ?? 0,
					values: [...perSecond],
				},
			],
		);
	}

	async function start(): Promise<void> {
		streaming?.abort();
		streaming = new AbortController();
		const signal = AbortSignal.any([streaming.signal, life.signal]);
		const query = apiQuery();
		for (const name of ["since", "until", "order", "limit", "after", "before", "format"])
			query.delete(name);
		query.set("int64", "string");
		clear();
		bar.fail("");
		showState("Connecting", "");
		try {
			const recent = new URLSearchParams(query);
			recent.set("limit", String(ROWS_AT_FIRST));
			const answer = await get<{ events: Event[] }>("api/events", recent, signal);
			rows = answer.events;
			grid.set(rows);
			showEmpty();
			if (rows[0]) query.set("after", rows[0].id);
		} catch (error) {
			if (isAbort(error)) return;
			if (error instanceof ApiError && error.status === 400) {
				refuse(error);
				return;
			}
			showState(messageOf(error), "bad");
		}
		await readStream(
			address("api/events/stream", query),
			{
				batch: onBatch,
				state: (connected, why) =>
					connected ? showState("Live", "good") : showState(why ?? "Connecting", "bad"),
				refused: refuse,
			},
			signal,
		);
	}

	function refuse(error: ApiError): void {
		bar.fail(error.message);
		showState("Stopped", "bad");
		empty.hidden = false;
		say(empty, "The server refused the filters.");
	}

	const timer = setInterval(tick, 1000);
	setPaused(false);
	tick();

	return {
		element,
		update(known) {
			schema = known;
			bar.update(known);
			const names = shownColumns(known);
			menu.update(known, names);
			grid.columns(names, known);
			say(zone, `Times in ${zoneName()}`);
			const next = apiQuery().toString();
			if (next !== question || !streaming) {
				question = next;
				void start();
			}
		},
		keys: {
			" ": { does: "Pause or continue", run: () => setPaused(!paused) },
			c: { does: "Clear", run: clear },
			"/": { does: "Filter", run: () => bar.focus() },
			Escape: { does: "Close the event", run: () => detail.close() },
		},
		close() {
			clearInterval(timer);
			course.close();
			life.end();
		},
	};
}
