// SPDX-License-Identifier: MIT
// What /api/schema says of streams and fields; all columns, filters and units come from there.
import { get } from "./api";
import { count, dateTime, quantity, visible } from "./text";

export interface Field {
	name: string;
	type: string;
	unit: string | null;
	description: string;
	derived: boolean;
	values: string[] | null;
	schema: { "x-names"?: Record<string, number>; [key: string]: unknown };
}

export interface Stream {
	name: string;
	program: string | null;
	description: string;
	active: boolean;
	superseded: boolean;
	fields: Field[];
}

/** An event as the API gives it with int64=string. */
export interface Event {
	id: string;
	type: string;
	time: string;
	[field: string]: unknown;
}

// What every event has; a stream's own fields are the others.
const HEADER = ["timestamp", "pid", "tid", "uid", "cgroup_id", "command"];

const ID: Field = {
	name: "id",
	type: "string",
	unit: null,
	description: "Unique; sorts by time; the cursor of `after` and `before`",
	derived: false,
	values: null,
	schema: {},
};
export const TIME: Field = { ...ID, name: "time", type: "time", description: "When it happened" };
export const TYPE: Field = { ...ID, name: "type", description: "The stream that it is of" };

const TEXT_TYPES = ["string", "symbol", "ip", "mac", "bytes"];

export class Schema {
	readonly streams: Stream[];

	constructor(streams: Stream[]) {
		this.streams = streams.filter((stream) => !stream.superseded);
	}

	get names(): string[] {
		return this.streams.map((stream) => stream.name);
	}

	stream(name: string): Stream | undefined {
		return this.streams.find((stream) => stream.name === name);
	}

	/** A colour of its own for each stream: 0 to 7, by its place. */
	colour(type: string): number {
		return Math.max(0, this.names.indexOf(type)) % 8;
	}

	field(name: string, type?: string): Field | undefined {
		if (name === "time") return TIME;
		if (name === "type") return TYPE;
		if (name === "id") return ID;
		for (const stream of this.streams) {
			const found =
				(!type || stream.name === type) &&
				stream.fields.find((field) => field.name === name);
			if (found) return found;
		}
		return undefined;
	}

	/** Streams that have all these fields. */
	having(...fields: string[]): Stream[] {
		return this.streams.filter((stream) =>
			fields.every((name) => stream.fields.some((field) => field.name === name)),
		);
	}

	/** Names of all fields, of the named streams or of all. */
	fieldNames(types: string[] = []): string[] {
		const streams = this.streams.filter(
			(stream) => !types.length || types.includes(stream.name),
		);
		return [...new Set(streams.flatMap((stream) => stream.fields.map((field) => field.name)))];
	}

	/** The stream's own fields that say something beside each other, the telling ones first. */
	telling(type: string): Field[] {
		const stream = this.stream(type);
		if (!stream) return [];
		return own(stream)
			.filter((field) => !isRepeated(stream, field))
			.sort((a, b) => rank(a) - rank(b));
	}

	/** What a table of these streams shows when nobody has chosen. */
	columns(types: string[]): string[] {
		const only = types.length === 1 ? types[0] : this.names.length === 1 ? this.names[0] : null;
		if (!only || !this.stream(only)) return ["time", "type", "command", "pid", "*"];
		return [
			"time",
			"command",
			"pid",
			...this.telling(only)
				.slice(0, 8)
				.map((field) => field.name),
		];
	}
}

export const own = (stream: Stream) =>
	stream.fields.filter((field) => !HEADER.includes(field.name));

/** `destination_port` beside `destination` (which is made of it), `reason_code` beside `reason`. */
function isRepeated(stream: Stream, field: Field): boolean {
	return stream.fields.some(
		(other) => field.name.startsWith(`${other.name}_`) && (other.derived || field.derived),
	);
}

function rank(field: Field): number {
	if (field.type === "enum") return 1;
	if (TEXT_TYPES.includes(field.type)) return field.derived ? 0 : 2;
	return field.unit === "ns" ? 2 : field.schema["x-names"] ? 5 : field.unit ? 3 : 4;
}

export async function loadSchema(signal?: AbortSignal): Promise<Schema> {
	return new Schema((await get<{ streams: Stream[] }>("api/schema", {}, signal)).streams);
}

// ---- values ------------------------------------------------------------------------------------

/** Whether it stands to the right, its digits below each other. */
export function isQuantity(field: Field | undefined): boolean {
	return field?.type === "integer" && !field.schema["x-names"] && !isName(field);
}

/** Numbers that are names: no thousands in them, nothing to sum up. */
function isName(field: Field): boolean {
	return (
		!field.unit && /(^|_)([pt]?id|port|[ug]id|namespace|code|fd|inode|seq)$/.test(field.name)
	);
}

/** A field's value as text; null and what is not there are "". */
export function show(value: unknown, field?: Field): string {
	if (value === null || value === undefined) return "";
	if (field?.type === "time") return dateTime(String(value), 9);
	if (field?.type === "integer" && (typeof value === "number" || /^-?\d+$/.test(String(value)))) {
		const names = field.schema["x-names"];
		const name = names && Object.keys(names).find((key) => names[key] === Number(value));
		if (name) return name;
		if (field.unit) return quantity(Number(value), field.unit);
		return isName(field) || !Number.isSafeInteger(Number(value))
			? String(value)
			: count(Number(value));
	}
	if (Array.isArray(value)) return value.map((item) => visible(String(item))).join(", ");
	return visible(typeof value === "object" ? JSON.stringify(value) : String(value));
}

/** The expression of a filter that finds exactly this value. */
export function expression(value: unknown): string {
	return String(value).replace(/[\\*?,!]|\.\./g, (found) =>
		[...found].map((c) => `\\${c}`).join(""),
	);
}
