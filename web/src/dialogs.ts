// SPDX-License-Identifier: MIT
// What lies over the page: the list of keys, and the login.
import { authorization, setAuthorization } from "./api";
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

/** Asks for a credential, keeps it for this tab, and begins anew with it. */
export function loginDialog(): void {
	if (asking) return;
	const wrong = authorization() !== null;
	const name = h("input", { type: "text", id: "login-name", autocomplete: "username" });
	const secret = h("input", {
		type: "password",
		id: "login-secret",
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
		h("p", {}, "This server asks who you are. This tab keeps it until it is closed."),
		wrong ? h("p", { class: "form-error", role: "alert" }, "That was not accepted.") : null,
		h(
			"form",
			{
				submit: (event: Event) => {
					event.preventDefault();
					setAuthorization(name.value.trim(), secret.value.trim());
					location.reload();
				},
			},
			h("label", { for: "login-secret" }, "Token or password"),
			secret,
			h("label", { for: "login-name" }, "Name, which a password needs"),
			name,
			h("button", { type: "submit", class: "button primary" }, "Log in"),
		),
	);
	document.body.append(asking);
	asking.showModal();
	secret.focus();
}
