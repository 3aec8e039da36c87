// SPDX-License-Identifier: MIT
// Swagger UI over this server's own /openapi.json. Nothing is asked of anybody else.
import { authorization, get, messageOf, onRefused } from "./api";
import { loginDialog } from "./dialogs";
import { h, show } from "./dom";
import { onChange, theme } from "./preferences";

interface Request {
	url: string;
	headers: Record<string, string>;
	credentials?: string;
}

declare const SwaggerUIBundle: ((options: object) => void) & { presets: { apis: unknown } };

const system = matchMedia("(prefers-color-scheme: dark)");

function colours(): void {
	const dark = theme() === "auto" ? system.matches : theme() === "dark";
	document.documentElement.classList.toggle("dark-mode", dark);
}

function withCredential(request: Request): Request {
	const credential = authorization();
	const ours = new URL(request.url, location.href).origin === location.origin;
	if (credential && ours) request.headers.Authorization ??= credential;
	// The browser shall not ask for a password of its own accord.
	request.credentials = "omit";
	return request;
}

async function start(): Promise<void> {
	try {
		SwaggerUIBundle({
			spec: await get<object>("openapi.json"),
			dom_id: "#docs",
			deepLinking: true,
			presets: [SwaggerUIBundle.presets.apis],
			layout: "BaseLayout",
			// Swagger UI would ask a server of its makers whether the document is valid.
			validatorUrl: null,
			defaultModelsExpandDepth: 0,
			docExpansion: "list",
			displayRequestDuration: true,
			tryItOutEnabled: true,
			requestInterceptor: withCredential,
		});
	} catch (error) {
		show(document.getElementById("docs")!, h("p", { class: "wait" }, messageOf(error)));
	}
}

colours();
onChange(colours);
onRefused(loginDialog);
void start();
