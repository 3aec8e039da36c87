// SPDX-License-Identifier: MIT
// All scenarios by their sentence. test_web.py finds them by the lines that begin with scenario(".

export const scenarios = new Map();

/** `needs`: a route without which there is nothing to look at. */
export function scenario(name, run, { needs } = {}) {
	if (scenarios.has(name)) throw new Error(`two scenarios are called "${name}"`);
	scenarios.set(name, { run, needs });
}
