/* SPDX-License-Identifier: MIT */
#include "schema/filter_parse.h"

#include <string.h>

#include "base/text.h"

#define MAX_EXPRESSION 65536

/* ---- building ---- */

static void fini_alternative(struct alternative *alternative)
{
	for (size_t i = 0; i < alternative->count; i++)
		if (alternative->tests[i].kind == TEST_GLOB ||
		    alternative->tests[i].kind == TEST_EXACT)
			free(alternative->tests[i].string.text);
	free(alternative->tests);
}

static void fini_alternatives(struct alternative *alternatives, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fini_alternative(&alternatives[i]);
	free(alternatives);
}

static int make_room(struct filter_parse *parse)
{
	struct alternative *alternatives;
	size_t capacity;

	if (parse->count == FILTER_MAX_ALTERNATIVES)
		return refuse(parse->refusal,
			      "this stands for more than %d values; be more exact, or give a range",
			      FILTER_MAX_ALTERNATIVES);
	if (parse->count < parse->capacity)
		return 0;
	capacity = parse->capacity ? parse->capacity * 2 : 4;
	alternatives = reallocarray(parse->alternatives, capacity, sizeof(*alternatives));
	if (!alternatives)
		return -ENOMEM;
	parse->alternatives = alternatives;
	parse->capacity = capacity;
	return 0;
}

int parse_add(struct filter_parse *parse, const struct test *first, const struct test *second)
{
	struct alternative alternative = { calloc(second ? 2 : 1, sizeof(struct test)), 0 };
	int r;

	if (!alternative.tests) {
		if (first->kind == TEST_GLOB || first->kind == TEST_EXACT)
			free(first->string.text);
		return -ENOMEM;
	}
	alternative.tests[alternative.count++] = *first;
	if (second)
		alternative.tests[alternative.count++] = *second;
	r = make_room(parse);
	if (r)
		fini_alternative(&alternative);
	else
		parse->alternatives[parse->count++] = alternative;
	return r;
}

int parse_add_range(struct filter_parse *parse, uint16_t field, uint64_t low, uint64_t high)
{
	struct test test = { .field = field, .kind = TEST_RANGE, .range = { low, high } };
	struct test *last = parse->count ? parse->alternatives[parse->count - 1].tests : NULL;

	/* A test on an integer is a range of numbers, no more: it must leave out the null. */
	if (parse->stream->fields[field].zero_is_null && !low) {
		test.range.low = low = 1;
		if (!high)
			test.kind = TEST_NEVER;
	}
	/* Names of neighbouring numbers become one range: a glob over symbols is mostly a few. */
	if (last && parse->alternatives[parse->count - 1].count == 1 && last->kind == TEST_RANGE &&
	    last->field == field && low >= last->range.low &&
	    (low <= last->range.high || low - 1 == last->range.high)) {
		if (high > last->range.high)
			last->range.high = high;
		return 0;
	}
	return parse_add(parse, &test, NULL);
}

int parse_add_text(struct filter_parse *parse, uint16_t field, const struct piece *piece)
{
	struct test test = { .field = field, .kind = piece->is_glob ? TEST_GLOB : TEST_EXACT };

	test.string.text = strdup(piece->is_glob ? piece->raw : piece->text);
	if (!test.string.text)
		return -ENOMEM;
	test.string.length = strlen(test.string.text);
	return parse_add(parse, &test, NULL);
}

int parse_unknown(struct filter_parse *parse, const char *format, ...)
{
	struct test test = { .field = parse->field->source, .kind = TEST_NEVER };
	va_list arguments;

	if (parse->field->derivation == FIELD_STORED)
		test.field = parse->field->index;
	va_start(arguments, format);
	vsnprintf(parse->refusal->text, parse->refusal->size, format, arguments);
	va_end(arguments);
	if (!parse->may_be_unknown)
		return -EINVAL;
	parse->unknown++;
	return parse_add(parse, &test, NULL);
}

/* ---- grammar ---- */

/* Where the first of these characters stands that has no backslash before it. */
static char *find_unescaped(char *text, const char *what)
{
	size_t length = strlen(what);

	for (; *text; text++) {
		if (!strncmp(text, what, length))
			return text;
		if (*text == '\\' && text[1])
			text++;
	}
	return NULL;
}

/* In place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	*to = '\0';
}

static bool has_ranges(const struct field *field)
{
	if (field->derivation == FIELD_ERRNO_OF || field->derivation == FIELD_ENDPOINT_OF)
		return false;
	return field_is_integer_like(field) || field->kind == FIELD_IP || field->kind == FIELD_MAC;
}

static int parse_single(struct filter_parse *parse, const struct piece *piece)
{
	const struct field *field = parse->field;

	if (field->derivation == FIELD_ERRNO_OF)
		return parse_errno(parse, piece);
	if (field->derivation == FIELD_ENDPOINT_OF)
		return parse_endpoint(parse, piece);
	switch (field->kind) {
	case FIELD_STRING:
		return parse_add_text(parse, field->index, piece);
	case FIELD_BYTES:
		return parse_bytes(parse, piece);
	case FIELD_IP:
	case FIELD_MAC:
		return parse_address(parse, piece);
	default:
		return parse_value(parse, piece);
	}
}

/* `raw` is the piece's own memory. */
static int parse_range(struct filter_parse *parse, const struct piece *piece, char *raw, char *dots)
{
	struct piece_range range = { raw, dots + 2 };

	*dots = '\0';
	unescape(range.low);
	unescape(range.high);
	if (!*range.low)
		range.low = NULL;
	if (!*range.high)
		range.high = NULL;
	if (!range.low && !range.high)
		return refuse(parse->refusal, "a range needs at least one end: 5..9, 5.. or ..9");
	if (parse->field->kind == FIELD_IP || parse->field->kind == FIELD_MAC)
		return parse_address_range(parse, piece, &range);
	return parse_value_range(parse, piece, &range);
}

static int parse_alternative(struct filter_parse *parse, const char *raw, bool is_first)
{
	FREE char *text = strdup(raw), *ends = strdup(raw);
	struct piece piece = { raw, text, text_is_glob(raw) };
	char *dots;

	if (!text || !ends)
		return -ENOMEM;
	if (!*raw)
		return refuse(parse->refusal, "an alternative of the list is empty; write a,b");
	if (*raw == '!')
		return refuse(parse->refusal,
			      is_first ? "\"!\" stands there twice; write \\! for the character"
				       : "\"!\" stands only at the beginning and negates the whole "
					 "list; write \\! for the character");
	unescape(text);
	dots = has_ranges(parse->field) ? find_unescaped(ends, "..") : NULL;
	return dots ? parse_range(parse, &piece, ends, dots) : parse_single(parse, &piece);
}

static int parse_list(struct filter_parse *parse, char *list)
{
	bool is_first = true;

	while (list) {
		char *comma = find_unescaped(list, ",");
		int r;

		if (comma)
			*comma = '\0';
		r = parse_alternative(parse, list, is_first);
		if (r)
			return r;
		is_first = false;
		list = comma ? comma + 1 : NULL;
	}
	return 0;
}

static int check_expression(const struct refusal *refusal, const char *expression)
{
	size_t length = strlen(expression), backslashes = 0;

	if (!length)
		return refuse(refusal, "the value is empty");
	if (length > MAX_EXPRESSION)
		return refuse(refusal, "the value is longer than %d bytes", MAX_EXPRESSION);
	while (backslashes < length && expression[length - 1 - backslashes] == '\\')
		backslashes++;
	if (backslashes % 2)
		return refuse(refusal,
			      "the \"\\\" at the end has nothing after it; write \\\\ for the "
			      "character");
	return 0;
}

static int add_predicate(struct filter *filter, const struct filter_parse *parse, bool negate)
{
	struct predicate *predicates =
		reallocarray(filter->predicates, filter->count + 1, sizeof(*predicates));

	if (!predicates)
		return -ENOMEM;
	predicates[filter->count++] =
		(struct predicate){ negate, parse->alternatives, parse->count };
	filter->predicates = predicates;
	return 0;
}

int filter_add(struct filter *filter, const struct stream_schema *stream, const struct field *field,
	       const char *expression, struct symbols *symbols, bool *ret_unknown, char *error,
	       size_t error_size)
{
	const struct refusal refusal = { error, error_size };
	struct filter_parse parse = { .stream = stream,
				      .field = field,
				      .symbols = symbols,
				      .refusal = &refusal,
				      .may_be_unknown = ret_unknown != NULL };
	bool negate = expression[0] == '!';
	FREE char *list = NULL;
	int r = check_expression(&refusal, expression);

	if (r)
		return r;
	if (negate && !expression[1])
		return refuse(&refusal, "\"!\" negates what comes after it, and nothing does");
	list = strdup(expression + negate);
	r = list ? parse_list(&parse, list) : -ENOMEM;
	if (!r)
		r = add_predicate(filter, &parse, negate);
	if (r == -ENOMEM)
		refuse(&refusal, "out of memory");
	if (r)
		fini_alternatives(parse.alternatives, parse.count);
	else if (ret_unknown)
		*ret_unknown = parse.unknown && parse.unknown == parse.count;
	return r;
}

void filter_fini(struct filter *filter)
{
	for (size_t i = 0; i < filter->count; i++)
		fini_alternatives(filter->predicates[i].alternatives, filter->predicates[i].count);
	free(filter->predicates);
	*filter = (struct filter){ 0 };
}

/* ---- matching ---- */

static bool match_range(const struct test *test, const struct field *field, const uint8_t *bytes)
{
	for (size_t i = 0; i < field->count; i++, bytes += field->size) {
		uint64_t value = field_load_ordered(bytes, field->size, field->is_signed);

		if (value >= test->range.low && value <= test->range.high)
			return true;
	}
	return false;
}

bool test_match_bytes(const struct test *test, const struct field *field, const uint8_t *bytes)
{
	size_t size = field->size;

	if (field->zero_is_null && field_is_zero(field, bytes))
		return false;
	switch (test->kind) {
	case TEST_RANGE:
		return match_range(test, field, bytes);
	case TEST_BYTES:
		return memcmp(bytes, test->bytes.low, size) >= 0 &&
		       memcmp(bytes, test->bytes.high, size) <= 0;
	case TEST_GLOB:
		return text_glob_match(test->string.text, test->string.length, (const char *)bytes,
				       strnlen((const char *)bytes, size));
	case TEST_EXACT:
		if (field->kind == FIELD_STRING)
			size = strnlen((const char *)bytes, size);
		else if (size > test->string.length)
			size = test->string.length;
		return size == test->string.length && !memcmp(bytes, test->string.text, size);
	case TEST_NEVER:
	default:
		return false;
	}
}

static bool match_alternative(const struct alternative *alternative,
			      const struct stream_schema *stream, const uint8_t *record,
			      size_t length)
{
	for (size_t i = 0; i < alternative->count; i++) {
		const struct test *test = &alternative->tests[i];
		const struct field *field = &stream->fields[test->field];

		if (field_is_null(stream, field, record, length) ||
		    !test_match_bytes(test, field, record + field->offset))
			return false;
	}
	return true;
}

static bool match_predicate(const struct predicate *predicate, const struct stream_schema *stream,
			    const uint8_t *record, size_t length)
{
	for (size_t i = 0; i < predicate->count; i++)
		if (match_alternative(&predicate->alternatives[i], stream, record, length))
			return !predicate->negate;
	return predicate->negate;
}

bool filter_match(const struct filter *filter, const struct stream_schema *stream,
		  const uint8_t *record, size_t length)
{
	for (size_t i = 0; i < filter->count; i++)
		if (!match_predicate(&filter->predicates[i], stream, record, length))
			return false;
	return true;
}
