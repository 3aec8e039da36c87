/* SPDX-License-Identifier: MIT */
/* GET /api/events/summary: the answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/summary.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

static const unsigned int percentiles[] = { 50, 90, 99 };

/* "-170141183460469231731687303715884105728" */
#define INT128_SIZE 41

/* The text of a number, at the end of `room`. */
static const char *int128_text(__int128 value, char room[INT128_SIZE])
{
	unsigned __int128 left = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
	char *at = room + INT128_SIZE - 1;

	*at = '\0';
	do
		*--at = (char)('0' + (int)(left % 10));
	while (left /= 10);
	if (value < 0)
		*--at = '-';
	return at;
}

static double mean_of(const struct distribution *values)
{
	return (double)values->sum / (double)values->count;
}

/* ---- JSON ---- */

static void write_number(struct json *json, const char *name, __int128 value, bool as_string)
{
	char room[INT128_SIZE];
	const char *text = int128_text(value, room);

	json_key(json, name);
	if (as_string)
		json_string(json, text);
	else
		json_raw(json, text, strlen(text));
}

static void write_null(struct json *json, const char *name)
{
	json_key(json, name);
	json_null(json);
}

static void write_distribution(struct json *json, const struct distribution *values, bool wide,
			       bool strings)
{
	char name[8];

	json_object_begin(json);
	json_member_u64(json, "count", values->count);
	write_number(json, "sum", values->sum, strings);
	if (values->count) {
		write_number(json, "min", values->minimum, wide && strings);
		write_number(json, "max", values->maximum, wide && strings);
		json_key(json, "mean");
		json_double(json, mean_of(values));
	} else {
		write_null(json, "min");
		write_null(json, "max");
		write_null(json, "mean");
	}
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++) {
		__int128 value;

		snprintf(name, sizeof(name), "p%u", percentiles[i]);
		if (distribution_percentile(values, percentiles[i], &value))
			write_number(json, name, value, wide && strings);
		else
			write_null(json, name);
	}
	json_object_end(json);
}

/* "count", "counts" and "values". */
static void write_figures(struct json *json, const struct summary *summary,
			  const struct aggregate_figures *figures)
{
	const struct aggregate_options *options = &summary->options;

	json_member_u64(json, "count", figures->count);
	json_key(json, "counts");
	json_array_begin(json);
	for (uint32_t i = 0; figures->counts && i < options->buckets; i++)
		json_u64(json, figures->counts[i]);
	json_array_end(json);
	json_key(json, "values");
	json_object_begin(json);
	for (uint32_t i = 0; figures->values && i < options->of_count; i++) {
		json_key(json, options->of[i]);
		write_distribution(json, &figures->values[i], summary->of_wide[i],
				   summary->integers_as_strings);
	}
	json_object_end(json);
}

/* "1,2" */
static void write_list(struct json *json, const char *text, size_t length, bool strings)
{
	json_array_begin(json);
	while (length) {
		const char *comma = memchr(text, ',', length);
		const size_t item = comma ? (size_t)(comma - text) : length;

		if (strings)
			json_string_n(json, text, item);
		else
			json_raw(json, text, item);
		text += item + (comma != NULL);
		length -= item + (comma != NULL);
	}
	json_array_end(json);
}

static void write_key(struct json *json, const struct summary *summary,
		      const struct aggregate *aggregate, uint32_t group)
{
	const struct aggregate_options *options = &summary->options;

	json_key(json, "key");
	json_object_begin(json);
	for (uint32_t i = 0; i < options->by_count; i++) {
		const bool strings = summary->integers_as_strings && summary->by_wide[i];
		BUFFER text = BUFFER_INIT;
		const enum value_form form = aggregate_key(aggregate, group, i, &text);

		if (text.failed)
			buffer_fail(json->out);
		json_key(json, options->by[i]);
		if (form == VALUE_NULL)
			json_null(json);
		else if (form == VALUE_LIST)
			write_list(json, text.data, text.length, strings);
		else if (form == VALUE_BARE && !strings)
			json_raw(json, text.data, text.length);
		else
			json_string_n(json, text.data ? text.data : "", text.length);
	}
	json_object_end(json);
}

static void write_groups(struct json *json, const struct summary *summary,
			 const struct aggregate *aggregate, const struct aggregate_result *result)
{
	json_key(json, "groups");
	json_array_begin(json);
	for (size_t i = 0; i < result->group_count; i++) {
		json_object_begin(json);
		write_key(json, summary, aggregate, result->groups[i].number);
		write_figures(json, summary, &result->groups[i].figures);
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_rest(struct json *json, const char *name, const struct summary *summary,
		       const struct aggregate_figures *figures, uint64_t groups)
{
	json_key(json, name);
	json_object_begin(json);
	json_member_u64(json, "groups", groups);
	write_figures(json, summary, figures);
	json_object_end(json);
}

static void write_time(struct json *json, const char *name, uint64_t time)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(time, text);
	json_member_string(json, name, text);
}

static void write_histogram(struct json *json, const struct summary *summary)
{
	const struct aggregate_options *options = &summary->options;

	json_key(json, "histogram");
	if (!options->buckets) {
		json_null(json);
		return;
	}
	json_object_begin(json);
	write_time(json, "start", options->start);
	write_time(json, "end", summary->end);
	json_member_u64(json, "bucket_ns", options->width);
	json_member_u64(json, "buckets", options->buckets);
	json_object_end(json);
}

static void write_names(struct json *json, const char *name, const char *const *names,
			uint32_t count)
{
	json_key(json, name);
	json_array_begin(json);
	for (uint32_t i = 0; i < count; i++)
		json_string(json, names[i]);
	json_array_end(json);
}

static void write_types(struct json *json, const struct question *question)
{
	json_key(json, "type");
	json_array_begin(json);
	for (size_t i = 0; i < question->stream_count; i++) {
		const char *name = question->streams[i].schema->name;
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= !strcmp(question->streams[j].schema->name, name);
		if (!again)
			json_string(json, name);
	}
	json_array_end(json);
}

static void write_limit(struct json *json, const char *name, const struct rule_value *value)
{
	if (value->given)
		write_time(json, name, value->time);
	else
		write_null(json, name);
}

/* The question as it was understood. */
static void write_query(struct json *json, const struct question *question,
			const struct summary *summary)
{
	const struct rule_value *values = summary->values;
	const struct aggregate_options *options = &summary->options;

	json_key(json, "query");
	json_object_begin(json);
	write_types(json, question);
	write_limit(json, "since", &values[EVENTS_SUMMARY_SINCE]);
	write_limit(json, "until", &values[EVENTS_SUMMARY_UNTIL]);
	write_names(json, "by", options->by, options->by_count);
	write_names(json, "of", options->of, options->of_count);
	json_member_u64(json, "top", options->top);
	json_member_u64(json, "buckets", options->buckets);
	json_member_string(json, "int64",
			   events_summary_rules[EVENTS_SUMMARY_INT64]
				   .choices[values[EVENTS_SUMMARY_INT64].choice]);
	json_key(json, "filters");
	json_object_begin(json);
	for (size_t i = 0; i < summary->filters.count; i++) {
		const struct argument *filter =
			&summary->arguments.items[summary->filters.items[i]];

		json_member_string(json, filter->name, filter->value);
	}
	json_object_end(json);
	json_object_end(json);
}

void summary_write_json(struct answer *answer, const struct question *question,
			const struct summary *summary, const struct aggregate *aggregate,
			const struct aggregate_result *result)
{
	const uint64_t lost = question_lost(question);
	struct json json;

	json_init(&json, &answer->body);
	json_object_begin(&json);
	write_groups(&json, summary, aggregate, result);
	write_rest(&json, "other", summary, &result->other, result->other_groups);
	write_rest(&json, "total", summary, &result->total, result->total_groups);
	json_member_bool(&json, "exact", result->exact);
	write_histogram(&json, summary);
	write_query(&json, question, summary);
	answer_query_time(&json);
	json_member_bool(&json, "complete", question_complete(question, lost));
	json_member_u64(&json, "lost", lost);
	question_write_partial(question, &json);
	json_object_end(&json);
}

/* ---- CSV ---- */

static void add_headers(struct answer *answer, const struct question *question,
			const struct aggregate_result *result)
{
	const uint64_t lost = question_lost(question);

	answer_header(answer, "X-Total-Count", "%" PRIu64, result->total.count);
	answer_header(answer, "X-Complete", "%s",
		      question_complete(question, lost) ? "true" : "false");
	answer_header(answer, "X-Partial", "%s", question->partial ? "true" : "false");
	answer_header(answer, "X-Lost", "%" PRIu64, lost);
}

static void write_csv_header(struct buffer *out, const struct aggregate_options *options)
{
	for (uint32_t i = 0; i < options->by_count; i++)
		buffer_printf(out, "%s,", options->by[i]);
	buffer_append_string(out, "count");
	for (uint32_t i = 0; i < options->of_count; i++) {
		const char *name = options->of[i];

		buffer_printf(out, ",%s_count,%s_sum,%s_min,%s_max,%s_mean", name, name, name, name,
			      name);
		for (size_t j = 0; j < ARRAY_SIZE(percentiles); j++)
			buffer_printf(out, ",%s_p%u", name, percentiles[j]);
	}
	buffer_append_string(out, "\r\n");
}

static void append_number(struct buffer *out, __int128 value)
{
	char room[INT128_SIZE];

	buffer_append_char(out, ',');
	buffer_append_string(out, int128_text(value, room));
}

static void write_csv_distribution(struct buffer *out, const struct distribution *values)
{
	struct json mean;

	append_number(out, values->count);
	append_number(out, values->sum);
	if (values->count) {
		append_number(out, values->minimum);
		append_number(out, values->maximum);
		buffer_append_char(out, ',');
		json_init(&mean, out);
		json_double(&mean, mean_of(values));
	} else {
		buffer_append_string(out, ",,,");
	}
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++) {
		__int128 value;

		if (distribution_percentile(values, percentiles[i], &value))
			append_number(out, value);
		else
			buffer_append_char(out, ',');
	}
}

void summary_write_csv(struct answer *answer, const struct question *question,
		       const struct summary *summary, const struct aggregate *aggregate,
		       const struct aggregate_result *result)
{
	const struct aggregate_options *options = &summary->options;
	struct buffer *out = &answer->body;

	add_headers(answer, question, result);
	answer->media_type = MEDIA_CSV;
	write_csv_header(out, options);
	for (size_t i = 0; i < result->group_count; i++) {
		const struct aggregate_group *group = &result->groups[i];

		for (uint32_t j = 0; j < options->by_count; j++) {
			BUFFER text = BUFFER_INIT;
			const enum value_form form =
				aggregate_key(aggregate, group->number, j, &text);

			if (text.failed)
				buffer_fail(out);
			if (form == VALUE_BARE)
				buffer_append(out, text.data, text.length);
			else if (form != VALUE_NULL)
				csv_encode_text(out, text.data ? text.data : "", text.length);
			buffer_append_char(out, ',');
		}
		buffer_append_u64(out, group->figures.count);
		for (uint32_t j = 0; j < options->of_count; j++)
			write_csv_distribution(out, &group->figures.values[j]);
		buffer_append_string(out, "\r\n");
	}
}
