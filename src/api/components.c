/* SPDX-License-Identifier: MIT */
#include "api/components.h"

#include <stdio.h>
#include <string.h>

#include "api/question.h"
#include "api/shapes.h"
#include "base/json.h"

#define COMPONENT_SIZE 128

void component_ref(struct json *json, const char *section, const char *name)
{
	json_object_begin(json);
	json_key(json, "$ref");
	json_printf(json, "#/components/%s/%s", section, name);
	json_object_end(json);
}

static void write_shape(struct json *json, const struct shape *shape)
{
	json_key(json, shape->name);
	json_object_begin(json);
	json_member_string(json, "type", "object");
	json_member_string(json, "description", shape->description);
	json_key(json, "properties");
	json_object_begin(json);
	for (size_t i = 0; i < shape->member_count; i++) {
		const struct shape_member *member = &shape->members[i];

		json_key(json, member->name);
		json_object_begin(json);
		json_raw(json, member->schema, strlen(member->schema));
		if (member->description[0])
			json_member_string(json, "description", member->description);
		json_object_end(json);
	}
	json_object_end(json);
	json_key(json, "required");
	json_array_begin(json);
	for (size_t i = 0; i < shape->member_count; i++)
		json_string(json, shape->members[i].name);
	json_array_end(json);
	json_member_bool(json, "additionalProperties", shape->open);
	json_object_end(json);
}

/* The component of a stream: its name, unless a shape has that. */
static void component_name(const struct stream_schema *schema, char name[COMPONENT_SIZE])
{
	bool taken = !strcmp(schema->name, "Event");

	for (size_t i = 0; shapes[i]; i++)
		taken |= !strcmp(schema->name, shapes[i]->name);
	snprintf(name, COMPONENT_SIZE, "%s%s", schema->name, taken ? "_event" : "");
}

/* Any event: told apart by `type`. */
static void write_event(struct json *json, const struct api *api)
{
	char name[COMPONENT_SIZE];
	size_t count = api_stream_count(api);

	json_key(json, "Event");
	json_object_begin(json);
	if (!count) {
		json_member_string(json, "type", "object");
		json_object_end(json);
		return;
	}
	json_key(json, "oneOf");
	json_array_begin(json);
	for (size_t i = 0; i < count; i++) {
		if (!api_stream_is_newest(api, i))
			continue;
		component_name(api_stream_schema(api, i), name);
		component_ref(json, "schemas", name);
	}
	json_array_end(json);
	json_key(json, "discriminator");
	json_object_begin(json);
	json_member_string(json, "propertyName", "type");
	json_key(json, "mapping");
	json_object_begin(json);
	for (size_t i = 0; i < count; i++) {
		if (!api_stream_is_newest(api, i))
			continue;
		component_name(api_stream_schema(api, i), name);
		json_key(json, api_stream_schema(api, i)->name);
		json_printf(json, "#/components/schemas/%s", name);
	}
	json_object_end(json);
	json_object_end(json);
	json_object_end(json);
}

void components_write(struct json *json, const struct api *api)
{
	json_object_begin(json);
	for (size_t i = 0; shapes[i]; i++)
		write_shape(json, shapes[i]);
	write_event(json, api);
	for (size_t i = 0; i < api_stream_count(api); i++) {
		const struct stream_schema *schema = api_stream_schema(api, i);
		char name[COMPONENT_SIZE];

		if (!api_stream_is_newest(api, i))
			continue;
		component_name(schema, name);
		json_key(json, name);
		stream_describe(schema, json);
	}
	json_object_end(json);
}
