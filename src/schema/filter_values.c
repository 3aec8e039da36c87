/* SPDX-License-Identifier: MIT */
/* Values of integer-like fields in filters: numbers, truth, names, symbols. */
#include "schema/filter_parse.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "schema/enumerations.h"
#include "schema/kernel.h"
#include "schema/units.h"

#define NAMES_SHOWN 12
#define NAMES_SIZE 256

/* The field whose bytes are tested: derived ones have none of their own. */
static const struct field *tested(const struct filter_parse *parse)
{
	const struct field *field = parse->field;

	return field->derivation == FIELD_STORED ? field : &parse->stream->fields[field->source];
}

static uint16_t tested_index(const struct filter_parse *parse)
{
	return parse->field->derivation == FIELD_STORED ? parse->field->index
							: parse->field->source;
}

static uint64_t ordered_form(const struct field *field, uint64_t bits)
{
	return field_load_ordered((const uint8_t *)&bits, field->size, field->is_signed);
}

static uint64_t largest_ordered(const struct field *field)
{
	uint64_t all = field->size == 8 ? UINT64_MAX : (1ULL << field->size * 8) - 1;

	return field->is_signed ? (all >> 1) ^ (1ULL << 63) : all;
}

static uint64_t smallest_ordered(const struct field *field)
{
	uint64_t all = field->size == 8 ? UINT64_MAX : (1ULL << field->size * 8) - 1;

	return field->is_signed ? (1ULL << 63) - (all >> 1) - 1 : 0;
}

static struct number_format format_of(const struct field *field)
{
	return (struct number_format){ field->size, field->is_signed, field->unit };
}

static bool has_names(const struct field *field)
{
	return field->kind == FIELD_ENUM || field->as_number;
}

/* "A, B, C and 120 more" */
static const char *list_names(const struct enumeration *enumeration, char names[NAMES_SIZE])
{
	size_t used = 0, i;

	names[0] = '\0';
	for (i = 0; i < enumeration->count && i < NAMES_SHOWN; i++) {
		size_t length = strlen(enumeration->entries[i].name);

		if (used + length + 32 > NAMES_SIZE)
			break;
		used += (size_t)snprintf(names + used, NAMES_SIZE - used, "%s%s", used ? ", " : "",
					 enumeration->entries[i].name);
	}
	if (i < enumeration->count)
		snprintf(names + used, NAMES_SIZE - used, " and %zu more", enumeration->count - i);
	return names;
}

static int unknown_name(struct filter_parse *parse, const char *text)
{
	char names[NAMES_SIZE];

	if (!parse->field->enumeration.count)
		return parse_unknown(
			parse, "\"%.80s\" is not a number, and no names are known here", text);
	return parse_unknown(parse, "\"%.80s\" is none of the names %s; a number is allowed too",
			     text, list_names(&parse->field->enumeration, names));
}

static int out_of_range(struct filter_parse *parse, const char *text)
{
	const struct field *field = tested(parse);
	struct number_format format = format_of(field);
	char limits[NUMBER_LIMITS_SIZE];

	number_limits(&format, limits);
	return refuse(parse->refusal, "\"%.80s\" is out of range; the field holds %s", text,
		      limits);
}

static int no_number(struct filter_parse *parse, const char *text)
{
	struct number_format format = format_of(tested(parse));

	return refuse(parse->refusal, "\"%.80s\" is %s; give %s", text, number_complaint(&format),
		      number_hint(&format));
}

/* ---- names of enums ---- */

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* The glob, in lower case, against a name in any. */
static bool glob_matches(const char *glob, const char *prefix, const char *name)
{
	char text[2 * SCHEMA_NAME_SIZE];

	snprintf(text, sizeof(text), "%s%s", prefix, name);
	lower(text);
	return text_glob_match(glob, strlen(glob), text, strlen(text));
}

static int add_enum_glob(struct filter_parse *parse, const struct piece *piece)
{
	const struct enumeration *enumeration = &parse->field->enumeration;
	const char *prefix = enumeration->prefix ? enumeration->prefix : "";
	FREE char *glob = strdup(piece->raw);
	bool found = false;

	if (!glob)
		return -ENOMEM;
	lower(glob);
	for (size_t i = 0; i < enumeration->count; i++) {
		const struct enumerator *entry = &enumeration->entries[i];
		int r;

		if (!glob_matches(glob, "", entry->name) &&
		    !(*prefix && glob_matches(glob, prefix, entry->name)))
			continue;
		r = parse_add_range(parse, tested_index(parse), entry->value, entry->value);
		if (r)
			return r;
		found = true;
	}
	return found ? 0 : unknown_name(parse, piece->text);
}

static int parse_enum(struct filter_parse *parse, const struct piece *piece)
{
	const struct field *field = tested(parse);
	struct number_format format = format_of(field);
	uint64_t bits, value;
	bool is_name;
	int r;

	if (piece->is_glob)
		return add_enum_glob(parse, piece);
	/* A name may look like a number ("8021Q", but "1588" too), and then both are meant. */
	is_name = enumeration_value(&parse->field->enumeration, piece->text, &value);
	r = number_parse(&format, piece->text, &bits);
	if (r && !is_name)
		return r == -ERANGE ? out_of_range(parse, piece->text)
				    : unknown_name(parse, piece->text);
	if (is_name) {
		int added = parse_add_range(parse, tested_index(parse), value, value);

		if (added)
			return added;
	}
	if (r)
		return 0;
	value = ordered_form(field, bits);
	return parse_add_range(parse, tested_index(parse), value, value);
}

/* ---- symbols ---- */

struct symbol_ranges {
	struct filter_parse *parse;
	bool has_offset;
	uint64_t offset;
	size_t found;
	int failure;
};

static void add_symbol(void *context, uint64_t start, uint64_t end)
{
	struct symbol_ranges *ranges = context;

	if (ranges->failure || (ranges->has_offset && ranges->offset > end - start))
		return;
	if (ranges->has_offset)
		start = end = start + ranges->offset;
	ranges->found++;
	ranges->failure = parse_add_range(ranges->parse, tested_index(ranges->parse), start, end);
}

/* "name", "name+0x1c", "tcp_*" */
static int parse_symbol(struct filter_parse *parse, const struct piece *piece)
{
	struct symbol_ranges ranges = { .parse = parse };
	FREE char *glob = strdup(piece->raw);
	char *plus;

	if (!glob)
		return -ENOMEM;
	plus = strrchr(glob, '+');
	if (plus && !text_parse_u64(plus + 1, 0, UINT64_MAX, &ranges.offset)) {
		ranges.has_offset = true;
		*plus = '\0';
	}
	if (parse->symbols)
		symbols_match(parse->symbols, glob, add_symbol, &ranges);
	if (ranges.failure)
		return ranges.failure;
	if (ranges.found)
		return 0;
	return refuse(
		parse->refusal,
		"\"%.80s\" is no function of the running kernel%s; give a name, a glob tcp_*, "
		"name+0x1c or an address 0xffff…",
		piece->text, parse->symbols ? "" : " (its symbols cannot be read)");
}

/* ---- one value, or a range ---- */

static int parse_boolean(struct filter_parse *parse, const char *text)
{
	bool truth;

	if (text_parse_bool(text, &truth))
		return refuse(parse->refusal,
			      "\"%.80s\" is neither true nor false; give one of these", text);
	/* Whatever is not 0 is shown as true. */
	return parse_add_range(parse, tested_index(parse), truth, truth ? UINT8_MAX : 0);
}

int parse_value(struct filter_parse *parse, const struct piece *piece)
{
	const struct field *field = tested(parse);
	struct number_format format = format_of(field);
	uint64_t bits;
	int r;

	if (parse->field->kind == FIELD_BOOLEAN)
		return parse_boolean(parse, piece->text);
	if (has_names(parse->field))
		return parse_enum(parse, piece);
	r = number_parse(&format, piece->text, &bits);
	if (r == -EINVAL && parse->field->kind == FIELD_SYMBOL)
		return parse_symbol(parse, piece);
	if (r)
		return r == -ERANGE ? out_of_range(parse, piece->text)
				    : no_number(parse, piece->text);
	bits = ordered_form(field, bits);
	return parse_add_range(parse, tested_index(parse), bits, bits);
}

static int parse_end(struct filter_parse *parse, const char *text, uint64_t *ret_ordered)
{
	const struct field *field = tested(parse);
	struct number_format format = format_of(field);
	uint64_t bits;
	int r;

	if (has_names(parse->field) &&
	    enumeration_value(&parse->field->enumeration, text, ret_ordered))
		return 0;
	r = number_parse(&format, text, &bits);
	if (r == -ERANGE)
		return out_of_range(parse, text);
	if (r)
		return no_number(parse, text);
	*ret_ordered = ordered_form(field, bits);
	return 0;
}

int parse_value_range(struct filter_parse *parse, const struct piece *piece,
		      const struct piece_range *range)
{
	const struct field *field = tested(parse);
	uint64_t low = smallest_ordered(field), high = largest_ordered(field);
	int r = 0;

	if (field->kind == FIELD_BOOLEAN)
		return parse_boolean(parse, piece->text);
	if (range->low)
		r = parse_end(parse, range->low, &low);
	if (!r && range->high)
		r = parse_end(parse, range->high, &high);
	if (r)
		return r;
	if (low > high)
		return refuse(parse->refusal, "the range \"%.80s\" is reversed; write %.40s..%.40s",
			      piece->text, range->high, range->low);
	return parse_add_range(parse, tested_index(parse), low, high);
}

/* ---- names of errors ---- */

static int add_errno(struct filter_parse *parse, unsigned int number)
{
	uint64_t bits = 0 - (uint64_t)number;
	uint64_t value = ordered_form(tested(parse), bits);

	return parse_add_range(parse, tested_index(parse), value, value);
}

static int add_errno_glob(struct filter_parse *parse, const struct piece *piece)
{
	FREE char *glob = strdup(piece->raw);
	bool found = false;

	if (!glob)
		return -ENOMEM;
	lower(glob);
	/* The largest first: their negatives then rise, and neighbours join. */
	for (int number = ERRNO_LIMIT - 1; number > 0; number--) {
		const char *name = errno_name(number);
		char digits[12];
		int r;

		/* What has no name is shown as its number. */
		snprintf(digits, sizeof(digits), "%d", number);
		if (!glob_matches(glob, "", name ? name : digits))
			continue;
		r = add_errno(parse, (unsigned int)number);
		if (r)
			return r;
		found = true;
	}
	return found ? 0
		     : refuse(parse->refusal,
			      "no error's name is like \"%.80s\"; give ECONNREFUSED, ECONN*, or a "
			      "number",
			      piece->text);
}

int parse_errno(struct filter_parse *parse, const struct piece *piece)
{
	const char *text = piece->text;
	uint64_t number;

	if (piece->is_glob)
		return add_errno_glob(parse, piece);
	number = (uint64_t)errno_number(text);
	if (!number && text_parse_u64(text + (*text == '-'), 1, ERRNO_LIMIT - 1, &number))
		return refuse(
			parse->refusal,
			"\"%.80s\" is no error's name; give ECONNREFUSED, ECONN*, or a number",
			text);
	return add_errno(parse, (unsigned int)number);
}
