/* SPDX-License-Identifier: MIT */
/* GET /api/events/summary: what is asked. */
#include "api/summary.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define TOP_DEFAULT 10
#define BUCKETS_DEFAULT 60

static const char *const formats[] = { "json", "csv", NULL };
static const char *const integer_forms[] = { "number", "string", NULL };

const struct rule events_summary_rules[EVENTS_SUMMARY_RULES] = {
	[EVENTS_SUMMARY_TYPE] = {
		.name = "type",
		.kind = RULE_LIST,
		.description = "Only events of these types; /api/schema lists them. Default: all.",
	},
	[EVENTS_SUMMARY_SINCE] = {
		.name = "since",
		.kind = RULE_TIME,
		.description = "Only events at or after this time: RFC 3339, or relative to now "
			       "(-5m, -1h30m, -90s). Default: the oldest event.",
	},
	[EVENTS_SUMMARY_UNTIL] = {
		.name = "until",
		.kind = RULE_TIME,
		.description = "Only events at or before this time. Default: now.",
	},
	[EVENTS_SUMMARY_BY] = {
		.name = "by",
		.kind = RULE_LIST,
		.description = "Events that have the same values of these fields are one group: "
			       "`type`, and any field of the events asked for, at most 8. An event "
			       "that lacks one has null for it. Default: one group with an empty "
			       "key.",
	},
	[EVENTS_SUMMARY_OF] = {
		.name = "of",
		.kind = RULE_LIST,
		.description = "Sum, smallest, largest, mean and percentiles of these fields: "
			       "integers that are no names, at most 8.",
	},
	[EVENTS_SUMMARY_TOP] = {
		.name = "top",
		.kind = RULE_INTEGER,
		.minimum = 1,
		.maximum = AGGREGATE_MAX_TOP,
		.default_text = "10",
		.description = "So many groups, the largest by count; the rest is in `other`.",
	},
	[EVENTS_SUMMARY_BUCKETS] = {
		.name = "buckets",
		.kind = RULE_INTEGER,
		.minimum = 0,
		.maximum = AGGREGATE_MAX_BUCKETS,
		.default_text = "60",
		.description = "Counts over time in at most so many equal parts of the window; 0: "
			       "none.",
	},
	[EVENTS_SUMMARY_FORMAT] = {
		.name = "format",
		.kind = RULE_CHOICE,
		.choices = formats,
		.description = "One JSON object; or CSV (RFC 4180), one group a line, without "
			       "counts over time, with the rest in X- headers.",
	},
	[EVENTS_SUMMARY_INT64] = {
		.name = "int64",
		.kind = RULE_CHOICE,
		.choices = integer_forms,
		.description = "\"string\" writes sums, and values of 64-bit integers, as JSON "
			       "strings, for readers that hold numbers as doubles (JavaScript) and "
			       "would round those past 2^53.",
	},
};

/* ---- names of fields ---- */

/* A list of names into `names`; empty and repeated ones, and too many, are errors. */
static int split_names(const char *parameter, char *text, const char **names, uint32_t most,
		       uint32_t *ret_count, struct answer *answer)
{
	uint32_t count = 0;

	for (char *rest = text, *name; (name = strsep(&rest, ","));) {
		if (!*name)
			return answer_error(answer, STATUS_BAD_REQUEST,
					    "parameter \"%s\": an empty name; allowed is a list of "
					    "the form a,b",
					    parameter);
		if (count == most)
			return answer_error(answer, STATUS_BAD_REQUEST,
					    "parameter \"%s\": at most %u fields are allowed",
					    parameter, most);
		for (uint32_t i = 0; i < count; i++) {
			if (!strcmp(names[i], name))
				return answer_error(answer, STATUS_BAD_REQUEST,
						    "parameter \"%s\": \"%.64s\" is there twice",
						    parameter, name);
		}
		names[count++] = name;
	}
	*ret_count = count;
	return 0;
}

/* A stream has a field of this name that `fits` takes (NULL: any); and one of 8 bytes. */
static bool has_field(const struct question *question, const char *name,
		      bool (*fits)(const struct field *field), bool *ret_wide)
{
	bool found = false, wide = false;

	for (size_t i = 0; i < question->stream_count; i++) {
		const struct field *field = stream_schema_field(question->streams[i].schema, name);

		if (!field || (fits && !fits(field)))
			continue;
		found = true;
		wide |= field->kind == FIELD_INTEGER && field->size == 8;
	}
	*ret_wide = wide;
	return found;
}

static int read_by(struct summary *summary, const struct question *question, struct answer *answer)
{
	struct aggregate_options *options = &summary->options;

	if (!summary->values[EVENTS_SUMMARY_BY].given)
		return 0;
	summary->by_text = strdup(summary->values[EVENTS_SUMMARY_BY].text);
	if (!summary->by_text)
		return answer_out_of_memory(answer);
	if (split_names("by", summary->by_text, options->by, AGGREGATE_MAX_BY, &options->by_count,
			answer) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < options->by_count; i++) {
		FREE char *known = NULL;

		if (has_field(question, options->by[i], NULL, &summary->by_wide[i]) ||
		    !strcmp(options->by[i], "type"))
			continue;
		known = question_fields(question, NULL);
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"by\": \"%.64s\" is no field of the events asked "
				    "for; fields are: type, %s",
				    options->by[i], known ? known : "");
	}
	return 0;
}

static int read_of(struct summary *summary, const struct question *question, struct answer *answer)
{
	struct aggregate_options *options = &summary->options;

	if (!summary->values[EVENTS_SUMMARY_OF].given)
		return 0;
	summary->of_text = strdup(summary->values[EVENTS_SUMMARY_OF].text);
	if (!summary->of_text)
		return answer_out_of_memory(answer);
	if (split_names("of", summary->of_text, options->of, AGGREGATE_MAX_OF, &options->of_count,
			answer) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < options->of_count; i++) {
		FREE char *known = NULL;
		bool wide;

		if (has_field(question, options->of[i], aggregate_is_number, &summary->of_wide[i]))
			continue;
		known = question_fields(question, aggregate_is_number);
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"of\": \"%.64s\" is no %s of the events asked for; "
				    "numbers are: %s",
				    options->of[i],
				    has_field(question, options->of[i], NULL, &wide) ? "number"
										     : "field",
				    known ? known : "");
	}
	return 0;
}

/* ---- the window ---- */

static uint64_t or_else(const struct rule_value *value, uint64_t otherwise)
{
	return value->given ? value->time : otherwise;
}

/*
 * What is open begins with the oldest event and ends now, or with the newest event, which came in
 * since the question was read. What comes in from here on is not in the answer.
 */
static int read_window(struct summary *summary, struct question *question, struct answer *answer)
{
	const struct rule_value *since = &summary->values[EVENTS_SUMMARY_SINCE];
	const struct rule_value *until = &summary->values[EVENTS_SUMMARY_UNTIL];
	struct aggregate_options *options = &summary->options;
	const uint64_t buckets = options->buckets;
	const uint64_t now = summary->now;
	uint64_t oldest, newest, span;

	if (since->given && until->given && since->time > until->time)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"since\" must not be later than \"until\"");
	if (!question_span(question, &oldest, &newest))
		oldest = newest = now;
	summary->end = or_else(until, newest > now ? newest : now);
	options->start = or_else(since, oldest);
	/* Nothing can be in such a window. */
	if (options->start > summary->end && since->given)
		summary->end = options->start;
	else if (options->start > summary->end)
		options->start = summary->end;
	question_window(question, since->given ? since->time : 0, summary->end);
	if (!buckets)
		return 0;
	span = summary->end - options->start;
	options->width = span / buckets + (span % buckets != 0);
	options->width += !options->width;
	/* Of less than so many ns, or where they do not share out, some parts would lie behind the
	 * end. */
	options->buckets = (uint32_t)(span / options->width + (span % options->width != 0));
	options->buckets += !options->buckets;
	return 0;
}

/* ---- the whole ---- */

static int read_summary(struct summary *summary, struct question *question, struct answer *answer)
{
	const struct rule_value *values = summary->values;
	struct aggregate_options *options = &summary->options;

	if (read_by(summary, question, answer) < 0 || read_of(summary, question, answer) < 0)
		return -EINVAL;
	for (size_t i = 0; i < summary->filters.count; i++) {
		const struct argument *filter =
			&summary->arguments.items[summary->filters.items[i]];

		if (question_filter(question, filter->name, filter->value, answer) < 0)
			return -EINVAL;
	}
	options->top = values[EVENTS_SUMMARY_TOP].given
			       ? (uint32_t)values[EVENTS_SUMMARY_TOP].number
			       : TOP_DEFAULT;
	options->buckets = values[EVENTS_SUMMARY_BUCKETS].given
				   ? (uint32_t)values[EVENTS_SUMMARY_BUCKETS].number
				   : BUCKETS_DEFAULT;
	if (!strcmp(formats[values[EVENTS_SUMMARY_FORMAT].choice], "csv"))
		options->buckets = 0;
	options->encoding = question_encoding(question);
	summary->integers_as_strings =
		!strcmp(integer_forms[values[EVENTS_SUMMARY_INT64].choice], "string");
	return read_window(summary, question, answer);
}

static int answer_summary(struct request *request, struct summary *summary, struct answer *answer)
{
	CLEANUP(aggregate) struct aggregate *aggregate = NULL;
	QUESTION question = { .streams = NULL };
	struct aggregate_result result;

	summary->now = clock_real_ns();
	if (rules_read(events_summary_rules, EVENTS_SUMMARY_RULES, &summary->arguments,
		       summary->now, summary->values, &summary->filters, answer) < 0 ||
	    question_init(&question, request->api, summary->values[EVENTS_SUMMARY_TYPE].text,
			  answer) < 0 ||
	    read_summary(summary, &question, answer) < 0)
		return -EINVAL;
	aggregate = aggregate_new(&summary->options);
	if (!aggregate)
		return answer_out_of_memory(answer);
	if (question_aggregate(&question, aggregate, &result, answer) < 0)
		return -EINVAL;
	answer->status = STATUS_OK;
	if (!strcmp(formats[summary->values[EVENTS_SUMMARY_FORMAT].choice], "csv"))
		summary_write_csv(answer, &question, summary, aggregate, &result);
	else
		summary_write_json(answer, &question, summary, aggregate, &result);
	return 0;
}

int events_summary(struct request *request, struct answer *answer)
{
	struct summary summary = { .arguments = ARGUMENTS_INIT };
	int r = request_arguments(request, &summary.arguments, answer);

	if (!r)
		r = answer_summary(request, &summary, answer);
	free(summary.by_text);
	free(summary.of_text);
	arguments_fini(&summary.arguments);
	return r;
}
