// SPDX-License-Identifier: MIT
// Which columns a table of events shows; `_columns` in the address bar, or what suits the streams.
import { h, icon, popover, show } from "./dom";
import { activeTypes } from "./filters";
import { parameters, setParameters } from "./location";
import type { Schema } from "./schema";

export function shownColumns(schema: Schema): string[] {
	const known = ["time", "type", "*", ...schema.fieldNames()];
	const chosen = (parameters().get("_columns") ?? "")
		.split(",")
		.filter((name) => known.includes(name));
	return chosen.length ? chosen : schema.columns(activeTypes());
}

export interface ColumnsMenu {
	element: HTMLElement;
	update(schema: Schema, shown: string[]): void;
}

export function columnsMenu(): ColumnsMenu {
	const list = h("div", { class: "menu-list" });
	const element = popover(
		h(
			"summary",
			{ class: "button" },
			icon("columns"),
			h("span", { class: "label" }, "Columns"),
		),
		list,
	);
	return {
		element,
		update(schema, shown) {
			const names = ["time", "type", ...schema.fieldNames(activeTypes()), "*"];
			const change = (name: string, on: boolean) => {
				const next = on
					? names.filter((other) => shown.includes(other) || other === name)
					: shown.filter((other) => other !== name);
				setParameters({ _columns: next.join(",") || null });
			};
			show(
				list,
				...names.map((name) =>
					h(
						"label",
						{},
						h("input", {
							type: "checkbox",
							checked: shown.includes(name),
							change: (event: Event) =>
								change(name, (event.target as HTMLInputElement).checked),
						}),
						name === "*" ? "what happened" : name,
					),
				),
				h(
					"button",
					{
						type: "button",
						class: "button",
						click: () => setParameters({ _columns: null }),
					},
					"As usual",
				),
			);
		},
	};
}
