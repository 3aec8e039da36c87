/* SPDX-License-Identifier: MIT */
/* GET /api/events/stream */
#include <errno.h>
#include <string.h>

#include "api/question.h"
#include "api/routes.h"
#include "api/source.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/sse.h"
#include "live/live.h"

static const char *const integer_forms[] = { "number", "string", NULL };

const struct rule stream_rules[STREAM_RULES] = {
	[STREAM_TYPE] = {
		.name = "type",
		.kind = RULE_LIST,
		.description = "Only events of these types; /api/schema lists them. Default: all, "
			       "also those that are added later.",
	},
	[STREAM_AFTER] = {
		.name = "after",
		.kind = RULE_PLACE,
		.description = "First what followed the event with this id, as far as it is in "
			       "memory. The header Last-Event-ID says the same and goes before it.",
	},
	[STREAM_INT64] = {
		.name = "int64",
		.kind = RULE_CHOICE,
		.choices = integer_forms,
		.description = "\"string\" writes 64-bit integers as JSON strings, for readers "
			       "that hold numbers as doubles (JavaScript) and would round those "
			       "past 2^53.",
	},
};

/* What was asked. */
struct asked {
	struct arguments arguments;
	struct rule_value values[STREAM_RULES];
	struct rule_others others;
	struct live_filter filters[ARGUMENTS_MAX];
	struct event_id after;
	bool resumes;
};

/* ---- the body ---- */

struct stream {
	struct live_client *client; /* NULL: nobody reads the body (HEAD) */
};

static ssize_t read_stream(void *context, char *data, size_t size)
{
	const struct stream *stream = context;
	ssize_t length = stream->client ? live_read(stream->client, data, size) : SOURCE_END;

	return length < 0 ? SOURCE_END : length;
}

static void free_stream(void *context)
{
	struct stream *stream = context;

	live_leave(stream->client);
	free(stream);
}

static const struct source_calls stream_calls = {
	.read = read_stream,
	.free = free_stream,
	.keep_alive = SSE_KEEP_ALIVE,
};

static void wake(void *context)
{
	source_wake(context);
}

/* ---- the question ---- */

static int read_after(const struct request *request, struct asked *asked, struct answer *answer)
{
	const struct rule_value *after = &asked->values[STREAM_AFTER];
	const char *last = request->last_event_id;

	asked->resumes = after->given;
	asked->after = after->place;
	/* A reader that has no id yet sends none, or an empty one. */
	if (!last || !last[0])
		return 0;
	asked->resumes = true;
	if (event_id_parse(last, &asked->after) < 0)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "header \"Last-Event-ID\": \"%.64s\" is no id of an event; "
				    "send one as it came, or none",
				    last);
	return 0;
}

/* Everything is tried once as /api/events does, so that the same things are refused in the same
 * words. */
static int check(const struct request *request, struct asked *asked, struct answer *answer)
{
	QUESTION question = { .streams = NULL };

	if (rules_read(stream_rules, STREAM_RULES, &asked->arguments, clock_real_ns(),
		       asked->values, &asked->others, answer) < 0 ||
	    read_after(request, asked, answer) < 0 ||
	    question_init(&question, request->api, asked->values[STREAM_TYPE].text, answer) < 0)
		return -EINVAL;
	for (size_t i = 0; i < asked->others.count; i++) {
		const struct argument *filter = &asked->arguments.items[asked->others.items[i]];

		if (question_filter(&question, filter->name, filter->value, answer) < 0)
			return -EINVAL;
		asked->filters[i] = (struct live_filter){ filter->name, filter->value };
	}
	return 0;
}

static int open_stream(struct request *request, const struct asked *asked, struct answer *answer)
{
	const struct rule_value *values = asked->values;
	const struct live_question question = {
		.types = values[STREAM_TYPE].text,
		.filters = asked->filters,
		.filter_count = asked->others.count,
		.integers_as_strings =
			!strcmp(integer_forms[values[STREAM_INT64].choice], "string"),
	};
	struct stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (!stream)
		return answer_out_of_memory(answer);
	r = source_open(request, answer, MEDIA_EVENT_STREAM, &stream_calls, stream);
	if (r < 0) {
		free(stream);
		return r;
	}
	if (request->method == METHOD_HEAD)
		return 0;
	r = live_join(request->api->live, &question, asked->resumes ? &asked->after : NULL, wake,
		      answer->source, &stream->client);
	return r < 0 ? answer_error(answer, STATUS_INTERNAL_SERVER_ERROR,
				    "events cannot be followed: %s", strerror(-r))
		     : 0;
}

int events_stream(struct request *request, struct answer *answer)
{
	FREE struct asked *asked = calloc(1, sizeof(*asked));
	int r;

	if (!asked)
		return answer_out_of_memory(answer);
	r = request_arguments(request, &asked->arguments, answer);
	if (!r)
		r = check(request, asked, answer);
	if (!r)
		r = open_stream(request, asked, answer);
	arguments_fini(&asked->arguments);
	return r;
}
