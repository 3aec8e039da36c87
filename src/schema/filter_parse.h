/* SPDX-License-Identifier: MIT */
/*
 * An expression on its way to tests: filter.c knows the grammar, filter_values.c and
 * filter_addresses.c what values are. Internal to this folder.
 */
#ifndef SCHEMA_FILTER_PARSE_H
#define SCHEMA_FILTER_PARSE_H

#include "schema/filter.h"
#include "schema/refuse.h"

struct filter_parse {
	const struct stream_schema *stream;
	const struct field *field;
	struct symbols *symbols;
	const struct refusal *refusal;
	bool may_be_unknown; /* names that this stream lacks are TEST_NEVER, not errors */
	size_t unknown;	     /* how many there were */
	struct alternative *alternatives;
	size_t count, capacity;
};

/* A piece of the expression. */
struct piece {
	const char *raw; /* as it stands, NUL-terminated */
	char *text;	 /* without the backslashes */
	bool is_glob;	 /* has a '*' or '?' without a backslash */
};

/* A range splits at "..", for kinds that have ranges; a missing end is NULL. */
struct piece_range {
	char *low, *high;
};

/* All return 0, -EINVAL (and the line is written) or -ENOMEM. */

/* Adds an alternative of one test, or of two. A string test's text is taken, also on failure. */
int parse_add(struct filter_parse *parse, const struct test *first, const struct test *second);
/* Adds "low <= field <= high", growing the last alternative where it goes on. */
int parse_add_range(struct filter_parse *parse, uint16_t field, uint64_t low, uint64_t high);
/* Adds text or glob. */
int parse_add_text(struct filter_parse *parse, uint16_t field, const struct piece *piece);
/* A name that nothing has. */
int parse_unknown(struct filter_parse *parse, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Integer-like fields: one value or glob, or a range. */
int parse_value(struct filter_parse *parse, const struct piece *piece);
int parse_value_range(struct filter_parse *parse, const struct piece *piece,
		      const struct piece_range *range);
int parse_errno(struct filter_parse *parse, const struct piece *piece);

/* IP, MAC. */
int parse_address(struct filter_parse *parse, const struct piece *piece);
int parse_address_range(struct filter_parse *parse, const struct piece *piece,
			const struct piece_range *range);
int parse_bytes(struct filter_parse *parse, const struct piece *piece);
int parse_endpoint(struct filter_parse *parse, const struct piece *piece);

#endif
