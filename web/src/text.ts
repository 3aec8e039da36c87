// SPDX-License-Identifier: MIT
// Values as people read them. Everything here returns plain text.
import { zone } from "./preferences";

// What would not show, or would show something else than what is there: control characters (a
// terminal's escapes begin with one), and those that turn the direction of writing or take no room.
const INVISIBLE =
	/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Text from outside, with what cannot be seen written as \x1b or \u202e. */
export function visible(text: string): string {
	return text.replace(INVISIBLE, (character) => {
		const code = character.charCodeAt(0);
		return code < 256
			? `\\x${code.toString(16).padStart(2, "0")}`
			: `\\u${code.toString(16).padStart(4, "0")}`;
	});
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1 → "1 event", 2 → "2 events" */
export function several(value: number, one: string): string {
	return `${count(value)} ${one}${value === 1 ? "" : "s"}`;
}

/** 1234567 → "1,234,567" */
export function count(value: number): string {
	return whole.format(value);
}

function digits(value: number): string {
	if (value === 0) return "0";
	const size = Math.abs(value);
	if (size >= 100) return value.toFixed(0);
	if (size >= 10) return value.toFixed(1).replace(/\.0$/, "");
	if (size >= 0.01) return value.toFixed(2).replace(/\.?0+$/, "");
	return value.toPrecision(1);
}

function scaled(value: number, steps: readonly [number, string][]): string {
	const size = Math.abs(value);
	for (const [step, unit] of steps) {
		if (size >= step) return digits(value / step) + unit;
	}
	return digits(value) + (steps.at(-1) as [number, string])[1];
}

/** 5000 → "5k", for axes: all of one kind. */
export function brief(value: number): string {
	return scaled(value, [
		[1e12, "T"],
		[1e9, "G"],
		[1e6, "M"],
		[1e3, "k"],
		[1, ""],
	]);
}

/** 20113 → "20.1k"; what has four digits is written out. */
export function short(value: number): string {
	return Math.abs(value) >= 1e3 && Math.abs(value) < 1e4 ? count(value) : brief(value);
}

/** Nanoseconds → "1.24 ms" */
export function duration(ns: number): string {
	if (Math.abs(ns) >= 120e9) {
		const seconds = Math.round(ns / 1e9);
		const hours = Math.floor(seconds / 3600);
		const minutes = Math.floor((seconds % 3600) / 60);
		return hours ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
	}
	return scaled(ns, [
		[1e9, " s"],
		[1e6, " ms"],
		[1e3, " µs"],
		[1, " ns"],
	]);
}

/** 1536 → "1.5 KiB" */
export function bytes(value: number): string {
	return scaled(value, [
		[2 ** 40, " TiB"],
		[2 ** 30, " GiB"],
		[2 ** 20, " MiB"],
		[2 ** 10, " KiB"],
		[1, " B"],
	]);
}

const SCALES: Record<string, (value: number) => string> = {
	ns: duration,
	us: (value) => duration(value * 1e3),
	ms: (value) => duration(value * 1e6),
	s: (value) => duration(value * 1e9),
	seconds: (value) => duration(value * 1e9),
	bytes,
	B: bytes,
};

/** A number in the unit that the schema gives it. */
export function quantity(value: number, unit: string | null | undefined): string {
	if (!unit) return Number.isInteger(value) ? count(value) : digits(value);
	const scale = SCALES[unit];
	return scale
		? scale(value)
		: `${Number.isInteger(value) ? count(value) : digits(value)} ${unit}`;
}

/** Events in a second. */
export function rate(value: number): string {
	return `${short(value)}/s`;
}

export function percent(part: number): string {
	return part && part < 0.001 ? "<0.1 %" : `${digits(part * 100)} %`;
}

// ---- times -------------------------------------------------------------------------------------

const two = (value: number) => String(value).padStart(2, "0");

/** Date and time of day in the zone that is chosen; `fraction`: digits behind the second. */
function parts(at: Date): { day: string; clock: string } {
	return zone() === "utc"
		? {
				day: `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`,
				clock: [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]
					.map(two)
					.join(":"),
			}
		: {
				day: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
				clock: [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":"),
			};
}

/** RFC 3339 → "07:19:46.500739" */
export function timeOfDay(rfc3339: string, fraction = 6): string {
	const decimals = /\.(\d+)/.exec(rfc3339)?.[1] ?? "";
	const { clock } = parts(new Date(rfc3339));
	return fraction ? `${clock}.${decimals.padEnd(fraction, "0").slice(0, fraction)}` : clock;
}

/** RFC 3339 → "2026-11-21 07:19:46.500739" */
export function dateTime(rfc3339: string, fraction = 6): string {
	return `${parts(new Date(rfc3339)).day} ${timeOfDay(rfc3339, fraction)}`;
}

/** For axes: as much of the time as marks `step` seconds apart need. */
export function axisTime(seconds: number, step: number): string {
	const { day, clock } = parts(new Date(seconds * 1e3));
	if (step >= 86400) return day.slice(5);
	if (step >= 6 * 3600) return `${day.slice(5)} ${clock.slice(0, 5)}`;
	return step >= 60 ? clock.slice(0, 5) : clock;
}

/** "UTC+01:00" of the times that are shown. */
export function zoneName(): string {
	const minutes = zone() === "utc" ? 0 : -new Date().getTimezoneOffset();
	if (!minutes) return "UTC";
	const size = Math.abs(minutes);
	return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** "3 s ago", "2 h ago" */
export function ago(rfc3339: string): string {
	const seconds = Math.max(0, (Date.now() - Date.parse(rfc3339)) / 1000);
	for (const [size, unit] of [
		[86400, "d"],
		[3600, "h"],
		[60, "min"],
	] as const) {
		if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
	}
	return `${Math.floor(seconds)} s ago`;
}
