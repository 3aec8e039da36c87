// SPDX-License-Identifier: MIT
// A table of events of which only the rows in sight exist. Rows have one height; what was in sight
// stays in sight when others come in above it.
import { h, show as fill } from "./dom";
import { type Event, type Field, isQuantity, type Schema, show } from "./schema";
import { timeOfDay, visible } from "./text";

// Heights as in views.css. On a phone a row is two lines in one cell.
const HEIGHT = 30;
const HEIGHT_NARROW = 56;
const NARROW = "(max-width: 760px)";
const SPARE = 8;

export interface Grid {
	element: HTMLElement;
	/** Newest-first or not: the rows as they shall stand. `added`: how many are new on top. */
	set(rows: Event[], added?: number): void;
	columns(names: string[], schema: Schema): void;
	select(id: string | null): void;
}

// Characters of room, by what a column holds.
function width(name: string, field: Field | undefined): number {
	if (name === "time") return 16;
	if (name === "type") return 15;
	if (name === "command") return 17;
	if (!field) return 24;
	if (field.type === "ip") return 18;
	if (field.type === "symbol") return 30;
	if (field.type === "string") return field.name === "interface" ? 11 : 26;
	if (field.type === "enum") return Math.max(16, Math.min(20, field.name.length + 3));
	return Math.max(10, field.name.length + 3);
}

/** The telling fields of an event in one line: name and value, the name quiet. */
export function sentence(event: Event, schema: Schema): HTMLElement {
	const parts: Node[] = [];
	for (const field of schema.telling(event.type)) {
		const value = show(event[field.name], field);
		if (!value) continue;
		parts.push(
			h("span", { class: "part" }, h("span", { class: "part-name" }, field.name), " ", value),
			document.createTextNode(" "),
		);
		if (parts.length >= 16) break;
	}
	return h("span", { class: "sentence" }, ...parts);
}

export function typeBadge(type: string, schema: Schema): HTMLElement {
	return h("span", { class: `type series-${schema.colour(type)}` }, visible(type));
}

export function eventGrid(label: string, open: (event: Event) => void): Grid {
	let rows: Event[] = [];
	let names: string[] = [];
	let fields: (Field | undefined)[] = [];
	let schema: Schema;
	let selected: string | null = null;
	let active = 0;
	let made = new WeakMap<Event, HTMLTableRowElement>();
	let scheduled = false;
	const narrow = matchMedia(NARROW);
	let height = narrow.matches ? HEIGHT_NARROW : HEIGHT;

	const cols = h("colgroup");
	const head = h("tr");
	const above = h("tr", { "aria-hidden": "true", class: "spacer" }, h("td"));
	const below = h("tr", { "aria-hidden": "true", class: "spacer" }, h("td"));
	const body = h("tbody", {}, above, below);
	const table = h(
		"table",
		{ class: "grid", "aria-label": label },
		cols,
		h("thead", {}, head),
		body,
	);
	const element = h(
		"div",
		{
			class: "grid-scroll",
			tabindex: "0",
			role: "region",
			"aria-label": `${label}: arrow keys move, Enter opens`,
			scroll: () => schedule(),
			keydown: (event: KeyboardEvent) => key(event),
		},
		table,
	);
	new ResizeObserver(() => schedule()).observe(element);
	narrow.addEventListener("change", () => {
		if (element.isConnected) build();
	});

	function both(event: Event): HTMLTableCellElement {
		return h(
			"td",
			{ class: "both" },
			h(
				"span",
				{ class: "first-line" },
				h("span", { class: "mono time" }, timeOfDay(event.time, 3)),
				typeBadge(event.type, schema),
				h("span", { class: "who" }, `${show(event.command)} ${show(event.pid)}`),
			),
			sentence(event, schema),
		);
	}

	function cell(event: Event, index: number): HTMLTableCellElement {
		const name = names[index] as string;
		const field = fields[index];
		if (name === "time")
			return h("td", { class: "mono time", title: event.time }, timeOfDay(event.time));
		if (name === "type") return h("td", {}, typeBadge(event.type, schema));
		if (name === "*") return h("td", {}, sentence(event, schema));
		const text = show(event[name], schema.field(name, event.type) ?? field);
		const kind = isQuantity(field)
			? "number"
			: field && ["ip", "symbol", "mac", "hex"].includes(field.type)
				? "mono"
				: "";
		return h("td", { class: kind, title: text.length > 18 ? text : null }, text || "–");
	}

	function row(event: Event, index: number): HTMLTableRowElement {
		let found = made.get(event);
		if (!found) {
			found = h(
				"tr",
				{
					tabindex: "-1",
					class: event.error && event.error !== "EINPROGRESS" ? "failed" : null,
					click: () => {
						if (!getSelection()?.toString()) pick(rows.indexOf(event));
					},
				},
				...(narrow.matches ? [both(event)] : names.map((_, i) => cell(event, i))),
			);
			made.set(event, found);
		}
		found.setAttribute("aria-rowindex", String(index + 2));
		found.setAttribute("aria-selected", String(event.id === selected));
		found.tabIndex = index === active ? 0 : -1;
		return found;
	}

	function pick(index: number): void {
		const event = rows[index];
		if (!event) return;
		active = index;
		open(event);
		draw();
	}

	function draw(): void {
		scheduled = false;
		const first = Math.max(0, Math.floor(element.scrollTop / height) - SPARE);
		const last = Math.min(
			rows.length,
			Math.ceil((element.scrollTop + element.clientHeight) / height) + SPARE,
		);
		const wanted = rows.slice(first, last).map((event, i) => row(event, first + i));
		const keep = new Set<Element>([above, below, ...wanted]);
		for (const child of [...body.children]) if (!keep.has(child)) child.remove();
		let next = above.nextSibling;
		for (const one of wanted) {
			if (one === next) next = next.nextSibling;
			else body.insertBefore(one, next);
		}
		above.style.height = `${first * height}px`;
		below.style.height = `${(rows.length - last) * height}px`;
		above.hidden = first === 0;
		below.hidden = last === rows.length;
		table.setAttribute("aria-rowcount", String(rows.length + 1));
	}

	function schedule(): void {
		if (!scheduled) {
			scheduled = true;
			requestAnimationFrame(draw);
		}
	}

	function key(event: KeyboardEvent): void {
		const steps: Record<string, number> = {
			ArrowDown: 1,
			ArrowUp: -1,
			PageDown: 20,
			PageUp: -20,
			Home: -rows.length,
			End: rows.length,
		};
		if (event.key === "Enter" && rows.length) {
			pick(active);
		} else if (event.key in steps && rows.length) {
			const inside = element !== document.activeElement;
			const step = inside || Math.abs(steps[event.key] as number) > 1 ? steps[event.key] : 0;
			active = Math.max(0, Math.min(rows.length - 1, active + (step as number)));
			const top = active * height;
			if (top < element.scrollTop) element.scrollTop = top;
			else if (top + height * 2 > element.scrollTop + element.clientHeight)
				element.scrollTop = top - element.clientHeight + height * 2;
			draw();
			made.get(rows[active] as Event)?.focus({ preventScroll: true });
		} else {
			return;
		}
		event.preventDefault();
	}

	/** Columns, or on a phone the two lines of each event. */
	function build(): void {
		height = narrow.matches ? HEIGHT_NARROW : HEIGHT;
		fields = names.map((name) => (name === "*" ? undefined : schema.field(name)));
		made = new WeakMap();
		table.classList.toggle("narrow", narrow.matches);
		const widths = names.map((name, i) => width(name, fields[i]));
		fill(
			cols,
			...widths.map((size, i) => {
				const col = h("col");
				if (i < names.length - 1 || names[i] !== "*") col.style.width = `${size}ch`;
				return col;
			}),
		);
		fill(
			head,
			...names.map((name, i) =>
				h(
					"th",
					{
						scope: "col",
						class: isQuantity(fields[i]) ? "number" : null,
						title: fields[i]?.description || null,
					},
					name === "*" ? "what happened" : visible(name),
				),
			),
		);
		const least = names.reduce((sum, name, i) => sum + (name === "*" ? 44 : widths[i]!), 0);
		table.style.minWidth = narrow.matches ? "0" : `${least}ch`;
		table.tHead!.hidden = narrow.matches;
		if (narrow.matches) fill(cols);
		draw();
	}

	return {
		element,
		set(next, added = 0) {
			const kept = rows[active];
			rows = next;
			if (added) {
				const moved = kept ? rows.indexOf(kept) : -1;
				active = element.contains(document.activeElement) && moved >= 0 ? moved : 0;
				if (element.scrollTop > height) element.scrollTop += added * height;
			} else {
				active = Math.min(active, Math.max(0, rows.length - 1));
			}
			draw();
		},
		columns(wanted, known) {
			if (schema === known && names.join() === wanted.join()) return;
			schema = known;
			names = wanted;
			build();
		},
		select(id) {
			selected = id;
			draw();
		},
	};
}
