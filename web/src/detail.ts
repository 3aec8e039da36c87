// SPDX-License-Identifier: MIT
// One event with all its fields: what they mean, and filters made of their values.
import { h, icon, iconButton, show as fill } from "./dom";
import { typeBadge } from "./grid";
import { setParameters } from "./location";
import { type Event, expression, type Field, own, type Schema, show, TIME } from "./schema";
import { visible } from "./text";

export interface Detail {
	element: HTMLElement;
	open(event: Event, schema: Schema): void;
	close(): void;
	readonly isOpen: boolean;
}

export function eventDetail(closed: () => void): Detail {
	let before: Element | null = null;
	const element = h("aside", { class: "detail", "aria-label": "Event", hidden: true });

	function close(): void {
		if (element.hidden) return;
		element.hidden = true;
		closed();
		if (before instanceof HTMLElement && before.isConnected)
			before.focus({ preventScroll: true });
	}

	function filterButtons(name: string, value: unknown): HTMLElement {
		const text = visible(String(value));
		const button = (picture: "include" | "exclude", label: string, filter: string) =>
			h(
				"button",
				{
					type: "button",
					class: "tiny",
					title: label,
					"aria-label": `${label}: ${name}=${text}`,
					click: () => setParameters({ [name]: filter }),
				},
				icon(picture),
			);
		return h(
			"span",
			{ class: "detail-actions" },
			button("include", "Only these", expression(value)),
			button("exclude", "All but these", `!${expression(value)}`),
		);
	}

	function line(event: Event, field: Field): HTMLElement {
		const value = event[field.name];
		const text = show(value, field);
		const raw = visible(String(value ?? ""));
		return h(
			"div",
			{ class: "detail-line" },
			h("dt", { title: field.description || null }, field.name),
			h(
				"dd",
				{},
				h("span", { class: text ? "value" : "value none" }, text || "none"),
				text && raw !== text && field.type !== "time"
					? h("span", { class: "raw" }, field.unit ? `${raw} ${field.unit}` : raw)
					: null,
				text && field.type !== "time" && field.name !== "id"
					? filterButtons(field.name, value)
					: null,
				field.description ? h("span", { class: "about" }, field.description) : null,
			),
		);
	}

	return {
		element,
		close,
		get isOpen() {
			return !element.hidden;
		},
		open(event, schema) {
			const stream = schema.stream(event.type);
			const mine = stream ? own(stream) : [];
			const others = stream ? stream.fields.filter((field) => !mine.includes(field)) : [];
			if (element.hidden) before = document.activeElement;
			fill(
				element,
				h(
					"header",
					{ class: "detail-head" },
					h(
						"h2",
						{},
						typeBadge(event.type, schema),
						" ",
						visible(String(event.command ?? "")),
					),
					iconButton("close", "Close (Escape)", close, true),
				),
				stream ? h("p", { class: "about" }, stream.description) : null,
				h(
					"dl",
					{ class: "detail-fields" },
					line(event, TIME),
					...mine.map((field) => line(event, field)),
					...others.map((field) => line(event, field)),
				),
				h("p", { class: "event-id" }, "id ", h("code", {}, event.id)),
			);
			element.hidden = false;
			element.scrollTop = 0;
		},
	};
}
