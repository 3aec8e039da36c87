/* SPDX-License-Identifier: MIT */
/*
 * Filters: `name=expression` texts become tests on stored fields. One grammar for every field of
 * every program:
 *
 *   expression  = ["!"] alternative *("," alternative)     any of them; "!" negates the whole
 *   alternative = value | [value] ".." [value]              ranges for integers, enums, addresses
 *   value       = by the field's kind: number (decimal, 0x…; with the field's unit: 1ms, 64KiB),
 *                 true/false, enum name (any case, with its prefix or without) or number, glob for
 *                 text and for names of enums, errors and symbols, symbol+0xoffset, address or CIDR
 *                 prefix, MAC, bytes in hexadecimal ("0a1b*" for a beginning), endpoint:
 *                 address[:port], "[ip6]:port", "*:port", else a glob for the path ("\" first: a
 *                 path in any case)
 *   "\" takes the next character as it is ("\,", "\!", "\*", "\.")
 *
 * Empty expressions and alternatives are errors (what is not empty is "?*"). Of a list any element
 * may match. Null never matches; with "!" it does.
 *
 * A filter holds tests in a form that the store runs over columns (store/query.c) or over one
 * record (filter_match). Immutable once parsed; any thread may match.
 */
#ifndef SCHEMA_FILTER_H
#define SCHEMA_FILTER_H

#include "schema/schema.h"

struct symbols;

enum test_kind {
	TEST_RANGE, /* integer-like: low <= ordered value <= high; of a list any element */
	TEST_BYTES, /* IP, MAC, BYTES: low <= bytes <= high, as memcmp(3) orders */
	TEST_GLOB,  /* STRING */
	TEST_EXACT, /* STRING; BYTES of more than 16: these are the first ones */
	TEST_NEVER, /* cannot hold (an enum name that this stream does not know) */
};

struct test {
	uint16_t field; /* index of a stored field */
	enum test_kind kind;
	union {
		struct {
			uint64_t low, high;
		} range;
		struct {
			uint8_t low[16], high[16]; /* the field's first `size` bytes count */
		} bytes;
		struct {
			char *text;
			size_t length;
		} string;
	};
};

/* All tests of an alternative hold (an endpoint has two: address and port). */
struct alternative {
	struct test *tests;
	size_t count;
};

struct predicate {
	bool negate;
	struct alternative *alternatives; /* any of them holds */
	size_t count;
};

struct filter {
	struct predicate *predicates; /* all of them hold */
	size_t count;
};

/* So many alternatives an expression may have, after names and globs were looked up. */
#define FILTER_MAX_ALTERNATIVES 1024

/*
 * Adds `field` `expression` to the filter; on failure the filter is as before. -EINVAL, with a line
 * in `error` that says what was wrong and what is allowed (without the parameter's name, which the
 * caller puts before it); -ENOMEM. `ret_unknown`, when not NULL, is set when the expression is well
 * formed but names only enumerators that this stream does not have: several streams share a field's
 * name, and the caller decides. The filter then never matches there (always, with "!"), and the
 * line is in `error` for a caller that refuses. With NULL each unknown name is an error. `symbols`
 * may be NULL: then symbols can only be asked for by address.
 */
int filter_add(struct filter *filter, const struct stream_schema *stream, const struct field *field,
	       const char *expression, struct symbols *symbols, bool *ret_unknown, char *error,
	       size_t error_size);
void filter_fini(struct filter *filter);

/* Whether a record of `length` bytes passes. */
bool filter_match(const struct filter *filter, const struct stream_schema *stream,
		  const uint8_t *record, size_t length);
/* One test on one value of its field, not null, given its bytes (for dictionaries): size * count of
 * them. */
bool test_match_bytes(const struct test *test, const struct field *field, const uint8_t *bytes);

#endif
