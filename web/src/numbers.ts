// SPDX-License-Identifier: MIT
// Numbers in a room's messages: what a chart can be made of.

/** {"cpu": 3.5} of JSON, "temperature: 21.5 C" → {temperature: 21.5}, "21.5" → {value: 21.5}. */
export function numbersOf(text: string): Record<string, number> {
	const trimmed = text.trim();
	if (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(trimmed)) return { value: Number(trimmed) };
	if (trimmed.startsWith("{")) {
		try {
			return Object.fromEntries(
				Object.entries(JSON.parse(trimmed) as Record<string, unknown>)
					.filter((entry): entry is [string, number] => typeof entry[1] === "number")
					.slice(0, 8),
			);
		} catch {
			return {};
		}
	}
	const found: Record<string, number> = {};
	for (const match of trimmed.matchAll(
		/([A-Za-z_][\w.%-]{0,31})\s*[:=]\s*(-?\d+(?:\.\d+)?)(?![\w.:])/g,
	))
		found[match[1]!] = Number(match[2]);
	return found;
}
