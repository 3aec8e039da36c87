// SPDX-License-Identifier: MIT
// The API of the server that the page came from, and of no other.

/** What the server said was wrong, or that it does not answer (status 0). */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		message: string,
	) {
		super(message);
	}
}

// ---- credential --------------------------------------------------------------------------------

const AUTHORIZATION = "authorization";
let whenRefused: () => void = () => {};
let refused = false;

/** Of requests (RFC 9110, 11.6.2). Kept by this tab, and gone with it. */
export const authorization = () => sessionStorage.getItem(AUTHORIZATION);
export const forgetAuthorization = () => sessionStorage.removeItem(AUTHORIZATION);

/** A token alone, or a name and its password. */
export function setAuthorization(name: string, secret: string): void {
	const bytes = new TextEncoder().encode(`${name}:${secret}`);
	sessionStorage.setItem(
		AUTHORIZATION,
		name ? `Basic ${btoa(String.fromCharCode(...bytes))}` : `Bearer ${secret}`,
	);
}

/** Calls when the server asks for a credential, or does not know the one that it got. */
export function onRefused(listener: () => void): void {
	whenRefused = listener;
}

// ---- requests ----------------------------------------------------------------------------------

// Views stand one level below the server's root, wherever that is mounted.
const root = new URL("../", document.baseURI);

export type Query = URLSearchParams | Record<string, string | number | undefined>;

export function address(path: string, query?: Query): URL {
	const url = new URL(path, root);
	if (query instanceof URLSearchParams) url.search = query.toString();
	else
		for (const [name, value] of Object.entries(query ?? {}))
			if (value !== undefined) url.searchParams.append(name, String(value));
	return url;
}

async function message(response: Response): Promise<string> {
	const text = await response.text();
	try {
		return JSON.parse(text).message || text;
	} catch {
		return text || response.statusText || `status ${response.status}`;
	}
}

/** The answer when its status is 2xx; ApiError when it is another or there is none. */
export async function request(url: URL, options: RequestInit = {}): Promise<Response> {
	// To go on with what was refused would look like guessing.
	if (refused) throw new ApiError(401, "Log in first.");
	const headers = new Headers(options.headers);
	const credential = authorization();
	if (credential) headers.set("Authorization", credential);
	let response: Response;
	try {
		// The browser shall not ask for a password of its own accord.
		response = await fetch(url, {
			...options,
			headers,
			cache: "no-store",
			credentials: "omit",
		});
	} catch (error) {
		if ((error as Error).name === "AbortError") throw error;
		throw new ApiError(0, "The server does not answer.");
	}
	if (response.ok) return response;
	if (response.status === 401) {
		refused = true;
		whenRefused();
	}
	throw new ApiError(response.status, await message(response));
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
	const response = await request(address(path, query), signal ? { signal } : {});
	return (await response.json()) as T;
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
	const response = await request(address(path), {
		method,
		...(body === undefined
			? {}
			: {
					body: JSON.stringify(body),
					headers: { "Content-Type": "application/json" },
				}),
	});
	return (await response.json()) as T;
}

export const isAbort = (error: unknown) => (error as Error)?.name === "AbortError";

export const messageOf = (error: unknown) =>
	error instanceof Error ? error.message : String(error);

// ---- server-sent events ------------------------------------------------------------------------

export interface StreamHandlers {
	/** Whole messages as they came, not parsed: see messageData(). */
	batch(messages: string[]): void;
	/** The stream is there, or (with why) is not and is tried again. */
	state(connected: boolean, why?: string): void;
	/** The server will not have it: no use to try again. */
	refused(error: ApiError): void;
}

/** The data of one message of the default type, or null for any other. */
export function messageData(block: string): string | null {
	if (block.startsWith("data: ") && !block.includes("\n")) return block.slice(6);
	let data: string | null = null;
	for (const line of block.split("\n")) {
		if (line.startsWith("event:") && line.slice(6).trim() !== "message") return null;
		if (line.startsWith("data:")) {
			const part = line.slice(line[5] === " " ? 6 : 5);
			data = data === null ? part : `${data}\n${part}`;
		}
	}
	return data;
}

/** [name, data] of a message that has a name of its own, or null. */
export function namedMessage(block: string): [string, string] | null {
	const name = /^event: ?(.*)$/m.exec(block)?.[1];
	const data = /^data: ?(.*)$/m.exec(block)?.[1];
	return name && name !== "message" ? [name, data ?? ""] : null;
}

function lastId(blocks: string[], before: string | null): string | null {
	for (let i = blocks.length - 1; i >= 0; i--) {
		const id = /^id: ?(.*)$/m.exec(blocks[i] as string)?.[1];
		if (id) return id;
	}
	return before;
}

const RETRY_MS = [1000, 2000, 5000];

/** Reads a stream until the signal aborts; a broken one is resumed where it broke. EventSource
 * would do the same but cannot carry a credential. */
export async function readStream(
	url: URL,
	handlers: StreamHandlers,
	signal: AbortSignal,
): Promise<void> {
	let last: string | null = null;
	for (let tries = 0; !signal.aborted; tries++) {
		try {
			const response = await request(url, {
				signal,
				headers: {
					Accept: "text/event-stream",
					...(last ? { "Last-Event-ID": last } : {}),
				},
			});
			handlers.state(true);
			tries = 0;
			let rest = "";
			const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done) break;
				const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
				rest = blocks.pop() as string;
				if (!blocks.length) continue;
				last = lastId(blocks, last);
				handlers.batch(blocks);
			}
			handlers.state(false, "The server ended the stream.");
		} catch (error) {
			if (signal.aborted || isAbort(error)) return;
			if (
				error instanceof ApiError &&
				error.status >= 400 &&
				error.status < 500 &&
				error.status !== 429
			) {
				handlers.refused(error);
				return;
			}
			handlers.state(false, error instanceof ApiError ? error.message : "The stream broke.");
		}
		await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] as number, signal);
	}
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), {
			once: true,
		});
	});
}

/** Runs now and then every `ms`, not while the page is hidden, never twice at a time, and less
 * often where the answer takes long. Errors go to `failed`; the next try comes all the same. */
export function poll(
	ms: number,
	signal: AbortSignal,
	run: () => Promise<void>,
	failed: (error: unknown) => void = () => {},
): void {
	const loop = async () => {
		await Promise.resolve(); // whoever polls is made first
		while (!signal.aborted) {
			const begun = performance.now();
			if (!document.hidden) {
				try {
					await run();
				} catch (error) {
					if (!signal.aborted && !isAbort(error)) failed(error);
				}
			}
			await pause(Math.max(ms, (performance.now() - begun) * 4), signal);
		}
	};
	void loop();
}
