// SPDX-License-Identifier: MIT
// Elements from code. Text goes into text nodes only, so nothing that a process calls itself can
// become markup.

export type Child = Node | string | number | null | undefined | false;
type Handler = (event: never) => void;
export type Properties = Record<string, string | number | boolean | null | undefined | Handler>;

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, properties: Properties, children: Child[]): E {
	for (const [name, value] of Object.entries(properties)) {
		if (typeof value === "function") element.addEventListener(name, value as EventListener);
		else if (value === true) element.setAttribute(name, "");
		else if (value !== false && value !== null && value !== undefined)
			element.setAttribute(name, String(value));
	}
	append(element, children);
	return element;
}

function append(element: Element, children: Child[]): void {
	for (const child of children) {
		if (child === null || child === undefined || child === false) continue;
		element.append(child instanceof Node ? child : String(child));
	}
}

/** `h("a", { class: "x", href: "…", click: (event) => … }, "text", node)` */
export function h<K extends keyof HTMLElementTagNameMap>(
	tag: K,
	properties: Properties = {},
	...children: Child[]
): HTMLElementTagNameMap[K] {
	return fill(document.createElement(tag), properties, children);
}

export function svg(tag: string, properties: Properties = {}, ...children: Child[]): SVGElement {
	return fill(document.createElementNS(SVG, tag) as SVGElement, properties, children);
}

/** Replaces what is in an element. */
export function show(element: Element, ...children: Child[]): void {
	element.replaceChildren();
	append(element, children);
}

/** Changes the text only where it is another: no needless layout, no needless announcement. */
export function say(element: Element, text: string): void {
	if (element.textContent !== text) element.textContent = text;
}

const ICONS: Record<string, string> = {
	overview: "M4 13h6V4H4zM14 20h6v-9h-6zM14 7h6V4h-6zM4 20h6v-3H4z",
	live: "M3 12h4l3-8 4 16 3-8h4",
	history: "M3.5 12a8.5 8.5 0 1 0 2.6-6.1L3.5 8.4M3.5 3.5v5h5M12 7.5V12l3 2",
	programs: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
	rooms: "M4 5h16v11H9l-5 4zM8 9h8M8 12.5h5",
	docs: "M5 4h9l5 5v11H5zM14 4v5h5M8.5 13h7M8.5 16.5h7",
	pause: "M8 5v14M16 5v14",
	play: "M7 4.5v15l12-7.5z",
	clear: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
	close: "M6 6l12 12M18 6L6 18",
	sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
	moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
	auto: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
	help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.01M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
	download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
	columns: "M4 5h16v14H4zM9.5 5v14M14.5 5v14",
	warning: "M12 4L2.8 19.5h18.4zM12 10v4.5M12 17v.01",
	include: "M12 5v14M5 12h14",
	exclude: "M5 12h14",
	clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
};

export function icon(name: keyof typeof ICONS): SVGElement {
	return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", {
		d: ICONS[name] ?? "",
	}));
}

/** A button with a picture; the label is read out, and shown where there is room. */
export function iconButton(name: string, label: string, click: () => void, quiet = false) {
	return h(
		"button",
		{ type: "button", class: quiet ? "button quiet" : "button", "aria-label": label,
		  title: label, click },
		icon(name),
		!quiet && h("span", { class: "label" }, label),
	);
}

/** What lies over the page below a button, until Escape is pressed or something else has the focus. */
export function popover(summary: HTMLElement, content: HTMLElement): HTMLDetailsElement {
	const element = h(
		"details",
		{
			class: "menu",
			keydown: (event: KeyboardEvent) => {
				if (event.key !== "Escape" || !element.open) return;
				event.stopPropagation();
				element.open = false;
				summary.focus();
			},
			focusout: (event: FocusEvent) => {
				if (event.relatedTarget && !element.contains(event.relatedTarget as Node))
					element.open = false;
			},
		},
		summary,
		content,
	);
	return element;
}
