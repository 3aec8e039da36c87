// SPDX-License-Identifier: MIT
// What lies over the page: the list of keys, and the login.
import { setToken, token } from "./api";
import { h, iconButton, show } from "./dom";

export interface Dialog {
	element: HTMLDialogElement;
	open(): void;
}

export function keysDialog(list: () => [string, string][]): Dialog {
	const rows = h("dl", { class: "keys" });
	const element = h(
		"dialog",
		{ "aria-labelledby": "keys-title" },
		h(
			"header",
			{ class: "panel-head" },
			h("h2", { id: "keys-title" }, "Keys"),
			iconButton("close", "Close (Escape)", () => element.close(), true),
		),
		rows,
	);
	return {
		element,
		open() {
			show(
				rows,
				...list().map(([key, does]) =>
					h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)),
				),
			);
			element.showModal();
		},
	};
}

let asking: HTMLDialogElement | null = null;

/** Asks for a token, keeps it for this tab, and begins anew with it. */
export function loginDialog(): void {
	if (asking) return;
	const wrong = token() !== null;
	const input = h("input", {
		type: "password",
		id: "login-token",
		autocomplete: "current-password",
		required: true,
	});
	asking = h(
		"dialog",
		{
			class: "login",
			"aria-labelledby": "login-title",
			cancel: (event: Event) => event.preventDefault(),
		},
		h("h2", { id: "login-title" }, "Log in"),
		h("p", {}, "This server wants a token. It is kept by this tab until that is closed."),
		wrong
			? h("p", { class: "form-error", role: "alert" }, "The token was not accepted.")
			: null,
		h(
			"form",
			{
				submit: (event: Event) => {
					event.preventDefault();
					setToken(input.value.trim());
					location.reload();
				},
			},
			h("label", { for: "login-token" }, "Token"),
			input,
			h("button", { type: "submit", class: "button primary" }, "Log in"),
		),
	);
	document.body.append(asking);
	asking.showModal();
	input.focus();
}
