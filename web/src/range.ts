// SPDX-License-Identifier: MIT
// Ranges of time: the usual ones by a press, any other by two fields. The address bar holds them as
// `since` and `until`, as the API takes them.
import { h, icon, popover, say, show } from "./dom";
import { parameters, setParameters } from "./location";
import { zone } from "./preferences";
import { dateTime, zoneName } from "./text";

const PRESETS: [string, string, string][] = [
	["-5m", "5 min", "the last 5 minutes"],
	["-15m", "15 min", "the last 15 minutes"],
	["-1h", "1 h", "the last hour"],
	["-6h", "6 h", "the last 6 hours"],
	["-24h", "24 h", "the last 24 hours"],
	["-7d", "7 d", "the last 7 days"],
];

export const DEFAULT_SINCE = "-15m";

export const since = () => parameters().get("since") || DEFAULT_SINCE;
export const until = () => parameters().get("until");

/** "the last 15 minutes", or from when to when. */
export function rangeText(): string {
	const preset = PRESETS.find(([value]) => value === since());
	if (preset && !until()) return preset[2];
	const name = (value: string) => (/^\d{4}/.test(value) ? dateTime(value, 0) : value);
	return `${name(since())} to ${until() ? name(until() as string) : "now"}`;
}

/** What a datetime-local field holds, for a time in the zone that is chosen. */
function toField(at: number): string {
	const shift = zone() === "utc" ? 0 : new Date(at).getTimezoneOffset() * 60e3;
	return new Date(at - shift).toISOString().slice(0, 19);
}

function fromField(value: string): string | null {
	const at = zone() === "utc" ? Date.parse(`${value}Z`) : Date.parse(value);
	return Number.isNaN(at) ? null : new Date(at).toISOString();
}

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Milliseconds since the epoch of "-15m", "now" or a time. */
export function moment(value: string): number {
	const relative = /^-(\d+(?:\.\d+)?)([smhd])$/.exec(value);
	if (relative) return Date.now() - Number(relative[1]) * (UNITS[relative[2]!] as number);
	return value === "now" ? Date.now() : Date.parse(value);
}

export interface RangeControl {
	element: HTMLElement;
	update(): void;
}

export function rangeControl(custom: boolean): RangeControl {
	const presets = h("div", {
		class: "segments",
		role: "group",
		"aria-label": "Range of time",
	});
	const from = h("input", { type: "datetime-local", step: "1" });
	const to = h("input", { type: "datetime-local", step: "1" });
	const note = h("span", { class: "zone-note" });
	const error = h("span", { class: "form-error", role: "alert" });
	const form = h(
		"form",
		{
			class: "range-form",
			submit: (event: Event) => {
				event.preventDefault();
				const begin = fromField(from.value);
				const end = fromField(to.value);
				if (!begin || !end || begin >= end) {
					say(error, "Give a beginning, and an end after it.");
					return;
				}
				say(error, "");
				menu.open = false;
				setParameters({ since: begin, until: end });
			},
		},
		h("label", {}, "From", from),
		h("label", {}, "To", to),
		note,
		h("button", { type: "submit", class: "button primary" }, "Show"),
		error,
	);
	const summary = h("summary", { class: "button" }, icon("clock"), "Custom range");
	const menu = popover(summary, form);
	return {
		element: h("div", { class: "range" }, presets, custom ? menu : null),
		update() {
			const chosen = until() ? "" : since();
			show(
				presets,
				...PRESETS.map(([value, short, long]) =>
					h(
						"button",
						{
							type: "button",
							"aria-pressed": String(value === chosen),
							title: long,
							click: () =>
								setParameters({
									since: value,
									until: null,
								}),
						},
						short,
					),
				),
			);
			from.value = toField(moment(since()));
			to.value = toField(until() ? moment(until() as string) : Date.now());
			say(note, `Times in ${zoneName()}`);
			menu.classList.toggle("in-use", until() !== null);
		},
	};
}
