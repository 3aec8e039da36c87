// SPDX-License-Identifier: MIT
// Rooms: named sources of lines. Any number can be joined; the address bar holds which, and the
// filter.
import { address, get, messageData, messageOf, poll, readStream } from "../api";
import { chart } from "../chart";
import { h, icon, say, show } from "../dom";
import { parameters, setParameters, navigate, hrefOf } from "../location";
import { numbersOf } from "../numbers";
import { ago, count, rate, several, short, timeOfDay, visible, zoneName } from "../text";
import { lifetime, type View } from "../view";

const REFRESH_MS = 2000;
const LINES = 1000;
const POINTS = 600;
const CURVES = 8;
// A browser opens six connections to a server, for all its pages together; each room is one.
const JOINED = 3;

interface Room {
	name: string;
	members: number;
	since: string;
	rate: number;
	messages: number;
}

interface Line {
	room: string;
	time: string;
	from: string;
	text: string;
}

interface Point {
	at: number;
	value: number;
}

interface Curve {
	element: HTMLElement;
	set(points: Point[]): void;
	close(): void;
}

function curve([room, from, name]: [string, string, string], colour: number): Curve {
	const value = h("span", { class: "panel-figure" });
	const course = chart({
		height: 96,
		label: `${visible(name)} in the messages of ${visible(room)}, over time`,
		format: short,
	});
	const element = h(
		"div",
		{ class: "curve" },
		h(
			"div",
			{ class: "curve-head" },
			h("span", {}, visible(name), " ", h("span", { class: "about" }, visible(from || room))),
			value,
		),
		course.element,
	);
	return {
		element,
		set(points) {
			say(value, short(points.at(-1)?.value ?? 0));
			course.set(
				points.map((point) => point.at),
				[{ name, colour, values: points.map((point) => point.value) }],
			);
		},
		close() {
			course.close();
			element.remove();
		},
	};
}

export function rooms(): View {
	const life = lifetime();
	const joined = new Map<string, AbortController>();
	const curves = new Map<string, Point[]>();
	const states = new Map<string, string>();
	let lines: Line[] = [];
	let arrived: Line[] = [];
	let test: (text: string) => boolean = () => true;
	let paused = false;
	let scheduled = false;
	let known: Room[] = [];

	const status = h("p", { class: "status", role: "status" });
	const list = h("ul", { class: "room-list" });
	const filter = h("input", {
		type: "search",
		placeholder: "Filter messages",
		"aria-label": "Filter messages",
		autocomplete: "off",
		spellcheck: "false",
		input: () => setParameters({ _text: filter.value || null }, true),
	});
	const regex = h("input", {
		type: "checkbox",
		change: () => setParameters({ _regex: regex.checked ? "1" : null }, true),
	});
	const error = h("p", { class: "form-error", role: "alert" });
	const pauseButton = h("button", {
		type: "button",
		class: "button",
		click: () => setPaused(!paused),
	});
	const note = h("span", { class: "note", role: "status" });
	const zone = h("span", { class: "zone-note" });
	const log = h("ol", {
		class: "log",
		tabindex: "0",
		"aria-label": "Messages, newest first",
	});
	const empty = h("p", { class: "empty" });
	const charts = new Map<string, Curve>();
	const chartBox = h("div", { class: "curves" });
	const coursePanel = h(
		"section",
		{ class: "panel", "aria-label": "Numbers", hidden: true },
		h("header", { class: "panel-head" }, h("h2", {}, "Numbers in the messages")),
		chartBox,
	);
	const element = h(
		"div",
		{ class: "view rooms" },
		h(
			"div",
			{ class: "view-head" },
			h("h1", {}, "Rooms"),
			h(
				"div",
				{ class: "actions" },
				pauseButton,
				h(
					"button",
					{ type: "button", class: "button", click: () => clear() },
					icon("clear"),
					h("span", { class: "label" }, "Clear"),
				),
			),
		),
		h(
			"div",
			{ class: "room-columns" },
			h(
				"section",
				{ class: "panel", "aria-label": "All rooms" },
				h("header", { class: "panel-head" }, h("h2", {}, "All rooms")),
				status,
				list,
			),
			h(
				"div",
				{ class: "room-main" },
				h(
					"div",
					{
						class: "filters",
						role: "search",
						"aria-label": "Filter messages",
					},
					filter,
					h("label", { class: "check" }, regex, "Regular expression"),
					error,
				),
				coursePanel,
				h(
					"section",
					{ class: "panel table-panel", "aria-label": "Messages" },
					h("div", { class: "table-note" }, note, zone),
					log,
					empty,
				),
			),
		),
	);

	// ---- joining ----

	function join(name: string): void {
		const controller = new AbortController();
		joined.set(name, controller);
		states.set(name, "joining");
		void readStream(
			address(`api/rooms/${encodeURIComponent(name)}/stream`),
			{
				batch: (messages) => take(name, messages),
				state: (connected, why) => {
					states.set(name, connected ? "" : (why ?? ""));
					showRooms();
				},
				refused: (refusal) => {
					states.set(name, refusal.message);
					showRooms();
				},
			},
			AbortSignal.any([controller.signal, life.signal]),
		);
	}

	function leave(name: string): void {
		joined.get(name)?.abort();
		joined.delete(name);
		states.delete(name);
		for (const key of [...curves.keys()]) if (key.startsWith(`${name}\n`)) curves.delete(key);
	}

	/** Joined are the rooms that the address bar says. */
	function toggle(name: string): void {
		const query = parameters();
		const others = query.getAll("room").filter((room) => room !== name);
		const was = query.getAll("room").includes(name);
		query.delete("room");
		for (const room of was ? others : [...others, name].slice(-JOINED))
			query.append("room", room);
		navigate(hrefOf("rooms", query));
	}

	// ---- messages ----

	function take(room: string, messages: string[]): void {
		for (const message of messages) {
			const data = messageData(message);
			if (!data) continue;
			const line = { room, ...(JSON.parse(data) as Omit<Line, "room">) };
			arrived.push(line);
			for (const [name, value] of Object.entries(numbersOf(line.text)))
				plot(line, name, value);
		}
		if (arrived.length > LINES) arrived = arrived.slice(-LINES);
		if (scheduled || document.hidden) return;
		scheduled = true;
		requestAnimationFrame(draw);
	}

	function plot(line: Line, name: string, value: number): void {
		const key = `${line.room}\n${line.from}\n${name}`;
		if (!curves.has(key) && curves.size >= CURVES) return;
		const points = curves.get(key) ?? [];
		points.push({ at: Date.parse(line.time) / 1e3, value });
		if (points.length > POINTS) points.shift();
		curves.set(key, points);
	}

	function row(line: Line): HTMLElement {
		return h(
			"li",
			{},
			h(
				"time",
				{ class: "mono", datetime: line.time, title: line.time },
				timeOfDay(line.time, 3),
			),
			h(
				"span",
				{ class: "from" },
				visible(joined.size > 1 ? `${line.room} · ${line.from}` : line.from),
			),
			h("span", { class: "message" }, visible(line.text)),
		);
	}

	/** Once in a frame: what came in since the last. */
	function draw(): void {
		scheduled = false;
		if (paused) {
			showEmpty();
			return;
		}
		const fresh = arrived.reverse();
		arrived = [];
		lines = [...fresh, ...lines].slice(0, LINES);
		log.prepend(...fresh.filter((line) => test(line.text)).map(row));
		while (log.childElementCount > LINES) log.lastElementChild?.remove();
		showEmpty();
		showCurves();
	}

	function drawAll(): void {
		show(log, ...lines.filter((line) => test(line.text)).map(row));
		showEmpty();
	}

	function showEmpty(): void {
		const shown = log.childElementCount;
		log.hidden = !shown;
		empty.hidden = shown > 0;
		say(
			empty,
			!joined.size
				? "Join a room to see its messages."
				: lines.length
					? "None of the messages here fits the filter."
					: "Waiting for a message.",
		);
		say(
			note,
			paused
				? `Paused: ${several(arrived.length, "message")} since then.`
				: lines.length
					? `${count(shown)} of ${count(lines.length)} messages` +
						(lines.length >= LINES ? ", the newest" : "")
					: "",
		);
	}

	/** Each number has a chart of its own: they need not be of one kind. */
	function showCurves(): void {
		coursePanel.hidden = !curves.size;
		for (const [key, made] of charts) {
			if (curves.has(key)) continue;
			made.close();
			charts.delete(key);
		}
		for (const [key, points] of curves) {
			let made = charts.get(key);
			if (!made) {
				made = curve(key.split("\n") as [string, string, string], charts.size % 8);
				charts.set(key, made);
				chartBox.append(made.element);
			}
			made.set(points);
		}
	}

	function clear(): void {
		lines = [];
		arrived = [];
		curves.clear();
		drawAll();
		showCurves();
	}

	function setPaused(value: boolean): void {
		paused = value;
		pauseButton.setAttribute("aria-pressed", String(paused));
		show(
			pauseButton,
			icon(paused ? "play" : "pause"),
			h("span", { class: "label" }, paused ? "Continue" : "Pause"),
		);
		if (!paused) draw();
		showEmpty();
	}

	function readFilter(): void {
		const text = parameters().get("_text") ?? "";
		const asRegex = parameters().get("_regex") === "1";
		if (document.activeElement !== filter) filter.value = text;
		regex.checked = asRegex;
		say(error, "");
		if (!text) {
			test = () => true;
		} else if (asRegex) {
			try {
				const expression = new RegExp(text, "iu");
				test = (message) => expression.test(message);
			} catch (reason) {
				say(error, messageOf(reason));
			}
		} else {
			const wanted = text.toLowerCase();
			test = (message) => message.toLowerCase().includes(wanted);
		}
	}

	// ---- the list of rooms ----

	function showRooms(): void {
		const asked = [...joined.keys()].filter(
			(name) => !known.some((room) => room.name === name),
		);
		const all: (Room | { name: string })[] = [...known, ...asked.map((name) => ({ name }))];
		const focused = document.activeElement?.getAttribute("data-room");
		show(
			list,
			...all.map((room) => {
				const inside = joined.has(room.name);
				const state = states.get(room.name);
				return h(
					"li",
					{ class: inside ? "room joined" : "room" },
					h(
						"div",
						{},
						h("strong", {}, visible(room.name)),
						h(
							"span",
							{ class: "about" },
							state ||
								("since" in room
									? `${rate(room.rate)}, ${several(room.messages, "message")}, ` +
										`${count(room.members)} watching, opened ${ago(room.since)}`
									: "not open"),
						),
					),
					h(
						"button",
						{
							type: "button",
							class: inside ? "button" : "button primary",
							"data-room": room.name,
							"aria-label": `${inside ? "Leave" : "Join"} ${visible(room.name)}`,
							click: () => toggle(room.name),
						},
						inside ? "Leave" : "Join",
					),
				);
			}),
		);
		if (focused !== null && focused !== undefined)
			[...list.querySelectorAll<HTMLElement>("[data-room]")]
				.find((button) => button.dataset.room === focused)
				?.focus();
	}

	async function refresh(): Promise<void> {
		known = (await get<{ rooms: Room[] }>("api/rooms", {}, life.signal)).rooms;
		say(
			status,
			known.length
				? ""
				: "No room is open. A room opens with its first message: " +
						"curl -d 'hello' http://HOST:PORT/api/rooms/NAME",
		);
		showRooms();
	}

	poll(REFRESH_MS, life.signal, refresh, (reason) => say(status, messageOf(reason)));
	setPaused(false);

	return {
		element,
		update() {
			const wanted = parameters().getAll("room").slice(-JOINED);
			for (const name of [...joined.keys()]) if (!wanted.includes(name)) leave(name);
			for (const name of wanted) if (!joined.has(name)) join(name);
			readFilter();
			say(zone, `Times in ${zoneName()}`);
			showRooms();
			drawAll();
			showCurves();
		},
		keys: {
			" ": { does: "Pause or continue", run: () => setPaused(!paused) },
			c: { does: "Clear", run: clear },
			"/": { does: "Filter", run: () => filter.focus() },
		},
		close() {
			for (const made of charts.values()) made.close();
			life.end();
		},
	};
}
