/* SPDX-License-Identifier: MIT */
/*
 * GET /openapi.json: written from the table of routes, the tables of shapes and rules, and the
 * schemas of the streams that are there now.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/components.h"
#include "api/gate.h"
#include "api/question.h"
#include "api/routes.h"
#include "base/json.h"
#include "base/memory.h"

static const char description[] =
	"Events that eBPF programs record, and the programs themselves. Errors are JSON objects "
	"with `error` and `message`; unknown parameters and bad values are errors. Where GET is "
	"taken, HEAD is; OPTIONS is answered everywhere with 204 and Allow. Answers are "
	"compressed with gzip where Accept-Encoding asks for it. Integers that can pass 2^53 are "
	"written in full; readers that hold numbers as doubles ask for `int64=string`. On a "
	"loopback address only requests whose Host is a loopback name or address are answered. "
	"Where the server has credentials, each route asks for a role, which `security` names: "
	"`read` may ask, `write` may also bring lines of its own, `admin` may also change "
	"programs and lists.";

static const struct {
	unsigned int status;
	const char *name; /* under #/components/responses/ */
	const char *description;
	unsigned int errors; /* enum route_error; 0: of every route */
} failures[] = {
	{ STATUS_BAD_REQUEST, "BadRequest", "A parameter is unknown or its value is bad.", 0 },
	{ STATUS_UNAUTHORIZED, "Unauthorized",
	  "A credential is needed, or the one that was given is not known.", ERROR_ACCESS },
	{ STATUS_FORBIDDEN, "Forbidden",
	  "The role is not enough, or Host or Origin is of somebody else.", 0 },
	{ STATUS_NOT_FOUND, "NotFound", "There is no such thing.", 0 },
	{ STATUS_METHOD_NOT_ALLOWED, "MethodNotAllowed", "The methods that are taken are in Allow.",
	  0 },
	{ STATUS_CONTENT_TOO_LARGE, "ContentTooLarge", "The body is too large.", ERROR_BODY },
	{ STATUS_UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "The body is not JSON.",
	  ERROR_BODY },
	{ STATUS_TOO_MANY_REQUESTS, "TooManyRequests",
	  "Another change is under way, or too many wrong credentials came from the caller's "
	  "address; Retry-After then says for how many seconds.",
	  ERROR_BUSY | ERROR_ACCESS },
	{ STATUS_HEADERS_TOO_LARGE, "RequestHeaderFieldsTooLarge",
	  "Request line and headers are too large together.", 0 },
	{ STATUS_INTERNAL_SERVER_ERROR, "InternalServerError",
	  "Memory ran out, or the kernel refused.", 0 },
	{ STATUS_SERVICE_UNAVAILABLE, "ServiceUnavailable", "What would answer is not there (yet).",
	  ERROR_UNAVAILABLE },
};

/* ---- parameters ---- */

static const char alias_about[] = "Another name for the parameter before it.";

/* `about`: its description; NULL: none. */
static void write_rule_schema(struct json *json, const struct rule *rule, const char *about)
{
	json_object_begin(json);
	if (about)
		json_member_string(json, "description", about);
	switch (rule->kind) {
	case RULE_INTEGER:
		json_member_string(json, "type", "integer");
		json_member_i64(json, "minimum", rule->minimum);
		json_member_i64(json, "maximum", rule->maximum);
		if (rule->default_text) {
			json_key(json, "default");
			json_raw(json, rule->default_text, strlen(rule->default_text));
		}
		break;
	case RULE_CHOICE:
		json_member_string(json, "type", "string");
		json_key(json, "enum");
		json_array_begin(json);
		for (size_t i = 0; rule->choices[i]; i++)
			json_string(json, rule->choices[i]);
		json_array_end(json);
		json_member_string(json, "default", rule->choices[0]);
		break;
	case RULE_LIST:
		json_member_string(json, "type", "array");
		json_key(json, "items");
		json_object_begin(json);
		json_member_string(json, "type", "string");
		json_object_end(json);
		break;
	default:
		json_member_string(json, "type", "string");
		break;
	}
	json_object_end(json);
}

static void write_query_rule(struct json *json, const struct rule *rule, const char *name)
{
	json_object_begin(json);
	json_member_string(json, "name", name);
	json_member_string(json, "in", "query");
	json_member_string(json, "description",
			   name == rule->name ? rule->description : alias_about);
	if (rule->kind == RULE_LIST) {
		json_member_string(json, "style", "form");
		json_member_bool(json, "explode", false);
	}
	json_key(json, "schema");
	write_rule_schema(json, rule, NULL);
	json_object_end(json);
}

static bool is_rule(const struct route *route, const char *name)
{
	for (size_t i = 0; i < route->rule_count; i++) {
		if (!strcmp(route->rules[i].name, name))
			return true;
	}
	return false;
}

/* An earlier stream, of those that are shown, has a field of this name. */
static bool is_shown(const struct api *api, size_t stream, const char *name)
{
	for (size_t i = 0; i < stream; i++) {
		if (api_stream_is_newest(api, i) &&
		    stream_schema_field(api_stream_schema(api, i), name))
			return true;
	}
	return false;
}

/* "Filter on …": the description, the unit, and which events have the field. */
static void write_filter(struct json *json, const struct api *api, size_t stream,
			 const struct field *field)
{
	BUFFER text = BUFFER_INIT;

	buffer_printf(&text, "Filter (%s%s%s): %s%sField of:", field_type_name(field),
		      field->unit[0] ? ", " : "", field->unit, field->description,
		      field->description[0] ? " " : "");
	for (size_t i = stream; i < api_stream_count(api); i++) {
		const struct stream_schema *schema = api_stream_schema(api, i);

		if (api_stream_is_newest(api, i) && stream_schema_field(schema, field->name))
			buffer_printf(&text, "%s %s", i == stream ? "" : ",", schema->name);
	}
	buffer_append_char(&text, '.');

	json_object_begin(json);
	json_member_string(json, "name", field->name);
	json_member_string(json, "in", "query");
	json_key(json, "description");
	json_string_n(json, text.data ? text.data : "", text.length);
	json_key(json, "schema");
	json_object_begin(json);
	json_member_string(json, "type", "string");
	json_object_end(json);
	json_object_end(json);
}

static void write_filters(struct json *json, const struct api *api, const struct route *route)
{
	for (size_t i = 0; i < api_stream_count(api); i++) {
		const struct stream_schema *schema = api_stream_schema(api, i);

		if (!api_stream_is_newest(api, i))
			continue;
		for (size_t j = 0; j < schema->field_count; j++) {
			const struct field *field = &schema->fields[j];

			if (!field->hidden && !is_rule(route, field->name) &&
			    !is_shown(api, i, field->name))
				write_filter(json, api, i, field);
		}
	}
}

static void write_last_event_id(struct json *json)
{
	json_object_begin(json);
	json_member_string(json, "name", "Last-Event-ID");
	json_member_string(json, "in", "header");
	json_member_string(json, "description",
			   "The id that the reader had last: what followed it comes first.");
	json_key(json, "schema");
	json_object_begin(json);
	json_member_string(json, "type", "string");
	json_object_end(json);
	json_object_end(json);
}

static void write_parameters(struct json *json, const struct api *api, const struct route *route,
			     unsigned int method)
{
	json_key(json, "parameters");
	json_array_begin(json);
	if (strstr(route->path, "{name}")) {
		json_object_begin(json);
		json_member_string(json, "name", "name");
		json_member_string(json, "in", "path");
		json_member_bool(json, "required", true);
		json_member_string(json, "description",
				   route->name_about ? route->name_about : "The program's name.");
		json_key(json, "schema");
		json_object_begin(json);
		json_member_string(json, "type", "string");
		json_object_end(json);
		json_object_end(json);
	}
	if (route->resumes)
		write_last_event_id(json);
	for (size_t i = 0; method == METHOD_GET && i < route->rule_count; i++) {
		write_query_rule(json, &route->rules[i], route->rules[i].name);
		if (route->rules[i].alias)
			write_query_rule(json, &route->rules[i], route->rules[i].alias);
	}
	if (route->filters)
		write_filters(json, api, route);
	json_array_end(json);
}

/* ---- bodies and answers ---- */

static void write_body_schema(struct json *json, const struct route *route)
{
	if (route->body) {
		component_ref(json, "schemas", route->body->name);
		return;
	}
	json_object_begin(json);
	json_member_string(json, "type", "object");
	json_key(json, "properties");
	json_object_begin(json);
	for (size_t i = 0; i < route->rule_count; i++) {
		const struct rule *rule = &route->rules[i];

		json_key(json, rule->name);
		write_rule_schema(json, rule, rule->description);
		if (rule->alias) {
			json_key(json, rule->alias);
			write_rule_schema(json, rule, alias_about);
		}
	}
	json_object_end(json);
	json_member_bool(json, "additionalProperties", false);
	json_object_end(json);
}

static void write_body(struct json *json, const struct route *route, unsigned int method)
{
	if (method == METHOD_GET || (!route->body && !route->rule_count))
		return;
	json_key(json, "requestBody");
	json_object_begin(json);
	json_member_bool(json, "required", route->body_required);
	json_key(json, "content");
	json_object_begin(json);
	json_key(json, MEDIA_JSON);
	json_object_begin(json);
	json_key(json, "schema");
	write_body_schema(json, route);
	if (route->example) {
		json_key(json, "example");
		json_raw(json, route->example, strlen(route->example));
	}
	json_object_end(json);
	json_object_end(json);
	json_object_end(json);
}

/* OpenAPI 3.1 has no word for the events of a stream. */
static void write_frames(struct json *json, const struct frame *frames)
{
	json_key(json, "x-events");
	json_object_begin(json);
	for (; frames->event; frames++) {
		json_key(json, frames->event);
		component_ref(json, "schemas", frames->shape);
	}
	json_object_end(json);
}

static void write_content(struct json *json, const struct content *content,
			  const struct frame *frames)
{
	json_key(json, content->media_type);
	json_object_begin(json);
	json_key(json, "schema");
	if (content->shape) {
		component_ref(json, "schemas", content->shape->name);
	} else {
		json_object_begin(json);
		json_member_string(json, "type", "string");
		if (content->description)
			json_member_string(json, "description", content->description);
		if (frames)
			write_frames(json, frames);
		json_object_end(json);
	}
	json_object_end(json);
}

static void write_headers(struct json *json)
{
	static const struct {
		const char *name, *description;
	} headers[] = {
		{ "X-Total-Count", "For ndjson and csv: what JSON calls total_count." },
		{ "X-Complete", "For ndjson and csv: what JSON calls complete." },
		{ "X-Partial", "For ndjson and csv: what JSON calls partial." },
		{ "X-Lost", "For ndjson and csv: what JSON calls lost." },
		{ "X-Next", "For ndjson and csv: what JSON calls next; absent at the end." },
	};

	json_key(json, "headers");
	json_object_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		json_key(json, headers[i].name);
		json_object_begin(json);
		json_member_string(json, "description", headers[i].description);
		json_key(json, "schema");
		json_object_begin(json);
		json_member_string(json, "type", "string");
		json_object_end(json);
		json_object_end(json);
	}
	json_object_end(json);
}

static void write_success(struct json *json, const struct route *route)
{
	json_key(json, "200");
	json_object_begin(json);
	json_member_string(json, "description", route->summary);
	if (route->filters && !route->resumes)
		write_headers(json);
	json_key(json, "content");
	json_object_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(route->contents) && route->contents[i].media_type; i++)
		write_content(json, &route->contents[i], route->frames);
	json_object_end(json);
	json_object_end(json);
}

static void write_without_body(struct json *json, const char *status, const char *about)
{
	json_key(json, status);
	json_object_begin(json);
	json_member_string(json, "description", about);
	json_object_end(json);
}

static void write_responses(struct json *json, const struct route *route)
{
	const unsigned int errors = route->errors |
				    (route->open == OPEN_ALWAYS ? 0u : (unsigned int)ERROR_ACCESS);
	char status[8];

	json_key(json, "responses");
	json_object_begin(json);
	write_success(json, route);
	if (route->redirect)
		write_without_body(json, "303", route->redirect);
	if (route->page)
		write_without_body(json, "304", "What If-None-Match names is what it still is.");
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		if (failures[i].errors && !(failures[i].errors & errors))
			continue;
		snprintf(status, sizeof(status), "%u", failures[i].status);
		json_key(json, status);
		component_ref(json, "responses", failures[i].name);
	}
	if (route->failure) {
		json_key(json, "503");
		json_object_begin(json);
		json_member_string(json, "description", route->failure->description);
		json_key(json, "content");
		json_object_begin(json);
		write_content(json, route->failure, NULL);
		json_object_end(json);
		json_object_end(json);
	}
	json_object_end(json);
}

/* ---- who may ---- */

static const struct {
	const char *name, *description;
} schemes[] = {
	{ "bearer", "A token of the server's credentials file." },
	{ "basic", "A name of the server's credentials file, with its secret." },
};

static void write_schemes(struct json *json)
{
	json_key(json, "securitySchemes");
	json_object_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		json_key(json, schemes[i].name);
		json_object_begin(json);
		json_member_string(json, "type", "http");
		json_member_string(json, "scheme", schemes[i].name);
		json_member_string(json, "description", schemes[i].description);
		json_object_end(json);
	}
	json_object_end(json);
}

/* One scheme, with the role that is needed (OpenAPI 3.1, Security Requirement Object); and, where
 * nobody is asked for it, none. */
static void write_security(struct json *json, const struct api *api, const struct route *route)
{
	json_key(json, "security");
	json_array_begin(json);
	for (size_t i = 0; !route_is_open(api, route) && i < ARRAY_SIZE(schemes); i++) {
		json_object_begin(json);
		json_key(json, schemes[i].name);
		json_array_begin(json);
		json_string(json, role_name(route_role(route)));
		json_array_end(json);
		json_object_end(json);
	}
	if (!route_is_open(api, route) && !api->options.access) {
		json_object_begin(json);
		json_object_end(json);
	}
	json_array_end(json);
}

/* ---- paths ---- */

static const struct {
	unsigned int method;
	const char *name;
} operations[] = {
	{ METHOD_GET, "get" },
	{ METHOD_POST, "post" },
	{ METHOD_PATCH, "patch" },
};

/* "get_api_programs_name". */
static void write_operation_id(struct json *json, const char *method, const char *path)
{
	BUFFER id = BUFFER_INIT;

	buffer_append_string(&id, method);
	if (!path[1])
		buffer_append_string(&id, "_root");
	for (const char *c = path; path[1] && *c; c++) {
		if (isalnum((unsigned char)*c))
			buffer_append_char(&id, *c);
		else if (*c != '{' && *c != '}')
			buffer_append_char(&id, '_');
	}
	json_key(json, "operationId");
	json_string_n(json, id.data ? id.data : "", id.length);
}

static void write_operations(struct json *json, const struct api *api, const struct route *route)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!(route->methods & operations[i].method))
			continue;
		json_key(json, operations[i].name);
		json_object_begin(json);
		write_operation_id(json, operations[i].name, route->path);
		json_key(json, "tags");
		json_array_begin(json);
		json_string(json, route->tag);
		json_array_end(json);
		json_member_string(json, "summary", route->summary);
		if (route->description)
			json_member_string(json, "description", route->description);
		write_parameters(json, api, route, operations[i].method);
		write_security(json, api, route);
		write_body(json, route, operations[i].method);
		write_responses(json, route);
		json_object_end(json);
	}
}

static void write_paths(struct json *json, const struct api *api)
{
	json_key(json, "paths");
	json_object_begin(json);
	for (size_t i = 0; i < route_count; i++) {
		bool done = false;

		for (size_t j = 0; j < i; j++)
			done |= !strcmp(routes[j].path, routes[i].path);
		if (done)
			continue;
		json_key(json, routes[i].path);
		json_object_begin(json);
		for (size_t j = i; j < route_count; j++) {
			if (!strcmp(routes[j].path, routes[i].path))
				write_operations(json, api, &routes[j]);
		}
		json_object_end(json);
	}
	json_object_end(json);
}

/* ---- the document ---- */

static void write_failures(struct json *json)
{
	static const struct content error = { MEDIA_JSON, &shape_error, NULL };

	json_key(json, "responses");
	json_object_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		json_key(json, failures[i].name);
		json_object_begin(json);
		json_member_string(json, "description", failures[i].description);
		json_key(json, "content");
		json_object_begin(json);
		write_content(json, &error, NULL);
		json_object_end(json);
		json_object_end(json);
	}
	json_object_end(json);
}

static void write_info(struct json *json, const struct api *api)
{
	json_key(json, "info");
	json_object_begin(json);
	json_member_string(json, "title", "ebpf-server");
	json_member_string(json, "version", api->options.version);
	json_member_string(json, "description", description);
	json_key(json, "license");
	json_object_begin(json);
	json_member_string(json, "name", "MIT");
	json_member_string(json, "identifier", "MIT");
	json_object_end(json);
	json_object_end(json);
}

int openapi_get(struct request *request, struct answer *answer)
{
	const struct api *api = request->api;
	struct json json;

	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_string(&json, "openapi", "3.1.0");
	write_info(&json, api);
	write_paths(&json, api);
	json_key(&json, "components");
	json_object_begin(&json);
	json_key(&json, "schemas");
	components_write(&json, api);
	write_failures(&json);
	write_schemes(&json);
	json_object_end(&json);
	json_object_end(&json);
	return 0;
}
