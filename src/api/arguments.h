/* SPDX-License-Identifier: MIT */
/*
 * What a request says, as it came: names with values, from the query string or from a JSON object
 * in the body. What they mean is for rules.h.
 */
#ifndef API_ARGUMENTS_H
#define API_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "api/answer.h"

enum argument_form {
	ARGUMENT_UNTYPED, /* from the query string */
	ARGUMENT_STRING,  /* this and the others: from JSON */
	ARGUMENT_INTEGER,
	ARGUMENT_BOOLEAN,
	ARGUMENT_OTHER, /* a number with a fraction, an array, an object; the value is "" */
};

struct argument {
	char *name;
	char *value; /* UTF-8 without NUL */
	enum argument_form form;
};

/* The message for a body that cannot be read, or lacks what is required. */
#define INVALID_BODY "Invalid JSON request body"

#define ARGUMENTS_MAX 256

struct arguments {
	struct argument *items;
	size_t count, capacity;
	bool from_body;
};

#define ARGUMENTS_INIT                                                                             \
	{                                                                                          \
		.items = NULL                                                                      \
	}
#define ARGUMENTS __attribute__((cleanup(arguments_fini))) struct arguments

void arguments_fini(struct arguments *arguments);

/*
 * Both return 0, or a negative value with the answer filled: 400, or 500 when memory ran out.
 *
 * From the query string: values are percent-decoded, '+' is a space. Refused, by the parameter's
 * name: bad escapes, NUL, what is not UTF-8.
 */
int arguments_from_query(struct arguments *arguments, const char *query, struct answer *answer);
/*
 * From a body: one JSON object whose members are the arguments, or, with `within`, an object whose
 * only member has that name and is such an object. Members that are null count as absent.
 */
int arguments_from_body(struct arguments *arguments, const char *body, size_t length,
			const char *within, struct answer *answer);

/* Percent-decodes `length` bytes to `out` (which holds as many, and a NUL). Returns 0 and the
 * decoded length, or -EINVAL for a bad escape or a NUL. */
int percent_decode(char *out, const char *text, size_t length, bool plus_is_space,
		   size_t *ret_length);

#endif
