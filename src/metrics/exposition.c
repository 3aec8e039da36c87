/* SPDX-License-Identifier: MIT */
#include "metrics/exposition.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD in UTF-8 */

/* ---- which format ---- */

static const struct {
	enum exposition_format format;
	const char *type;
	int precision; /* of a media range, how much it says */
} ranges[] = {
	{ EXPOSITION_OPENMETRICS, "application/openmetrics-text", 2 },
	{ EXPOSITION_OPENMETRICS, "application/*", 1 },
	{ EXPOSITION_OPENMETRICS, "*/*", 0 },
	{ EXPOSITION_TEXT, "text/plain", 2 },
	{ EXPOSITION_TEXT, "text/*", 1 },
	{ EXPOSITION_TEXT, "*/*", 0 },
};

/* "0.5" in thousandths; 1000 where it is none. */
static int parse_weight(const char *text, size_t length)
{
	int weight = 0, digit = 1000;

	if (!length || text[0] != '0')
		return 1000;
	for (size_t i = 1; i < length; i++) {
		if (text[i] == '.' && i == 1)
			continue;
		if (text[i] < '0' || text[i] > '9')
			break;
		digit /= 10;
		weight += (text[i] - '0') * digit;
	}
	return weight;
}

static size_t trim(const char **text, size_t length)
{
	while (length && (**text == ' ' || **text == '\t')) {
		(*text)++;
		length--;
	}
	while (length && ((*text)[length - 1] == ' ' || (*text)[length - 1] == '\t'))
		length--;
	return length;
}

/* A version that is not written here is not meant: OpenMetrics has 1.0.0 and, as it was drafted,
 * 0.0.1. */
static bool is_known_version(enum exposition_format format, const char *text, size_t length)
{
	if (length >= 2 && text[0] == '"') {
		text++;
		length -= 2;
	}
	if (format == EXPOSITION_TEXT)
		return length == 5 && !memcmp(text, "0.0.4", 5);
	return length == 5 && (!memcmp(text, "1.0.0", 5) || !memcmp(text, "0.0.1", 5));
}

/* One element of the list: how much it wants `format`, and how precisely it says so. -1: nothing
 * of it. */
static int element_weight(const char *element, size_t length, enum exposition_format format,
			  int *ret_precision)
{
	const char *end = element + length;
	const char *name = element;
	const char *semicolon = memchr(element, ';', length);
	size_t name_length = trim(&name, semicolon ? (size_t)(semicolon - element) : length);
	int weight = 1000, precision = -1;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (ranges[i].format == format && strlen(ranges[i].type) == name_length &&
		    !strncasecmp(ranges[i].type, name, name_length))
			precision = ranges[i].precision;
	if (precision < 0)
		return -1;
	while (semicolon) {
		const char *parameter = semicolon + 1;
		size_t size;

		semicolon = memchr(parameter, ';', (size_t)(end - parameter));
		size = trim(&parameter, (size_t)((semicolon ? semicolon : end) - parameter));
		if (size > 2 && !strncasecmp(parameter, "q=", 2))
			weight = parse_weight(parameter + 2, size - 2);
		else if (size > 8 && !strncasecmp(parameter, "version=", 8) &&
			 !is_known_version(format, parameter + 8, size - 8))
			return -1;
	}
	*ret_precision = precision;
	return weight;
}

/* The most precise element decides; of equal ones the weightiest. */
static int weight_of(const char *accept, enum exposition_format format, int *ret_precision)
{
	int best = -1, best_precision = -1;

	while (*accept) {
		size_t length = strcspn(accept, ",");
		int precision = -1;
		int weight = element_weight(accept, length, format, &precision);

		if (precision > best_precision || (precision == best_precision && weight > best)) {
			best = weight;
			best_precision = precision;
		}
		accept += length;
		accept += *accept == ',';
	}
	*ret_precision = best_precision;
	return best;
}

enum exposition_format exposition_negotiate(const char *accept)
{
	int open_precision, text_precision, open, text;

	if (!accept)
		return EXPOSITION_TEXT;
	open = weight_of(accept, EXPOSITION_OPENMETRICS, &open_precision);
	text = weight_of(accept, EXPOSITION_TEXT, &text_precision);
	/* People who ask for anything get what they can read in a browser. */
	if (open_precision < 2 || open <= 0)
		return EXPOSITION_TEXT;
	return open > text || (open == text && open_precision > text_precision)
		       ? EXPOSITION_OPENMETRICS
		       : EXPOSITION_TEXT;
}

const char *exposition_media_type(enum exposition_format format)
{
	return format == EXPOSITION_OPENMETRICS ? MEDIA_OPENMETRICS : MEDIA_PROMETHEUS;
}

/* ---- texts ---- */

static void append_escaped(struct buffer *out, const char *text, size_t length, bool quotes)
{
	for (size_t i = 0; i < length;) {
		size_t sequence = text_utf8_sequence(text + i, length - i);

		if (!sequence) {
			buffer_append_string(out, REPLACEMENT);
			i++;
			continue;
		}
		if (text[i] == '\n')
			buffer_append_string(out, "\\n");
		else if (text[i] == '\\' || (quotes && text[i] == '"'))
			buffer_append(out, (char[]){ '\\', text[i] }, 2);
		else
			buffer_append(out, text + i, sequence);
		i += sequence;
	}
}

void exposition_label(struct buffer *labels, const char *name, const char *text, size_t length)
{
	if (labels->length)
		buffer_append_char(labels, ',');
	buffer_append_string(labels, name);
	buffer_append_string(labels, "=\"");
	append_escaped(labels, text, length, true);
	buffer_append_char(labels, '"');
}

/* ---- numbers ---- */

static void append_number(struct buffer *out, struct exposition_value value)
{
	uint64_t magnitude = value.value, scale = 1;

	if (value.is_signed && (int64_t)value.value < 0) {
		buffer_append_char(out, '-');
		magnitude = 0 - value.value;
	}
	for (uint8_t i = 0; i < value.decimals; i++)
		scale *= 10;
	buffer_append_u64(out, magnitude / scale);
	magnitude %= scale;
	if (!magnitude)
		return;
	buffer_append_char(out, '.');
	while (magnitude) {
		scale /= 10;
		buffer_append_char(out, (char)('0' + magnitude / scale));
		magnitude %= scale;
	}
}

/* ---- families ---- */

void exposition_begin(struct exposition *exposition, enum exposition_format format,
		      struct buffer *out)
{
	*exposition = (struct exposition){ .out = out, .format = format };
}

void exposition_end(struct exposition *exposition)
{
	if (exposition->format == EXPOSITION_OPENMETRICS)
		buffer_append_string(exposition->out, "# EOF\n");
}

static const char *sample_suffix(const struct exposition *exposition)
{
	return exposition->type == METRIC_COUNTER ? "_total" : "";
}

/* OpenMetrics calls a counter's family by its name without _total, the older format with it. */
static void append_head(const struct exposition *exposition, const char *what)
{
	bool open = exposition->format == EXPOSITION_OPENMETRICS;

	buffer_printf(exposition->out, "# %s %s%s ", what, exposition->name,
		      open ? "" : sample_suffix(exposition));
}

void exposition_family(struct exposition *exposition, const char *name, enum metric_type type,
		       const char *unit, const char *help)
{
	struct buffer *out = exposition->out;
	bool open = exposition->format == EXPOSITION_OPENMETRICS;

	exposition->name = name;
	exposition->type = type;
	if (*help) {
		append_head(exposition, "HELP");
		append_escaped(out, help, strlen(help), open);
		buffer_append_char(out, '\n');
	}
	append_head(exposition, "TYPE");
	buffer_append_string(out, metric_type_name(type));
	buffer_append_char(out, '\n');
	if (open && *unit) {
		append_head(exposition, "UNIT");
		buffer_append_string(out, unit);
		buffer_append_char(out, '\n');
	}
}

/* Up to the value. `bound` is the text of a label `le`, or NULL. */
static void append_series(struct exposition *exposition, const char *suffix,
			  const struct buffer *labels, const struct buffer *bound)
{
	struct buffer *out = exposition->out;

	buffer_append_string(out, exposition->name);
	buffer_append_string(out, suffix);
	if (labels->length || bound) {
		buffer_append_char(out, '{');
		buffer_append(out, labels->data, labels->length);
		if (bound) {
			buffer_append_string(out, labels->length ? ",le=\"" : "le=\"");
			buffer_append(out, bound->data, bound->length);
			buffer_append_char(out, '"');
		}
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ' ');
}

void exposition_sample(struct exposition *exposition, const struct buffer *labels,
		       struct exposition_value value)
{
	append_series(exposition, sample_suffix(exposition), labels, NULL);
	append_number(exposition->out, value);
	buffer_append_char(exposition->out, '\n');
}

static void append_bucket(struct exposition *exposition, const struct buffer *labels,
			  const struct buffer *bound, uint64_t count)
{
	append_series(exposition, "_bucket", labels, bound);
	buffer_append_u64(exposition->out, count);
	buffer_append_char(exposition->out, '\n');
}

void exposition_histogram(struct exposition *exposition, const struct buffer *labels,
			  const uint64_t *counts, size_t slots, uint8_t decimals,
			  const uint64_t *sum)
{
	BUFFER bound = BUFFER_INIT;
	uint64_t count = 0;

	for (size_t i = 0; i + 1 < slots; i++) {
		/* The largest integer of the slot: `le` is inclusive, and counts stay exact. */
		struct exposition_value largest = { .value = (2ULL << i) - 1,
						    .decimals = decimals };

		count += counts[i];
		buffer_clear(&bound);
		append_number(&bound, largest);
		/* OpenMetrics' canonical numbers are floats. */
		if (exposition->format == EXPOSITION_OPENMETRICS && bound.length &&
		    !memchr(bound.data, '.', bound.length))
			buffer_append_string(&bound, ".0");
		append_bucket(exposition, labels, &bound, count);
	}
	count += counts[slots - 1];
	buffer_clear(&bound);
	buffer_append_string(&bound, "+Inf");
	append_bucket(exposition, labels, &bound, count);
	if (bound.failed)
		buffer_fail(exposition->out);
	if (sum) {
		append_series(exposition, "_sum", labels, NULL);
		append_number(exposition->out, (struct exposition_value){ *sum, decimals, false });
		buffer_append_char(exposition->out, '\n');
	}
	/* OpenMetrics: a count only beside a sum. */
	if (sum || exposition->format == EXPOSITION_TEXT) {
		append_series(exposition, "_count", labels, NULL);
		buffer_append_u64(exposition->out, count);
		buffer_append_char(exposition->out, '\n');
	}
}

/* ---- shorthands ---- */

static void append_labels(struct buffer *labels, va_list arguments)
{
	const char *name, *text;

	while ((name = va_arg(arguments, const char *)) && (text = va_arg(arguments, const char *)))
		exposition_label(labels, name, text, strlen(text));
}

void exposition_integer(struct exposition *exposition, uint64_t value, ...)
{
	BUFFER labels = BUFFER_INIT;
	va_list arguments;

	va_start(arguments, value);
	append_labels(&labels, arguments);
	va_end(arguments);
	exposition_sample(exposition, &labels, (struct exposition_value){ value, 0, false });
	if (labels.failed)
		buffer_fail(exposition->out);
}

void exposition_decimal(struct exposition *exposition, struct exposition_value value, ...)
{
	BUFFER labels = BUFFER_INIT;
	va_list arguments;

	va_start(arguments, value);
	append_labels(&labels, arguments);
	va_end(arguments);
	exposition_sample(exposition, &labels, value);
	if (labels.failed)
		buffer_fail(exposition->out);
}
