/* SPDX-License-Identifier: MIT */
/* The OpenAPI document and /api/schema: complete, consistent, and about the streams that are
 * there. (That answers are as the document says, every test of the API checks.) */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "openapi_check.h"

static json_t *document;

static int setup(void **state)
{
	REPLY reply = { 0 };

	api_fixture_setup(state);
	reply = get("/openapi.json");
	assert_status(&reply, 200);
	document = json_incref(reply.json);
	return 0;
}

static int teardown(void **state)
{
	json_decref(document);
	return api_fixture_teardown(state);
}

static json_t *member(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!value)
		fail_msg("no member \"%s\"", name);
	return value;
}

static const char *text(json_t *object, const char *name)
{
	const char *value = json_string_value(member(object, name));

	assert_non_null(value);
	return value;
}

static json_t *operation(const char *path, const char *method)
{
	return member(member(member(document, "paths"), path), method);
}

static void test_head(void **state)
{
	(void)state;
	assert_string_equal(text(document, "openapi"), "3.1.0");
	assert_string_equal(text(member(document, "info"), "version"), "1.2.3");
	assert_non_null(text(member(document, "info"), "title"));
}

/* What / lists and what the document has are the same. */
static void test_every_route(void **state)
{
	REPLY service = get("/");
	json_t *endpoint, *operations;
	const char *path, *method;
	size_t i, count = 0;

	(void)state;
	json_array_foreach(reply_array(&service, "endpoints"), i, endpoint)
	{
		char name[8] = "";
		const char *shown = text(endpoint, "method");

		for (size_t j = 0; shown[j] && j < sizeof(name) - 1; j++)
			name[j] = (char)tolower(shown[j]);
		operation(text(endpoint, "path"), name);
	}
	json_object_foreach(member(document, "paths"), path, operations)
	{
		json_t *one;

		json_object_foreach(operations, method, one) count++;
	}
	assert_int_equal(count, json_array_size(reply_array(&service, "endpoints")));
}

/* Every operation says what it is for and has a name of its own; its responses have
 * descriptions; the errors that any route may answer with are there. */
static void test_every_operation(void **state)
{
	static const char *const always[] = { "200", "400", "403", "404", "405", "500" };
	json_t *names = json_object(), *operations, *one, *response;
	const char *path, *method, *status;

	(void)state;
	json_object_foreach(member(document, "paths"), path, operations)
	{
		json_object_foreach(operations, method, one)
		{
			json_t *responses = member(one, "responses");

			assert_true(strlen(text(one, "summary")) > 5);
			assert_null(json_object_get(names, text(one, "operationId")));
			json_object_set_new(names, text(one, "operationId"), json_true());
			for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
				member(responses, always[i]);
			json_object_foreach(responses, status, response)
			{
				json_t *reference = json_object_get(response, "$ref");

				if (reference)
					response = openapi_resolve(document,
								   json_string_value(reference));
				assert_true(strlen(text(response, "description")) > 3);
			}
			if (strstr(path, "{name}"))
				assert_string_equal(
					text(json_array_get(member(one, "parameters"), 0), "in"),
					"path");
		}
	}
	json_decref(names);
}

static void check_references(json_t *value)
{
	const char *key;
	json_t *inner;
	size_t i;

	json_object_foreach(value, key, inner)
	{
		if (!strcmp(key, "$ref") && !openapi_resolve(document, json_string_value(inner)))
			fail_msg("%s leads nowhere", json_string_value(inner));
		check_references(inner);
	}
	json_array_foreach(value, i, inner) check_references(inner);
}

static void test_references(void **state)
{
	json_t *event = openapi_resolve(document, "#/components/schemas/Event");
	json_t *mapping = member(member(event, "discriminator"), "mapping");
	const char *type;
	json_t *target;

	(void)state;
	check_references(document);
	assert_int_equal(json_array_size(member(event, "oneOf")), 2);
	assert_int_equal(json_object_size(mapping), 2);
	json_object_foreach(mapping, type, target)
	{
		json_t *schema = openapi_resolve(document, json_string_value(target));
		json_t *properties = member(schema, "properties");

		assert_string_equal(text(member(properties, "type"), "const"), type);
	}
}

static json_t *parameter(json_t *one, const char *name)
{
	json_t *value;
	size_t i;

	json_array_foreach(member(one, "parameters"), i, value)
	{
		if (!strcmp(text(value, "name"), name))
			return value;
	}
	return NULL;
}

/* Each shown field of each stream, once; hidden ones nowhere. */
static void test_filters(void **state)
{
	REPLY schema = get("/api/schema");
	json_t *events = operation("/api/events", "get");
	json_t *stream, *field, *one, *names = json_object();
	size_t i, j;

	(void)state;
	assert_status(&schema, 200);
	assert_int_equal(json_array_size(reply_array(&schema, "streams")), 2);
	json_array_foreach(reply_array(&schema, "streams"), i, stream)
	{
		json_array_foreach(member(stream, "fields"), j, field)
		{
			if (!parameter(events, text(field, "name")))
				fail_msg("%s is no parameter", text(field, "name"));
		}
	}
	json_array_foreach(member(events, "parameters"), i, one)
	{
		assert_null(json_object_get(names, text(one, "name")));
		json_object_set_new(names, text(one, "name"), json_true());
	}
	json_decref(names);
	assert_null(parameter(events, "secret"));
	assert_non_null(parameter(events, "limit"));
	assert_non_null(strstr(text(parameter(events, "protocol"), "description"),
			       "Field of: connection, packet_drop."));
	assert_non_null(strstr(text(parameter(events, "duration_ns"), "description"), "ns"));
}

static void test_bodies(void **state)
{
	json_t *summary = operation("/api/connection-summary", "post");
	json_t *content =
		member(member(member(summary, "requestBody"), "content"), "application/json");
	json_t *properties = member(member(content, "schema"), "properties");

	(void)state;
	assert_int_equal(json_object_size(properties), 5);
	assert_int_equal(json_integer_value(member(member(properties, "duration"), "maximum")),
			 3600);
	member(properties, "process_name");
	member(operation("/api/programs/{name}", "patch"), "requestBody");
	assert_null(
		json_object_get(operation("/api/programs/{name}/enable", "post"), "requestBody"));
	assert_null(json_object_get(operation("/api/connection-summary", "get"), "requestBody"));
	assert_non_null(parameter(operation("/api/connection-summary", "get"), "process_name"));
}

static void test_schema(void **state)
{
	REPLY reply = get("/api/schema");
	json_t *connection = json_array_get(reply_array(&reply, "streams"), 0);
	json_t *fields = member(connection, "fields");
	json_t *protocol = json_array_get(fields, 9), *duration = json_array_get(fields, 6);

	(void)state;
	assert_string_equal(text(connection, "name"), "connection");
	assert_string_equal(text(connection, "program"), "connection");
	assert_true(json_is_true(member(connection, "active")));
	assert_int_equal(json_array_size(fields), 10);
	assert_string_equal(text(protocol, "type"), "enum");
	assert_string_equal(json_string_value(json_array_get(member(protocol, "values"), 1)),
			    "UDP");
	assert_string_equal(text(duration, "type"), "integer");
	assert_string_equal(text(duration, "unit"), "ns");
	assert_string_equal(text(duration, "description"), "How long it took");
	assert_int_equal(json_array_size(member(json_array_get(reply_array(&reply, "streams"), 1),
						"fields")),
			 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_every_route),
		cmocka_unit_test(test_every_operation),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
