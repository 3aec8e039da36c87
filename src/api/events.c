/* SPDX-License-Identifier: MIT */
/* GET /api/events */
#include <errno.h>
#include <string.h>

#include "api/question.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000

static const char *const orders[] = { "desc", "asc", NULL };
enum format { FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV };
static const char *const formats[] = { "json", "ndjson", "csv", NULL };
static const char *const integer_forms[] = { "number", "string", NULL };

const struct rule events_rules[EVENTS_RULES] = {
	[EVENTS_TYPE] = {
		.name = "type",
		.kind = RULE_LIST,
		.description = "Only events of these types; /api/schema lists them. Default: all.",
	},
	[EVENTS_SINCE] = {
		.name = "since",
		.kind = RULE_TIME,
		.description = "Only events at or after this time: RFC 3339, or relative to now "
			       "(-5m, -1h30m, -90s).",
	},
	[EVENTS_UNTIL] = {
		.name = "until",
		.kind = RULE_TIME,
		.description = "Only events at or before this time.",
	},
	[EVENTS_LIMIT] = {
		.name = "limit",
		.kind = RULE_INTEGER,
		.minimum = 1,
		.maximum = LIMIT_MAX,
		.default_text = "100",
		.description = "At most so many events.",
	},
	[EVENTS_AFTER] = {
		.name = "after",
		.kind = RULE_PLACE,
		.description = "Only events after the one with this id, in the order of ids.",
	},
	[EVENTS_BEFORE] = {
		.name = "before",
		.kind = RULE_PLACE,
		.description = "Only events before the one with this id, in the order of ids.",
	},
	[EVENTS_ORDER] = {
		.name = "order",
		.kind = RULE_CHOICE,
		.choices = orders,
		.description = "By time: newest first, or oldest first. To continue, ask again "
			       "with before=<next> when newest first, with after=<next> when "
			       "oldest first.",
	},
	[EVENTS_FORMAT] = {
		.name = "format",
		.kind = RULE_CHOICE,
		.choices = formats,
		.description = "One JSON object with the events in it; one JSON object a line; or "
			       "CSV (RFC 4180). The last two say the rest in X- headers.",
	},
	[EVENTS_INT64] = {
		.name = "int64",
		.kind = RULE_CHOICE,
		.choices = integer_forms,
		.description = "\"string\" writes 64-bit integers as JSON strings, for readers "
			       "that hold numbers as doubles (JavaScript) and would round those "
			       "past 2^53.",
	},
};

/* What was asked, beside what went into the question. */
struct asked {
	struct arguments arguments;
	struct rule_value values[EVENTS_RULES];
	struct rule_others filters;
	size_t limit;
};

static void write_time(struct json *json, const char *name, const struct rule_value *value)
{
	char text[CLOCK_RFC3339_SIZE];

	if (value->given)
		clock_format_rfc3339(value->time, text);
	json_member_string(json, name, value->given ? text : NULL);
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

/* The question as it was understood. */
static void write_query(struct json *json, const struct question *question,
			const struct asked *asked)
{
	const struct rule_value *values = asked->values;

	json_object_begin(json);
	write_types(json, question);
	write_time(json, "since", &values[EVENTS_SINCE]);
	write_time(json, "until", &values[EVENTS_UNTIL]);
	json_member_u64(json, "limit", asked->limit);
	json_member_string(json, "order", orders[values[EVENTS_ORDER].choice]);
	json_member_string(json, "format", formats[values[EVENTS_FORMAT].choice]);
	json_member_string(json, "int64", integer_forms[values[EVENTS_INT64].choice]);
	json_member_string(json, "after", values[EVENTS_AFTER].text);
	json_member_string(json, "before", values[EVENTS_BEFORE].text);
	json_key(json, "filters");
	json_object_begin(json);
	for (size_t i = 0; i < asked->filters.count; i++) {
		const struct argument *filter = &asked->arguments.items[asked->filters.items[i]];

		json_member_string(json, filter->name, filter->value);
	}
	json_object_end(json);
	json_object_end(json);
}

/* Where an answer that took too long broke off: the id of no event, but one to go on from. */
static void cut_id(const struct query *query, const struct query_result *result,
		   char text[EVENT_ID_SIZE])
{
	struct event_id id = { .boot = result->cut_boot ? result->cut_boot
							: clock_boot_epoch_seconds() };

	if (query->ascending) {
		id.timestamp = result->cut_at - 1;
		id.stream = UINT16_MAX;
		id.index = UINT32_MAX;
	} else {
		id.timestamp = result->cut_at + 1;
	}
	event_id_format(&id, text);
}

/* The id to go on from, or "" at the end. */
static void next_id(const struct question *question, const struct query_result *result,
		    char text[EVENT_ID_SIZE])
{
	text[0] = '\0';
	if (result->cut) {
		cut_id(&question->query, result, text);
		return;
	}
	if (result->more && result->count) {
		const struct event *last = &result->events[result->count - 1];
		const struct event_id id = event_id_of(
			last, &(struct encoding){ .boot_epoch = clock_boot_epoch_seconds() });

		event_id_format(&id, text);
	}
}

static void write_json(struct answer *answer, const struct question *question,
		       const struct asked *asked, const struct query_result *result,
		       const struct encoding *encoding)
{
	uint64_t lost = question_lost(question);
	char next[EVENT_ID_SIZE];
	struct json json;

	next_id(question, result, next);
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_key(&json, "events");
	json_array_begin(&json);
	for (size_t i = 0; i < result->count; i++)
		event_encode_json(&result->events[i], encoding, &json);
	json_array_end(&json);
	json_member_u64(&json, "count", result->count);
	json_member_u64(&json, "total_count", result->total);
	json_key(&json, "query");
	write_query(&json, question, asked);
	answer_query_time(&json);
	json_member_bool(&json, "complete", question_complete(question, lost));
	json_member_u64(&json, "lost", lost);
	question_write_partial(question, &json);
	json_member_string(&json, "next", next[0] ? next : NULL);
	json_object_end(&json);
}

/* Formats that have no room for it say in headers what the JSON answer says around its events. */
static void add_headers(struct answer *answer, const struct question *question,
			const struct query_result *result)
{
	uint64_t lost = question_lost(question);
	char next[EVENT_ID_SIZE];

	next_id(question, result, next);
	answer_header(answer, "X-Total-Count", "%llu", (unsigned long long)result->total);
	answer_header(answer, "X-Complete", "%s",
		      question_complete(question, lost) ? "true" : "false");
	answer_header(answer, "X-Partial", "%s", question->partial ? "true" : "false");
	answer_header(answer, "X-Lost", "%llu", (unsigned long long)lost);
	if (next[0])
		answer_header(answer, "X-Next", "%s", next);
}

static void write_ndjson(struct answer *answer, const struct query_result *result,
			 const struct encoding *encoding)
{
	answer->media_type = MEDIA_NDJSON;
	for (size_t i = 0; i < result->count; i++) {
		struct json json;

		json_init(&json, &answer->body);
		event_encode_json(&result->events[i], encoding, &json);
		buffer_append_char(&answer->body, '\n');
	}
}

static int write_csv(struct answer *answer, const struct question *question,
		     const struct query_result *result, const struct encoding *encoding)
{
	CLEANUP(csv_columns) struct csv_columns *columns = NULL;
	FREE const struct stream_schema **schemas = NULL;
	size_t count = 0;

	schemas = calloc(question->stream_count + 1, sizeof(*schemas));
	if (!schemas)
		return -ENOMEM;
	for (size_t i = 0; i < question->stream_count; i++) {
		if (!question->streams[i].out)
			schemas[count++] = question->streams[i].schema;
	}
	columns = csv_columns_new(schemas, count);
	if (!columns)
		return -ENOMEM;
	answer->media_type = MEDIA_CSV;
	csv_encode_header(columns, &answer->body);
	for (size_t i = 0; i < result->count; i++)
		event_encode_csv(&result->events[i], encoding, columns, &answer->body);
	return 0;
}

static int prepare(struct question *question, const struct asked *asked, struct answer *answer)
{
	const struct rule_value *values = asked->values;

	if (values[EVENTS_SINCE].given && values[EVENTS_UNTIL].given &&
	    values[EVENTS_SINCE].time > values[EVENTS_UNTIL].time)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"since\" must not be later than \"until\"");
	for (size_t i = 0; i < asked->filters.count; i++) {
		const struct argument *filter = &asked->arguments.items[asked->filters.items[i]];

		if (question_filter(question, filter->name, filter->value, answer) < 0)
			return -EINVAL;
	}
	question_window(question, values[EVENTS_SINCE].given ? values[EVENTS_SINCE].time : 0,
			values[EVENTS_UNTIL].given ? values[EVENTS_UNTIL].time : UINT64_MAX);
	if (values[EVENTS_AFTER].given)
		question_place(question, &values[EVENTS_AFTER].place, true);
	if (values[EVENTS_BEFORE].given)
		question_place(question, &values[EVENTS_BEFORE].place, false);
	question->query.ascending = !strcmp(orders[values[EVENTS_ORDER].choice], "asc");
	question->query.limit = asked->limit;
	question->query.want_total = true;
	return 0;
}

static int answer_events(struct request *request, struct asked *asked, struct answer *answer)
{
	__attribute__((cleanup(query_result_fini))) struct query_result result = { .count = 0 };
	QUESTION question = { .streams = NULL };
	struct rule_value *values = asked->values;
	struct encoding encoding;

	if (rules_read(events_rules, EVENTS_RULES, &asked->arguments, clock_real_ns(), values,
		       &asked->filters, answer) < 0)
		return -EINVAL;
	asked->limit = values[EVENTS_LIMIT].given ? (size_t)values[EVENTS_LIMIT].number
						  : LIMIT_DEFAULT;
	if (question_init(&question, request->api, values[EVENTS_TYPE].text, answer) < 0 ||
	    prepare(&question, asked, answer) < 0 || question_run(&question, &result, answer) < 0)
		return -EINVAL;

	answer->status = STATUS_OK;
	encoding = question_encoding(&question);
	encoding.integers_as_strings =
		!strcmp(integer_forms[values[EVENTS_INT64].choice], "string");
	switch ((enum format)values[EVENTS_FORMAT].choice) {
	case FORMAT_NDJSON:
		add_headers(answer, &question, &result);
		write_ndjson(answer, &result, &encoding);
		return 0;
	case FORMAT_CSV:
		add_headers(answer, &question, &result);
		return write_csv(answer, &question, &result, &encoding);
	default:
		write_json(answer, &question, asked, &result, &encoding);
		return 0;
	}
}

int events_get(struct request *request, struct answer *answer)
{
	struct asked asked = { .arguments = ARGUMENTS_INIT };
	int r = request_arguments(request, &asked.arguments, answer);

	if (!r)
		r = answer_events(request, &asked, answer);
	arguments_fini(&asked.arguments);
	return r;
}
