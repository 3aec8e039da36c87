// SPDX-License-Identifier: MIT
// Bundles the dashboard and Swagger UI, compresses every file, and writes the table that the server
// embeds (src/api/assets.h). Runs offline.
//   node web/build.mjs OUT    OUT/node_modules must be there; writes OUT/dist, OUT/assets.{c,S}
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2]);
const dist = join(out, "dist");
const modules = join(out, "node_modules");
const esbuild = createRequire(join(modules, "/"))("esbuild");

// A second compressed form of a file this large would cost the binary more than it saves anybody.
const BROTLI_LIMIT = 256 * 1024;

const MEDIA = {
	html: "text/html; charset=utf-8",
	js: "text/javascript; charset=utf-8",
	css: "text/css; charset=utf-8",
	svg: "image/svg+xml",
	woff2: "font/woff2",
};

const digest = (data) => createHash("sha256").update(data).digest("hex").slice(0, 16);
const suffix = (name) => name.slice(name.lastIndexOf(".") + 1);

// ---- the files: [{ site, name, data, immutable }] ----------------------------------------------

const files = [];

function add(site, name, data, immutable) {
	files.push({ site, name, data: Buffer.from(data), immutable });
}

// "app.js" with the digest of its content in its name, so that it may be kept for ever.
function addHashed(site, name, data) {
	const dot = name.lastIndexOf(".");
	const hashed = `${name.slice(0, dot)}-${digest(data)}${name.slice(dot)}`;
	add(site, hashed, data, true);
	return hashed;
}

function addFile(site, path, as = basename(path)) {
	return addHashed(site, as, readFileSync(path));
}

async function bundle(site, entry, names = {}) {
	const result = await esbuild.build({
		entryPoints: [join(here, "src", entry)],
		nodePaths: [modules],
		bundle: true,
		minify: true,
		write: false,
		format: "esm",
		target: ["es2022", "chrome123", "firefox124", "safari17.5"],
		legalComments: "eof",
		// Files of their own, whose names are filled in.
		external: ["*}}"],
		logLevel: "warning",
	});
	return addHashed(site, entry.replace(/\.ts$/, ".js"), fill(result.outputFiles[0].text, names));
}

function fill(text, names) {
	return text.replace(/\{\{([\w.-]+)\}\}/g, (_, name) => {
		if (!(name in names)) throw new Error(`{{${name}}} stands for no file`);
		return names[name];
	});
}

function page(site, template, names, views) {
	const html = fill(readFileSync(join(here, template), "utf8"), names);
	for (const view of views) add(site, view, html, false);
}

async function dashboard() {
	const names = {
		"inter.woff2": addFile(
			"ui",
			join(modules, "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"),
			"inter.woff2",
		),
		"icon.svg": addFile("ui", join(here, "icon.svg")),
	};
	names["app.css"] = await bundle("ui", "app.css", names);
	names["app.js"] = await bundle("ui", "app.ts", names);
	const views = JSON.parse(readFileSync(join(here, "views.json"), "utf8"));
	page(
		"ui",
		"index.html",
		names,
		views.map((view) => view.name),
	);
}

async function docs() {
	const swagger = join(modules, "swagger-ui-dist");
	// What is named in them is not shipped.
	const read = (name) =>
		readFileSync(join(swagger, name), "utf8").replace(
			/[/*# ]+sourceMappingURL=\S+( \*\/)?/,
			"",
		);
	const names = {
		"icon.svg": addFile("docs", join(here, "icon.svg")),
		"swagger.js": addHashed("docs", "swagger-ui.js", read("swagger-ui-bundle.js")),
		"swagger.css": addHashed("docs", "swagger-ui.css", read("swagger-ui.css")),
	};
	names["docs.css"] = await bundle("docs", "docs.css", names);
	names["docs.js"] = await bundle("docs", "docs.ts", names);
	page("docs", "docs.html", names, [""]);
}

// ---- their forms -------------------------------------------------------------------------------

const forms = new Map(); // digest of the content → { number, plain, gzip, brotli }

function formsOf(file) {
	const key = digest(file.data);
	if (!forms.has(key)) {
		const packed = suffix(file.name) === "woff2";
		const gzip = gzipSync(file.data, { level: 9, memLevel: 9 });
		const brotli = brotliCompressSync(file.data, {
			params: {
				[constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
				[constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
				[constants.BROTLI_PARAM_SIZE_HINT]: file.data.length,
			},
		});
		forms.set(key, {
			etag: key,
			symbol: `asset_${forms.size}`,
			size: file.data.length,
			parts: packed
				? { plain: file.data }
				: { gzip, ...(brotli.length < BROTLI_LIMIT ? { brotli } : {}) },
		});
	}
	return forms.get(key);
}

// ---- the table ---------------------------------------------------------------------------------

const ENDINGS = { plain: "", gzip: ".gz", brotli: ".br" };

function writeTable() {
	const rows = [];
	for (const file of files) {
		const form = formsOf(file);
		const kind = MEDIA[file.name.includes(".") ? suffix(file.name) : "html"];
		const parts = Object.entries(form.parts).map(
			([part, data]) => `\t  .${part} = { ${form.symbol}_${part}, ${data.length} },\n`,
		);
		rows.push(
			`\t{ .site = "${file.site}", .name = "${file.name}",\n` +
				`\t  .media_type = "${kind}", .etag = "\\"${form.etag}\\"",\n` +
				`\t  .immutable = ${file.immutable}, .size = ${form.size},\n` +
				`${parts.join("")}\t},\n`,
		);
	}
	let declarations = "";
	let data = "/* Generated by web/build.mjs. */\n\t.section .rodata\n";
	for (const form of forms.values()) {
		for (const [part, bytes] of Object.entries(form.parts)) {
			const path = join(dist, form.symbol + ENDINGS[part]);
			writeFileSync(path, bytes);
			declarations += `extern const uint8_t ${form.symbol}_${part}[];\n`;
			data +=
				`\t.balign 16\n\t.global ${form.symbol}_${part}\n` +
				`${form.symbol}_${part}:\n\t.incbin "${path}"\n`;
		}
	}
	data += '\t.section .note.GNU-stack,"",%progbits\n';
	writeFileSync(join(out, "assets.S"), data);
	writeFileSync(
		join(out, "assets.c"),
		"/* SPDX-License-Identifier: MIT */\n/* Generated by web/build.mjs. */\n" +
			'#include "api/assets.h"\n\n' +
			`${declarations}\nconst struct asset assets[] = {\n${rows.join("")}};\n` +
			`const size_t asset_count = ${rows.length};\n`,
	);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
await dashboard();
await docs();
for (const file of files)
	writeFileSync(join(dist, `${file.site}_${file.name || "index"}`), file.data);
writeTable();
