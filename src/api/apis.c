/* SPDX-License-Identifier: MIT */
/* GET /apis: the table of routes for people who have nothing but curl. */
#include <string.h>

#include "api/routes.h"
#include "base/json.h"
#include "base/memory.h"

/* Those that are listed each for itself, in this order. */
static const struct {
	unsigned int method;
	const char *name;
} methods[] = {
	{ METHOD_GET, "GET" },
	{ METHOD_POST, "POST" },
	{ METHOD_PATCH, "PATCH" },
};

static void write_lines(struct json *json, const struct route *route)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (route->methods & methods[i].method)
			json_printf(json, "%s %s - %s", methods[i].name, route->path,
				    route->summary);
	}
}

/* "add_ips". Where another route of the same path is there already, its methods tell it apart. */
static void write_name(struct json *json, const struct route *route, const char *route_methods)
{
	const char *name = route->path[1] ? route->path + 1 : route->path;
	BUFFER text = BUFFER_INIT;
	FREE char *whole = NULL;

	for (const struct route *before = routes; before < route; before++) {
		if (strcmp(before->path, route->path))
			continue;
		buffer_printf(&text, "%s %s", route_methods, name);
		whole = buffer_take_string(&text);
		break;
	}
	json_key(json, whole ? whole : name);
}

static void write_body(struct json *json, const struct route *route)
{
	if (route->example) {
		json_raw(json, route->example, strlen(route->example));
		return;
	}
	if (!(route->methods & METHOD_POST) || !route->rule_count) {
		json_null(json);
		return;
	}
	json_object_begin(json);
	for (size_t i = 0; i < route->rule_count; i++) {
		BUFFER allowed = BUFFER_INIT;

		rule_allowed(&route->rules[i], &allowed);
		json_key(json, route->rules[i].name);
		json_string_n(json, allowed.length ? allowed.data : "", allowed.length);
	}
	json_object_end(json);
}

static void write_usage(struct json *json, const struct route *route)
{
	BUFFER list = BUFFER_INIT;
	FREE char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (route->methods & methods[i].method)
			buffer_printf(&list, "%s%s", list.length ? ", " : "", methods[i].name);
	}
	text = buffer_take_string(&list);
	write_name(json, route, text ? text : "");
	json_object_begin(json);
	json_member_string(json, "method", text);
	json_key(json, "body");
	write_body(json, route);
	json_object_end(json);
}

int apis_get(struct request *request, struct answer *answer)
{
	struct json json;

	(void)request;
	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_key(&json, "available_apis");
	json_array_begin(&json);
	for (size_t i = 0; i < route_count; i++)
		write_lines(&json, &routes[i]);
	json_array_end(&json);
	json_key(&json, "usage");
	json_object_begin(&json);
	for (size_t i = 0; i < route_count; i++)
		write_usage(&json, &routes[i]);
	json_object_end(&json);
	json_object_end(&json);
	return 0;
}
