/* SPDX-License-Identifier: MIT */
#include "openapi_check.h"

#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct check {
	json_t *document;
	char *error;
	size_t error_size;
	char path[512];
};

static bool fail(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool fail(struct check *check, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(check->error, check->error_size, "%s: %s", check->path, text);
	return false;
}

json_t *openapi_resolve(json_t *document, const char *reference)
{
	json_t *at = document;
	char part[128];

	if (strncmp(reference, "#/", 2) != 0)
		return NULL;
	for (reference += 2; at; reference++) {
		size_t length = strcspn(reference, "/");

		if (length >= sizeof(part))
			return NULL;
		memcpy(part, reference, length);
		part[length] = '\0';
		at = json_object_get(at, part);
		reference += length;
		if (!*reference)
			break;
	}
	return at;
}

static bool has_type(json_t *value, const char *type)
{
	if (!strcmp(type, "object"))
		return json_is_object(value);
	if (!strcmp(type, "array"))
		return json_is_array(value);
	if (!strcmp(type, "string"))
		return json_is_string(value);
	if (!strcmp(type, "integer"))
		return json_is_integer(value);
	if (!strcmp(type, "number"))
		return json_is_number(value);
	if (!strcmp(type, "boolean"))
		return json_is_boolean(value);
	return !strcmp(type, "null") && json_is_null(value);
}

static bool check_type(json_t *type, json_t *value)
{
	json_t *one;
	size_t i;

	if (json_is_string(type))
		return has_type(value, json_string_value(type));
	json_array_foreach(type, i, one)
	{
		if (has_type(value, json_string_value(one)))
			return true;
	}
	return false;
}

static bool check_value(struct check *check, json_t *schema, json_t *value);

static bool check_step(struct check *check, json_t *schema, json_t *value, const char *step)
{
	size_t length = strlen(check->path);
	bool good;

	snprintf(check->path + length, sizeof(check->path) - length, "/%s", step);
	good = check_value(check, schema, value);
	if (good)
		check->path[length] = '\0';
	return good;
}

static bool check_object(struct check *check, json_t *schema, json_t *value)
{
	json_t *properties = json_object_get(schema, "properties");
	json_t *others = json_object_get(schema, "additionalProperties");
	json_t *member, *name;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(schema, "required"), i, name)
	{
		if (!json_object_get(value, json_string_value(name)))
			return fail(check, "\"%s\" is missing", json_string_value(name));
	}
	json_object_foreach(value, key, member)
	{
		json_t *property = json_object_get(properties, key);

		if (!property && json_is_false(others))
			return fail(check, "\"%s\" is not in the schema", key);
		if (!property)
			property = json_is_object(others) ? others : NULL;
		if (property && !check_step(check, property, member, key))
			return false;
	}
	return true;
}

static bool check_array(struct check *check, json_t *schema, json_t *value)
{
	json_t *items = json_object_get(schema, "items"), *item;
	char step[24];
	size_t i;

	json_array_foreach(value, i, item)
	{
		snprintf(step, sizeof(step), "%zu", i);
		if (items && !check_step(check, items, item, step))
			return false;
	}
	return true;
}

static bool check_text(struct check *check, json_t *schema, json_t *value)
{
	json_t *pattern = json_object_get(schema, "pattern");
	json_t *longest = json_object_get(schema, "maxLength");
	json_t *format = json_object_get(schema, "format");
	const char *text = json_string_value(value);
	regex_t expression;
	bool matches;

	if (longest && strlen(text) > (size_t)json_integer_value(longest))
		return fail(check, "\"%s\" is too long", text);
	if (format && !strcmp(json_string_value(format), "date-time") &&
	    (strlen(text) < 20 || text[10] != 'T' || text[strlen(text) - 1] != 'Z'))
		return fail(check, "\"%s\" is no date-time", text);
	if (!pattern)
		return true;
	if (regcomp(&expression, json_string_value(pattern), REG_EXTENDED | REG_NOSUB) != 0)
		return fail(check, "bad pattern %s", json_string_value(pattern));
	matches = regexec(&expression, text, 0, NULL, 0) == 0;
	regfree(&expression);
	return matches ? true
		       : fail(check, "\"%s\" does not match %s", text, json_string_value(pattern));
}

/* How many of the alternatives hold. */
static size_t count_holding(struct check *check, json_t *alternatives, json_t *value)
{
	struct check trial = *check;
	size_t holding = 0, i;
	json_t *one;

	json_array_foreach(alternatives, i, one) holding += check_value(&trial, one, value);
	return holding;
}

static bool check_combined(struct check *check, json_t *schema, json_t *value)
{
	json_t *one_of = json_object_get(schema, "oneOf");
	json_t *any_of = json_object_get(schema, "anyOf");
	json_t *names = json_object_get(schema, "enum");
	json_t *constant = json_object_get(schema, "const");
	json_t *name;
	size_t i;

	/* The error of the last alternative stays: better than none. */
	if (one_of && count_holding(check, one_of, value) != 1)
		return false;
	if (any_of && !count_holding(check, any_of, value))
		return false;
	if (constant && !json_equal(constant, value))
		return fail(check, "is not the constant");
	json_array_foreach(names, i, name)
	{
		if (json_equal(name, value))
			return true;
	}
	return names ? fail(check, "is none of the enum") : true;
}

static bool check_keywords(struct check *check, json_t *schema)
{
	static const char *const known[] = {
		"$ref",
		"type",
		"description",
		"properties",
		"required",
		"items",
		"additionalProperties",
		"enum",
		"const",
		"oneOf",
		"anyOf",
		"minimum",
		"maximum",
		"format",
		"pattern",
		"maxLength",
		"minItems",
		"maxItems",
		"discriminator",
		"default",
		"x-unit",
		"x-names",
		"examples",
		"title",
		"minLength",
	};
	const char *key;
	json_t *value;

	json_object_foreach(schema, key, value)
	{
		bool found = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			found |= !strcmp(known[i], key);
		if (!found)
			return fail(check, "schema keyword \"%s\" is unknown", key);
	}
	return true;
}

static bool check_value(struct check *check, json_t *schema, json_t *value)
{
	json_t *reference = json_object_get(schema, "$ref");
	json_t *type = json_object_get(schema, "type");
	json_t *minimum = json_object_get(schema, "minimum");
	json_t *maximum = json_object_get(schema, "maximum");

	if (!json_is_object(schema))
		return fail(check, "no schema");
	if (!check_keywords(check, schema))
		return false;
	if (reference &&
	    !check_value(check, openapi_resolve(check->document, json_string_value(reference)),
			 value))
		return false;
	if (type && !check_type(type, value))
		return fail(check, "has another type than the schema says");
	if (json_is_number(value) && minimum &&
	    json_number_value(value) < json_number_value(minimum))
		return fail(check, "is less than the minimum");
	if (json_is_number(value) && maximum &&
	    json_number_value(value) > json_number_value(maximum))
		return fail(check, "is more than the maximum");
	return check_combined(check, schema, value) &&
	       (!json_is_object(value) || check_object(check, schema, value)) &&
	       (!json_is_array(value) || check_array(check, schema, value)) &&
	       (!json_is_string(value) || check_text(check, schema, value));
}

bool openapi_check(json_t *document, json_t *schema, json_t *value, char *error, size_t error_size)
{
	struct check check = { .document = document, .error = error, .error_size = error_size };

	return check_value(&check, schema, value);
}

/* "/a/{name}/b" stands for "/a/x/b". */
static bool fits(const char *pattern, const char *path)
{
	for (; *pattern; pattern++) {
		if (*pattern == '{') {
			size_t length = strcspn(path, "/");

			if (!length)
				return false;
			path += length;
			pattern = strchr(pattern, '}');
		} else if (*pattern != *path++) {
			return false;
		}
	}
	return !*path;
}

json_t *openapi_answer_schema(json_t *document, const char *method, const char *path, int status)
{
	json_t *operations, *operation, *answer, *reference;
	char name[8] = "", number[8];
	const char *pattern;

	snprintf(number, sizeof(number), "%d", status);
	for (size_t i = 0; i < sizeof(name) - 1 && method[i]; i++)
		name[i] = (char)(method[i] | 32);
	json_object_foreach(json_object_get(document, "paths"), pattern, operations)
	{
		if (!fits(pattern, path))
			continue;
		operation = json_object_get(operations, name);
		answer = json_object_get(json_object_get(operation, "responses"), number);
		reference = json_object_get(answer, "$ref");
		if (reference)
			answer = openapi_resolve(document, json_string_value(reference));
		return json_object_get(json_object_get(json_object_get(answer, "content"),
						       "application/json"),
				       "schema");
	}
	return NULL;
}
