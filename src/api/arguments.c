/* SPDX-License-Identifier: MIT */
/* No base/json.h here: its writer and jansson both have a json_string(). */
#include "api/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

void arguments_fini(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++) {
		free(arguments->items[i].name);
		free(arguments->items[i].value);
	}
	free(arguments->items);
	*arguments = (struct arguments)ARGUMENTS_INIT;
}

/* Takes name and value, also on failure. */
static int add(struct arguments *arguments, char *name, char *value, enum argument_form form,
	       struct answer *answer)
{
	FREE char *own_name = name, *own_value = value;

	if (!name || !value)
		return answer_out_of_memory(answer);
	if (arguments->count == ARGUMENTS_MAX)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "too many parameters: at most %d are taken", ARGUMENTS_MAX);
	if (arguments->count == arguments->capacity) {
		size_t capacity = arguments->capacity ? 2 * arguments->capacity : 8;
		struct argument *items = reallocarray(arguments->items, capacity, sizeof(*items));

		if (!items)
			return answer_out_of_memory(answer);
		arguments->items = items;
		arguments->capacity = capacity;
	}
	arguments->items[arguments->count++] = (struct argument){
		.name = TAKE(own_name),
		.value = TAKE(own_value),
		.form = form,
	};
	return 0;
}

/* ---- the query string ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int percent_decode(char *out, const char *text, size_t length, bool plus_is_space,
		   size_t *ret_length)
{
	size_t written = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (!c)
			return -EINVAL;
		out[written++] = c;
	}
	out[written] = '\0';
	*ret_length = written;
	return 0;
}

static bool is_utf8(const char *text, size_t length)
{
	while (length) {
		size_t sequence = text_utf8_sequence(text, length);

		if (!sequence)
			return false;
		text += sequence;
		length -= sequence;
	}
	return true;
}

/* One "name=value" of a query string. */
static int add_pair(struct arguments *arguments, const char *pair, size_t length,
		    struct answer *answer)
{
	const char *equals = memchr(pair, '=', length);
	size_t name_length = equals ? (size_t)(equals - pair) : length;
	size_t value_length = equals ? length - name_length - 1 : 0;
	FREE char *name = malloc(name_length + 1);
	FREE char *value = malloc(value_length + 1);

	if (!name || !value)
		return answer_out_of_memory(answer);
	if (percent_decode(name, pair, name_length, true, &name_length) < 0 ||
	    !is_utf8(name, name_length))
		return answer_error(
			answer, STATUS_BAD_REQUEST,
			"the name of a parameter must be percent-encoded UTF-8 without NUL");
	if (!name_length)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "a parameter without a name; allowed is name=value");
	if (!equals)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"%.64s\" has no value; allowed is name=value",
				    name);
	if (percent_decode(value, equals + 1, value_length, true, &value_length) < 0)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"%.64s\": a '%%' must begin an escape of two "
				    "hexadecimal digits other than 00 ('%%' itself is %%25)",
				    name);
	if (!is_utf8(value, value_length))
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"%.64s\": the value must be UTF-8", name);
	return add(arguments, TAKE(name), TAKE(value), ARGUMENT_UNTYPED, answer);
}

int arguments_from_query(struct arguments *arguments, const char *query, struct answer *answer)
{
	while (*query) {
		size_t length = strcspn(query, "&");
		int r = length ? add_pair(arguments, query, length, answer) : 0;

		if (r < 0)
			return r;
		query += length;
		query += *query == '&';
	}
	return 0;
}

/* ---- a JSON body ---- */

static void json_release(json_t **value)
{
	json_decref(*value);
}

static int add_member(struct arguments *arguments, const char *name, json_t *value,
		      struct answer *answer)
{
	char number[24];

	switch (json_typeof(value)) {
	case JSON_NULL:
		return 0;
	case JSON_STRING:
		return add(arguments, strdup(name), strdup(json_string_value(value)),
			   ARGUMENT_STRING, answer);
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		return add(arguments, strdup(name), strdup(number), ARGUMENT_INTEGER, answer);
	case JSON_TRUE:
	case JSON_FALSE:
		return add(arguments, strdup(name), strdup(json_is_true(value) ? "true" : "false"),
			   ARGUMENT_BOOLEAN, answer);
	default:
		return add(arguments, strdup(name), strdup(""), ARGUMENT_OTHER, answer);
	}
}

int arguments_from_body(struct arguments *arguments, const char *body, size_t length,
			const char *within, struct answer *answer)
{
	__attribute__((cleanup(json_release)))
	json_t *root = json_loadb(body ? body : "", length, JSON_REJECT_DUPLICATES, NULL);
	json_t *members = root, *value;
	const char *name;

	arguments->from_body = true;
	if (!json_is_object(root))
		return answer_error(answer, STATUS_BAD_REQUEST, INVALID_BODY);
	if (within) {
		members = json_object_get(root, within);
		if (!json_is_object(members) || json_object_size(root) != 1)
			return answer_error(answer, STATUS_BAD_REQUEST,
					    "the body must be a JSON object of the form "
					    "{\"%s\":{\"name\":value}}",
					    within);
	}
	json_object_foreach(members, name, value)
	{
		int r = add_member(arguments, name, value, answer);

		if (r < 0)
			return r;
	}
	return 0;
}
