// SPDX-License-Identifier: MIT
// What belongs to the reader and not to what is looked at: colours and time zone. Everything else
// is in the address bar.

export type Theme = "auto" | "light" | "dark";
export type Zone = "local" | "utc";

function read<T extends string>(name: string, allowed: readonly T[]): T {
	try {
		const value = localStorage.getItem(name) as T | null;
		if (value && allowed.includes(value)) return value;
	} catch {
		// A browser that keeps nothing: the default it is.
	}
	return allowed[0] as T;
}

function write(name: string, value: string): void {
	try {
		localStorage.setItem(name, value);
	} catch {
		// Holds for this page then.
	}
}

const THEMES = ["auto", "light", "dark"] as const;
const ZONES = ["local", "utc"] as const;

let chosenTheme: Theme = read("theme", THEMES);
let chosenZone: Zone = read("zone", ZONES);
type Listener = (what: "theme" | "zone") => void;
const listeners = new Set<Listener>();

export const theme = () => chosenTheme;
export const zone = () => chosenZone;

/** Calls when the colours or the zone have changed; returns what ends that. */
export function onChange(listener: Listener): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

function tell(what: "theme" | "zone"): void {
	for (const listener of listeners) listener(what);
}

function apply(): void {
	const root = document.documentElement;
	if (chosenTheme === "auto") root.removeAttribute("data-theme");
	else root.setAttribute("data-theme", chosenTheme);
}

export function nextTheme(): Theme {
	chosenTheme = THEMES[(THEMES.indexOf(chosenTheme) + 1) % THEMES.length] as Theme;
	write("theme", chosenTheme);
	apply();
	tell("theme");
	return chosenTheme;
}

export function nextZone(): Zone {
	chosenZone = chosenZone === "local" ? "utc" : "local";
	write("zone", chosenZone);
	tell("zone");
	return chosenZone;
}

apply();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tell("theme"));
