// SPDX-License-Identifier: MIT
// The address bar: which view, and with which parameters. The parameters are those of the API by
// the same names; what is the view's alone begins with "_".
import views from "../views.json";

export const VIEWS = views;

type Listener = () => void;
let listener: Listener = () => {};

export function onNavigate(run: Listener): void {
	listener = run;
	window.addEventListener("popstate", () => listener());
}

export function currentView(): string {
	const name = location.pathname.slice(location.pathname.lastIndexOf("/") + 1);
	return VIEWS.some((view) => view.name === name) ? name : "";
}

export function parameters(): URLSearchParams {
	return new URLSearchParams(location.search);
}

/** The address of a view, relative to the page. */
export function hrefOf(view: string, query?: URLSearchParams | Record<string, string>): string {
	const search = new URLSearchParams(query).toString();
	return `${view || "./"}${search ? `?${readable(search)}` : ""}`;
}

// Characters that a query string may hold as they are, and that people want to read.
function readable(search: string): string {
	return search
		.replace(/%2C/g, ",")
		.replace(/%3A/g, ":")
		.replace(/%2F/g, "/")
		.replace(/%21/g, "!");
}

/** Goes there; `replace` for what is not worth a step back. */
export function navigate(href: string, replace = false): void {
	if (replace) history.replaceState(null, "", href);
	else history.pushState(null, "", href);
	listener();
}

/** Sets, or with null removes, parameters of the view that is shown. */
export function setParameters(changes: Record<string, string | null>, replace = false): void {
	const query = parameters();
	for (const [name, value] of Object.entries(changes)) {
		if (value === null || value === "") query.delete(name);
		else query.set(name, value);
	}
	navigate(hrefOf(currentView(), query), replace);
}

/** Links within the dashboard are followed without loading it again. */
export function followLinks(event: MouseEvent): void {
	const link = (event.target as Element).closest?.("a");
	if (
		!link ||
		event.defaultPrevented ||
		event.button !== 0 ||
		link.target ||
		event.metaKey ||
		event.ctrlKey ||
		event.shiftKey ||
		event.altKey ||
		link.hasAttribute("download")
	)
		return;
	const url = new URL(link.href);
	const folder = location.pathname.slice(0, location.pathname.lastIndexOf("/") + 1);
	if (url.origin !== location.origin || !url.pathname.startsWith(folder)) return;
	event.preventDefault();
	navigate(url.pathname.slice(folder.length) + url.search || "./");
}

/** What the API is asked with: the parameters without the view's own. */
export function apiQuery(query = parameters()): URLSearchParams {
	return new URLSearchParams(
		[...query].filter(([name, value]) => !name.startsWith("_") && value),
	);
}
