// SPDX-License-Identifier: MIT
// Charts: uPlot in the colours and the time zone of the page, and sparklines.
import uPlot from "uplot";
import { h, svg } from "./dom";
import { onChange, zone } from "./preferences";
import { axisTime, brief, rate, timeOfDay, visible } from "./text";

export interface Series {
	name: string;
	/** 0 to 7: which of the page's colours. */
	colour: number;
	values: (number | null)[];
	/** What the legend says while nobody points; else the last value that is whole. */
	idle?: string;
}

export interface ChartOptions {
	height: number;
	/** Columns on top of each other instead of lines. */
	stacked?: boolean;
	/** Lines go on where a series has no value. */
	gaps?: boolean;
	/** What a value is, in words. */
	format?: (value: number) => string;
	/** A stretch of time was drawn with the pointer: seconds since the epoch. */
	zoom?: (from: number, to: number) => void;
	label: string;
}

export interface Chart {
	element: HTMLElement;
	/** Times in seconds since the epoch. */
	set(times: number[], series: Series[], range?: [number, number]): void;
	close(): void;
}

/** A colour of the style sheet as a canvas takes it: "rgb(r, g, b)". */
function css(name: string): string {
	const probe = h("span", { hidden: true });
	probe.style.color = `var(${name})`;
	document.body.append(probe);
	const colour = getComputedStyle(probe).color;
	probe.remove();
	return colour;
}

const faint = (colour: string) => colour.replace("rgb(", "rgba(").replace(")", ", 0.12)");

const FONT = '11px "Inter Variable", system-ui, sans-serif';

function axes(height: number): uPlot.Axis[] {
	const shared = {
		stroke: css("--muted"),
		font: FONT,
		grid: { stroke: css("--line-faint"), width: 1 },
		ticks: { show: false },
	};
	return [
		{
			...shared,
			grid: { show: false },
			space: 76,
			gap: 6,
			size: 28,
			values: (_, splits, _axis, _space, step) => splits.map((at) => axisTime(at, step)),
		},
		{
			...shared,
			size: 56,
			gap: 6,
			space: height < 120 ? 20 : 36,
			values: (_, splits) => splits.map((value) => (value === null ? "" : brief(value))),
		},
	];
}

// Each on top of those before it; what is not there counts as nothing.
function stack(series: Series[]): number[][] {
	const sums: number[][] = [];
	for (const [i, one] of series.entries()) {
		const below = sums[i - 1];
		sums.push(one.values.map((value, j) => (value ?? 0) + (below?.[j] ?? 0)));
	}
	return sums;
}

export function chart(options: ChartOptions): Chart {
	const format = options.format ?? rate;
	const box = h("div", { class: "chart", role: "img", "aria-label": options.label });
	box.style.minHeight = `${options.height + 30}px`;
	let plot: uPlot | null = null;
	let shape = "";
	let last: [number[], Series[], [number, number] | undefined] | null = null;

	function lines(series: Series[]): uPlot.Series[] {
		return series.map((one, i) => {
			const colour = css(`--series-${one.colour}`);
			return {
				label: visible(one.name),
				stroke: colour,
				width: options.stacked ? 0 : 1.5,
				fill: options.stacked ? colour : faint(colour),
				points: { show: false },
				spanGaps: options.gaps ?? false,
				...(options.stacked
					? {
							paths: uPlot.paths.bars!({
								size: [0.86, 40],
								align: 1,
								gap: 1,
							}),
						}
					: {}),
				value: (_u: uPlot, _v: number, _s: number, at: number | null) => {
					const one = last?.[1][order(series.length, i)];
					if (at === null && one?.idle !== undefined) return one.idle;
					const value = one?.values[at ?? idle(one.values.length)];
					return value === null || value === undefined ? "–" : format(value);
				},
			};
		});
	}

	// What the legend says when nobody points: the last that is whole.
	const idle = (length: number) => Math.max(0, length - 2);

	// The highest of a stack is drawn first.
	const order = (length: number, i: number) => (options.stacked ? length - 1 - i : i);

	function make(times: number[], series: Series[]): void {
		plot?.destroy();
		const shown = options.stacked ? [...series].reverse() : series;
		const sums = options.stacked ? stack(series).reverse() : series.map((one) => one.values);
		plot = new uPlot(
			{
				width: Math.max(200, box.clientWidth),
				height: options.height,
				padding: [8, 20, 0, 0],
				tzDate: (seconds) =>
					zone() === "utc"
						? uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC")
						: new Date(seconds * 1e3),
				scales: {
					x: { range: (_u, low, high) => last?.[2] ?? [low, high] },
					y: { range: (_u, low, high) => heights(low, high) },
				},
				axes: axes(options.height),
				cursor: {
					y: false,
					points: { size: 6 },
					drag: {
						x: Boolean(options.zoom),
						y: false,
						setScale: false,
					},
				},
				legend: {
					live: true,
					markers: {
						fill: (_u, i) => css(`--series-${shown[i - 1]?.colour ?? 0}`),
					},
				},
				series: [
					{
						label: "",
						value: (_, at) =>
							at === null && last?.[1][0]?.idle !== undefined
								? ""
								: clock(at ?? last?.[0][idle(last[0].length)] ?? 0),
					},
					...lines(shown),
				],
				hooks: {
					setSelect: [
						(self) => {
							if (!options.zoom || self.select.width < 4) return;
							options.zoom(
								self.posToVal(self.select.left, "x"),
								self.posToVal(self.select.left + self.select.width, "x"),
							);
							self.setSelect(
								{
									left: 0,
									top: 0,
									width: 0,
									height: 0,
								},
								false,
							);
						},
					],
				},
			},
			[times, ...sums] as uPlot.AlignedData,
			box,
		);
	}

	const clock = (seconds: number) => timeOfDay(new Date(seconds * 1e3).toISOString(), 0);

	function set(times: number[], series: Series[], range?: [number, number]): void {
		const next = series.map((one) => `${one.colour} ${one.name}`).join("\n");
		last = [times, series, range];
		if (!box.isConnected) return;
		if (!plot || next !== shape) {
			shape = next;
			make(times, series);
			return;
		}
		const sums = options.stacked ? stack(series).reverse() : series.map((one) => one.values);
		plot.setData([times, ...sums] as uPlot.AlignedData);
	}

	function again(): void {
		shape = "";
		if (last) set(...last);
	}

	const observer = new ResizeObserver(() => {
		if (!plot) again();
		else if (plot.width !== box.clientWidth)
			plot.setSize({
				width: Math.max(200, box.clientWidth),
				height: options.height,
			});
	});
	observer.observe(box);
	const forget = onChange(again);

	return {
		element: box,
		set,
		close() {
			forget();
			observer.disconnect();
			plot?.destroy();
			plot = null;
		},
	};
}

/** A small line without axes; colours come from the style sheet. */
export function sparkline(values: number[], width = 96, height = 24): SVGElement {
	const top = Math.max(...values, 1e-9);
	const step = values.length > 1 ? width / (values.length - 1) : width;
	const points = values.map(
		(value, i) =>
			`${(i * step).toFixed(1)},${(height - 1 - (value / top) * (height - 3)).toFixed(1)}`,
	);
	return svg(
		"svg",
		{
			class: "sparkline",
			viewBox: `0 0 ${width} ${height}`,
			preserveAspectRatio: "none",
			"aria-hidden": "true",
		},
		svg("polygon", { points: `0,${height} ${points.join(" ")} ${width},${height}` }),
		svg("polyline", { points: points.join(" ") }),
	);
}

/** From zero, since what is shown are amounts; below it where there is something below it. */
function heights(low: number, high: number): [number, number] {
	const top = high > 0 ? high * 1.1 : low < 0 ? 0 : 1;
	return [low < 0 ? low * 1.1 : 0, top];
}
