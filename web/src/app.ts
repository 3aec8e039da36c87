// SPDX-License-Identifier: MIT
// The page around the views: navigation, health, login, keys.
import { authorization, forgetAuthorization, get, messageOf, onRefused, pause, poll } from "./api";
import { h, icon, iconButton, say, show } from "./dom";
import { currentView, followLinks, hrefOf, navigate, onNavigate, VIEWS } from "./location";
import { keysDialog, loginDialog } from "./dialogs";
import { nextTheme, nextZone, onChange, theme } from "./preferences";
import { loadSchema, type Schema } from "./schema";
import { visible, zoneName } from "./text";
import type { View } from "./view";
import { history } from "./views/history";
import { live } from "./views/live";
import { overview } from "./views/overview";
import { programs } from "./views/programs";
import { rooms } from "./views/rooms";

const MAKERS: Record<string, () => View> = { "": overview, live, history, programs, rooms };
const ICONS: Record<string, string> = { "": "overview" };

const SCHEMA_MS = 2000;
const HEALTH_MS = 5000;

interface Health {
	status: string;
	version: string;
	failing: { part: string; message: string }[];
}

let schema: Schema | null = null;
let shapeOfSchema = "";
let shown = "";
let view: View | null = null;
const forever = new AbortController().signal;

const main = h("main", { id: "main", tabindex: "-1" });
const links = h("ul", { class: "nav-links" });
const healthText = h("span", { class: "health-text" }, "…");
const healthBox = h(
	"div",
	{ class: "health", role: "status" },
	h("span", { class: "dot" }),
	healthText,
);
const banner = h("p", { class: "banner", role: "alert", hidden: true });
const themeButton = h("button", {
	type: "button",
	class: "button quiet",
	click: () => nextTheme(),
});
const zoneButton = h("button", {
	type: "button",
	class: "button quiet",
	title: "Times here, or in UTC",
	click: () => nextZone(),
});
const logout = h(
	"button",
	{
		type: "button",
		class: "button quiet",
		hidden: true,
		click: () => {
			forgetAuthorization();
			location.reload();
		},
	},
	"Log out",
);

// ---- navigation ----

function showNavigation(): void {
	const now = currentView();
	show(
		links,
		...VIEWS.map((one) =>
			h(
				"li",
				{},
				h(
					"a",
					{
						href: hrefOf(one.name),
						"aria-current": one.name === now ? "page" : null,
						title: `${one.title} (${one.key})`,
					},
					icon(ICONS[one.name] ?? one.name),
					h("span", {}, one.title),
				),
			),
		),
		h(
			"li",
			{},
			h(
				"a",
				{ href: "../docs/", title: "API documentation" },
				icon("docs"),
				h("span", {}, "API"),
			),
		),
	);
	const title = VIEWS.find((one) => one.name === now)?.title ?? "";
	document.title = `${title} · ebpf-server`;
}

function showView(): void {
	if (!schema) return;
	const name = currentView();
	showNavigation();
	if (!view || name !== shown) {
		const moved = view !== null;
		view?.close();
		shown = name;
		view = MAKERS[name]!();
		show(main, view.element);
		if (moved) {
			main.focus({ preventScroll: true });
			scrollTo(0, 0);
		}
	}
	view.update(schema);
}

function showPreferences(): void {
	const names = {
		auto: "Colours: as the system",
		light: "Colours: light",
		dark: "Colours: dark",
	};
	const icons = { auto: "auto", light: "sun", dark: "moon" };
	show(themeButton, icon(icons[theme()]));
	themeButton.setAttribute("aria-label", names[theme()]);
	themeButton.title = `${names[theme()]} (t)`;
	say(zoneButton, zoneName());
	logout.hidden = !authorization();
}

// ---- what the server is and how it fares ----

async function checkHealth(): Promise<void> {
	try {
		const health = await get<Health>("health");
		healthBox.setAttribute("data-tone", "good");
		say(healthText, `Healthy · ${visible(health.version)}`);
		banner.hidden = true;
	} catch (error) {
		const status = (error as { status?: number }).status;
		if (status === 401) return;
		healthBox.setAttribute("data-tone", "bad");
		say(healthText, status ? "Unhealthy" : "No answer");
		say(
			banner,
			status
				? `The server says that it is not well: ${reason(messageOf(error))}`
				: "The server does not answer. What is shown is from before; it is tried again.",
		);
		banner.hidden = false;
	}
}

// /health answers 503 with the same shape as 200.
function reason(text: string): string {
	try {
		return (JSON.parse(text) as Health).failing.map((one) => one.message).join("; ");
	} catch {
		return text;
	}
}

/** Programs come and go while the page is open; their streams are in the schema at once. */
async function refreshSchema(): Promise<void> {
	const next = await loadSchema();
	const shape = JSON.stringify(next.streams);
	if (shape === shapeOfSchema) return;
	shapeOfSchema = shape;
	schema = next;
	showView();
}

async function start(): Promise<void> {
	for (;;) {
		try {
			await refreshSchema();
			return;
		} catch (error) {
			show(
				main,
				h(
					"div",
					{ class: "view" },
					h("p", { class: "empty failed" }, icon("warning"), messageOf(error)),
				),
			);
			await pause(1000, forever);
		}
	}
}

// ---- keys ----

const keys = keysDialog(() => [
	...VIEWS.map((one): [string, string] => [one.key, one.title]),
	...Object.entries(view?.keys ?? {}).map(([key, { does }]): [string, string] => [
		key === " " ? "Space" : key,
		does,
	]),
	["t", "Colours"],
	["z", "Time zone"],
	["?", "These keys"],
]);

function onKey(event: KeyboardEvent): void {
	const target = event.target as HTMLElement;
	if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
		return;
	if (target.closest("input, select, textarea, [contenteditable]")) {
		if (event.key === "Escape") target.blur();
		return;
	}
	// A pressed button or link has its own meaning of Space.
	if (event.key === " " && target.closest("button, a, summary, label")) return;
	const place = VIEWS.find((one) => one.key === event.key);
	const own = view?.keys?.[event.key];
	if (own) own.run();
	else if (place) navigate(hrefOf(place.name));
	else if (event.key === "t") nextTheme();
	else if (event.key === "z") nextZone();
	else if (event.key === "?") keys.open();
	else return;
	event.preventDefault();
}

// ---- the page ----

show(
	document.getElementById("app")!,
	h(
		"a",
		{
			class: "skip",
			href: "#main",
			click: (event: Event) => {
				event.preventDefault();
				main.focus();
			},
		},
		"To the content",
	),
	h(
		"header",
		{ class: "side" },
		h("a", { class: "brand", href: "./" }, icon("live"), h("span", {}, "ebpf-server")),
		h("nav", { "aria-label": "Views" }, links),
		h(
			"div",
			{ class: "side-foot" },
			healthBox,
			h(
				"div",
				{ class: "side-buttons" },
				themeButton,
				zoneButton,
				iconButton("help", "Keys (?)", () => keys.open(), true),
				logout,
			),
		),
	),
	h("div", { class: "content" }, banner, main),
	keys.element,
);

showNavigation();
showPreferences();
onChange((what) => {
	showPreferences();
	// Colours are the style sheet's affair; times are written anew.
	if (what === "zone" && view) {
		view.close();
		view = null;
		showView();
	}
});
onNavigate(showView);
onRefused(() => loginDialog());
document.addEventListener("click", followLinks);
document.addEventListener("keydown", onKey);
void start().then(() => poll(SCHEMA_MS, forever, refreshSchema));
poll(HEALTH_MS, forever, checkHealth);
