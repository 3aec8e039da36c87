// SPDX-License-Identifier: MIT
// GET /api/events/summary, and lists of what there is most of.
import { get } from "./api";
import { sparkline } from "./chart";
import { h, show } from "./dom";
import { hrefOf } from "./location";
import { expression, type Schema, show as text } from "./schema";
import { count, percent, several, short } from "./text";

export interface Values {
	count: number;
	sum: number | string;
	min: number | null;
	max: number | null;
	mean?: number | null;
	p50?: number | null;
	p90?: number | null;
	p99?: number | null;
}

export interface Group {
	key: Record<string, unknown>;
	count: number;
	counts?: number[];
	values?: Record<string, Values>;
}

export interface Summary {
	groups: Group[];
	other: { count: number; groups: number; counts?: number[] };
	total: { count: number; groups: number; counts?: number[] };
	histogram: { start: string; end: string; bucket_ns: number; buckets: number } | null;
	/** False when there were too many groups to tell them all apart. */
	exact: boolean;
	complete: boolean;
	lost: number;
}

export interface Question {
	by: string[];
	since: string;
	until?: string | null;
	top?: number;
	buckets?: number;
	of?: string[];
	filters?: Record<string, string>;
}

export function summarize(question: Question, signal?: AbortSignal): Promise<Summary> {
	const query = new URLSearchParams(question.filters);
	if (question.by.length) query.set("by", question.by.join(","));
	if (question.of?.length) query.set("of", question.of.join(","));
	query.set("since", question.since);
	if (question.until) query.set("until", question.until);
	query.set("top", String(question.top ?? 10));
	query.set("buckets", String(question.buckets ?? 60));
	return get<Summary>("api/events/summary", query, signal);
}

/** Times (seconds since the epoch) at which the buckets begin, and seconds that one spans. */
export function buckets(summary: Summary): { times: number[]; seconds: number } {
	const histogram = summary.histogram;
	if (!histogram) return { times: [], seconds: 1 };
	const start = Date.parse(histogram.start) / 1e3;
	const seconds = histogram.bucket_ns / 1e9 || 1;
	return {
		times: Array.from({ length: histogram.buckets }, (_, i) => start + i * seconds),
		seconds,
	};
}

export function rates(counts: number[] | undefined, seconds: number): number[] {
	return (counts ?? []).map((value) => value / seconds);
}

/** "curl", "ECONNREFUSED · 127.0.0.1:1"; null is "none". */
export function keyText(group: Group, schema: Schema): string {
	return Object.entries(group.key)
		.map(([name, value]) => text(value, schema.field(name)) || "none")
		.join(" · ");
}

/** Filters that find the events of a group, or null where one of its values is none. */
function keyFilters(group: Group): Record<string, string> | null {
	const entries = Object.entries(group.key);
	if (entries.some(([, value]) => value === null || value === "")) return null;
	return Object.fromEntries(entries.map(([name, value]) => [name, expression(value)]));
}

export interface TopList {
	element: HTMLElement;
	update(summary: Summary, schema: Schema, filters: Record<string, string>): void;
	fail(message: string): void;
}

/** A panel of the largest groups, each with its share as a bar and its course as a line; each leads
 * to its events. `fits`: as high as it needs to be; else as high with few rows as with all. */
export function topList(
	title: string,
	about: string,
	empty: string,
	rows = 8,
	fits = false,
): TopList {
	const total = h("span", { class: "panel-figure" });
	const list = h("ol", { class: "top" }, ...skeleton(rows));
	const element = h(
		"section",
		{ class: "panel", "aria-label": title },
		h("header", { class: "panel-head" }, h("h2", {}, title), total),
		h("p", { class: "panel-about" }, about),
		list,
	);
	list.style.minHeight = `${rows * 30}px`;

	function item(
		group: Group,
		largest: number,
		sum: number,
		schema: Schema,
		filters: Record<string, string>,
	): HTMLElement {
		const name = keyText(group, schema);
		const found = keyFilters(group);
		const label = h("span", { class: "top-name", title: name }, name);
		const bar = h("span", { class: "top-bar", "aria-hidden": "true" });
		bar.style.width = `${(group.count / largest) * 100}%`;
		return h(
			"li",
			{ class: "top-row" },
			bar,
			found
				? h(
						"a",
						{
							href: hrefOf("history", {
								...filters,
								...found,
							}),
							class: "top-link",
						},
						label,
					)
				: label,
			group.counts ? sparkline(group.counts, 64, 20) : null,
			h("span", { class: "top-share" }, percent(group.count / sum)),
			h("span", { class: "top-count", title: count(group.count) }, short(group.count)),
		);
	}

	return {
		element,
		update(summary, schema, filters) {
			const sum = summary.total.count;
			const largest = summary.groups[0]?.count ?? 1;
			show(total, sum ? count(sum) : "");
			if (fits) list.style.minHeight = "";
			if (!sum) {
				show(list, h("li", { class: "empty" }, empty));
				return;
			}
			show(
				list,
				...summary.groups
					.slice(0, rows)
					.map((group) => item(group, largest, sum, schema, filters)),
				summary.other.count
					? h(
							"li",
							{ class: "top-row rest" },
							h(
								"span",
								{ class: "top-name" },
								(summary.exact ? "" : "at least ") +
									several(summary.other.groups, "other"),
							),
							h("span", { class: "top-share" }, percent(summary.other.count / sum)),
							h("span", { class: "top-count" }, short(summary.other.count)),
						)
					: null,
			);
		},
		fail(message) {
			show(total);
			show(list, h("li", { class: "empty failed" }, message));
		},
	};
}

export function skeleton(rows: number): HTMLElement[] {
	return Array.from({ length: rows }, () =>
		h("li", { class: "skeleton", "aria-hidden": "true" }),
	);
}
