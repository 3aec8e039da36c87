// SPDX-License-Identifier: MIT
// The bar of filters: what stands in it stands in the address bar, by the names of the API.
import { h, icon, say, show } from "./dom";
import { parameters, setParameters } from "./location";
import type { Schema } from "./schema";
import { visible } from "./text";

// Parameters of the question that are no filters.
const RESERVED = ["since", "until", "order", "limit", "after", "before", "by", "of", "top"];

export interface FilterBar {
	element: HTMLElement;
	/** Shows what the address bar says. */
	update(schema: Schema): void;
	/** Shows what the API has against the filters; "" takes it away. */
	fail(message: string): void;
	focus(): void;
}

export function activeFilters(query = parameters()): [string, string][] {
	return [...query].filter(
		([name]) => !name.startsWith("_") && name !== "type" && !RESERVED.includes(name),
	);
}

export const activeTypes = (query = parameters()): string[] =>
	(query.get("type") ?? "").split(",").filter(Boolean);

export function filterBar(): FilterBar {
	let schema: Schema | null = null;
	const types = h("select", {
		"aria-label": "Type of events",
		change: () => setParameters({ type: types.value || null }),
	});
	const chips = h("ul", { class: "chips", "aria-label": "Filters" });
	const suggestions = h("datalist", { id: "filter-suggestions" });
	const input = h("input", {
		type: "text",
		class: "filter-input",
		list: "filter-suggestions",
		placeholder: "Filter, such as destination_port=443",
		"aria-label": "Add a filter: field=expression",
		autocomplete: "off",
		autocapitalize: "off",
		spellcheck: "false",
		enterkeyhint: "done",
		input: () => suggest(),
	});
	const error = h("p", { class: "form-error", role: "alert" });
	const form = h(
		"form",
		{
			class: "filter-form",
			submit: (event: Event) => {
				event.preventDefault();
				add();
			},
		},
		input,
		suggestions,
		h("button", { type: "submit", class: "button" }, "Add"),
	);

	function add(): void {
		const text = input.value.trim();
		const cut = text.indexOf("=");
		if (!text) return;
		const name = text.slice(0, cut).trim();
		const value = text.slice(cut + 1).trim();
		if (cut < 1 || !value) {
			say(error, "Write field=expression, such as command=curl or duration_ns=1ms..");
			return;
		}
		if (name !== "type" && schema && !schema.fieldNames().includes(name)) {
			say(error, `No event has a field "${visible(name)}".`);
			return;
		}
		say(error, "");
		input.value = "";
		setParameters({ [name]: value });
	}

	function suggest(): void {
		if (!schema) return;
		const name = input.value.split("=", 1)[0] as string;
		const field = input.value.includes("=") ? schema.field(name) : undefined;
		const list = field?.values
			? field.values.map((value) => `${name}=${value}`)
			: schema.fieldNames(activeTypes()).map((item) => `${item}=`);
		show(suggestions, ...list.map((value) => h("option", { value })));
	}

	function chip([name, value]: [string, string]): HTMLElement {
		const text = `${name}=${visible(value)}`;
		return h(
			"li",
			{ class: "chip" },
			h(
				"button",
				{
					type: "button",
					class: "chip-text",
					title: "Change",
					"aria-label": `Change the filter ${text}`,
					click: () => {
						input.value = `${name}=${value}`;
						setParameters({ [name]: null });
						input.focus();
					},
				},
				h("span", { class: "chip-name" }, `${name}=`),
				h("span", { class: "chip-value" }, visible(value)),
			),
			h(
				"button",
				{
					type: "button",
					class: "chip-remove",
					"aria-label": `Remove the filter ${text}`,
					click: () => setParameters({ [name]: null }),
				},
				icon("close"),
			),
		);
	}

	return {
		element: h(
			"div",
			{ class: "filters", role: "search", "aria-label": "Filters" },
			types,
			form,
			chips,
			error,
		),
		update(known) {
			schema = known;
			const chosen = activeTypes().join(",");
			const names = ["", ...known.names];
			if (!names.includes(chosen)) names.push(chosen);
			show(
				types,
				...names.map((name) =>
					h(
						"option",
						{ value: name, selected: name === chosen },
						visible(name) || "All types",
					),
				),
			);
			types.value = chosen;
			show(chips, ...activeFilters().map(chip));
			chips.hidden = !chips.childElementCount;
			suggest();
		},
		fail: (message) => say(error, message),
		focus: () => input.focus(),
	};
}
