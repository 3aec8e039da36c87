// SPDX-License-Identifier: MIT
// Swagger UI over this server's own /openapi.json. Nothing is asked of anybody else.
import { token } from "./api";

interface Request {
	url: string;
	headers: Record<string, string>;
}

declare const SwaggerUIBundle: ((options: object) => void) & { presets: { apis: unknown } };

const chosen = localStorage.getItem("theme");
const dark = chosen ? chosen === "dark" : null;
const system = matchMedia("(prefers-color-scheme: dark)");

function colours(): void {
	const root = document.documentElement;
	root.classList.toggle("dark-mode", chosen === "auto" || dark === null ? system.matches : dark);
}

colours();
system.addEventListener("change", colours);

SwaggerUIBundle({
	url: "../openapi.json",
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
	requestInterceptor: (request: Request) => {
		const credential = token();
		const ours = new URL(request.url, location.href).origin === location.origin;
		if (credential && ours) request.headers.Authorization ??= `Bearer ${credential}`;
		return request;
	},
});
