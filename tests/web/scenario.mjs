// SPDX-License-Identifier: MIT
// All scenarios by their sentence. test_web.py finds them by the lines that begin with scenario(".

export const scenarios = new Map();

export function scenario(name, run) {
	if (scenarios.has(name)) throw new Error(`two scenarios are called "${name}"`);
	scenarios.set(name, run);
}
