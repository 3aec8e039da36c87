// SPDX-License-Identifier: MIT
// What a view is to the page around it.
import type { Schema } from "./schema";

export interface View {
	element: HTMLElement;
	/** The address bar has changed, or the schema has. Called once at first. */
	update(schema: Schema): void;
	/** What single keys do here, for the list of keys too. */
	keys?: Record<string, { does: string; run: () => void }>;
	/** Ends everything that goes on. */
	close(): void;
}

/** Ends with the view: `signal` for requests, streams and polls. */
export function lifetime(): { signal: AbortSignal; end(): void } {
	const controller = new AbortController();
	return { signal: controller.signal, end: () => controller.abort() };
}
