/* SPDX-License-Identifier: MIT */
/* Files of the web pages as answers: form by Accept-Encoding, caching, and what keeps a page from
 * being made to do what is not in its files. */
#include "api/assets.h"

#include <errno.h>
#include <string.h>

#include "api/compress.h"
#include "api/routes.h"
#include "base/memory.h"

#define KEEP "public, max-age=31536000, immutable"
/* May be kept, but is asked for each time whether it is still the same (ETag). */
#define ASK "no-cache"

/*
 * Scripts and styles come from this server's files alone, none stands in a page or is made from
 * text, and nothing is asked of another host. Pictures in style sheets may be data.
 */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "               \
	"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "          \
	"frame-ancestors 'none'"
/* No text can become markup: the dashboard never assigns any. Swagger UI renders Markdown. */
#define NO_MARKUP "; require-trusted-types-for 'script'; trusted-types 'none'"

static const struct {
	const char *name, *value;
} page_headers[] = {
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "X-Frame-Options", "DENY" },
	{ "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()" },
};

static const struct site {
	const char *name, *policy;
} sites[] = {
	{ "ui", POLICY NO_MARKUP },
	{ "docs", POLICY },
};

const struct asset *asset_find(const char *site, const char *name)
{
	for (size_t i = 0; i < asset_count; i++) {
		if (!strcmp(assets[i].site, site) && !strcmp(assets[i].name, name))
			return &assets[i];
	}
	return NULL;
}

/* If-None-Match (RFC 9110, 13.1.2): weak comparison, so W/ before a tag is no matter. */
static bool has_already(const struct asset *asset, const char *tags)
{
	size_t length = strlen(asset->etag);

	if (!tags)
		return false;
	if (!strcmp(tags, "*"))
		return true;
	for (const char *at = strstr(tags, asset->etag); at; at = strstr(at + 1, asset->etag)) {
		if (!at[length] || strchr(", \t", at[length]))
			return true;
	}
	return false;
}

static int give_form(const struct asset *asset, const struct request *request,
		     struct answer *answer)
{
	const struct asset_form *form = &asset->plain;
	const char *coding = NULL;

	if (asset->brotli.bytes && compress_accepted("br", request->accept_encoding)) {
		form = &asset->brotli;
		coding = "br";
	} else if (asset->gzip.bytes && compress_accepted("gzip", request->accept_encoding)) {
		form = &asset->gzip;
		coding = "gzip";
	}
	if (!form->bytes)
		return compress_undo(asset->gzip.bytes, asset->gzip.size, asset->size,
				     &answer->body);
	answer->fixed = form->bytes;
	answer->fixed_length = form->size;
	if (coding)
		answer_header_constant(answer, "Content-Encoding", coding);
	return 0;
}

static int give(const struct site *site, const struct asset *asset, const struct request *request,
		struct answer *answer)
{
	answer->as_is = true;
	answer->media_type = asset->media_type;
	answer->cache_control = asset->immutable ? KEEP : ASK;
	/* Weak: the same for every form. */
	answer_header(answer, "ETag", "W/%s", asset->etag);
	answer_header_constant(answer, "Vary", "Accept-Encoding");
	answer_header_constant(answer, "Content-Security-Policy", site->policy);
	answer_header_constant(answer, "Cross-Origin-Resource-Policy", "same-origin");
	for (size_t i = 0; !asset->immutable && i < ARRAY_SIZE(page_headers); i++)
		answer_header_constant(answer, page_headers[i].name, page_headers[i].value);
	if (has_already(asset, request->if_none_match)) {
		answer->status = STATUS_NOT_MODIFIED;
		return 0;
	}
	answer->status = STATUS_OK;
	return give_form(asset, request, answer);
}

static int answer_from(const struct site *site, struct request *request, struct answer *answer)
{
	const char *name = request->name ? request->name : "";
	const struct asset *asset = asset_find(site->name, name);

	if (asset)
		return give(site, asset, request, answer);
	if (!asset_count)
		return answer_error(answer, STATUS_NOT_FOUND,
				    "this server was built without its web pages, for want of node "
				    "and npm; 'make deps' installs them, 'make' builds it again");
	return answer_error(answer, STATUS_NOT_FOUND,
			    "there is no page \"%.64s\"; /%s/ is the first", name, site->name);
}

int dashboard_get(struct request *request, struct answer *answer)
{
	return answer_from(&sites[0], request, answer);
}

int docs_get(struct request *request, struct answer *answer)
{
	return answer_from(&sites[1], request, answer);
}

/* Browsers name text/html first; whoever takes anything wants the JSON. */
bool assets_wanted(const struct request *request)
{
	static const char html[] = "text/html";
	const char *at = request->accept ? strstr(request->accept, html) : NULL;
	const char *json = request->accept ? strstr(request->accept, MEDIA_JSON) : NULL;

	return at && (!json || at < json) && asset_find("ui", "");
}
