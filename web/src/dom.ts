// SPDX-License-Identifier: MIT
// Elements from code. Text goes into text nodes only, so nothing that a process calls itself can
// become markup.

import { ICONS } from "./icons";

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

/** A picture that says nothing by itself: what it is for stands beside it, or in a label. */
export function icon(name: string): SVGElement {
	return svg(
		"svg",
		{ class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
		svg("path", {
			d: ICONS[name] ?? "",
		}),
	);
}

/** A button with a picture; the label is read out, and shown where there is room. */
export function iconButton(name: string, label: string, click: () => void, quiet = false) {
	return h(
		"button",
		{
			type: "button",
			class: quiet ? "button quiet" : "button",
			"aria-label": label,
			title: label,
			click,
		},
		icon(name),
		!quiet && h("span", { class: "label" }, label),
	);
}

/** Lies over the page below a button, until Escape is pressed or something else has the focus. */
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
