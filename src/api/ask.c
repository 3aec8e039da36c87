/* SPDX-License-Identifier: MIT */
/* The second half of question.h: windows, places, and asking the store. */
#include <errno.h>
#include <string.h>

#include "api/question.h"
#include "base/clock.h"
#include "base/memory.h"
#include "history/history.h"

/* ---- window and places ---- */

static uint64_t real_to_boot(const struct question *question, uint64_t real)
{
	__int128 boot = (__int128)real - question->boot_to_real;

	if (boot < 0)
		return 0;
	return boot > UINT64_MAX ? UINT64_MAX : (uint64_t)boot;
}

void question_window(struct question *question, uint64_t since, uint64_t until)
{
	question->query.since = since ? real_to_boot(question, since) : 0;
	question->query.until = until == UINT64_MAX ? until : real_to_boot(question, until);
	question->query.since_real = since;
	question->query.until_real = until;
}

/* Without a history the boot time in seconds is derived from clocks and may differ by a second or
 * two from one process to the next; no machine boots twice within ten. */
#define SAME_BOOT_SECONDS 5

void question_place(struct question *question, const struct event_id *id, bool after)
{
	struct query_place *place = after ? &question->query.after : &question->query.before;
	uint64_t boot = clock_boot_epoch_seconds();

	*place = (struct query_place){
		.set = true,
		.timestamp = id->timestamp,
		.stream = id->stream,
		.index = id->index,
	};
	if (id->boot + SAME_BOOT_SECONDS < boot)
		place->boot = id->boot;
	else if (id->boot > boot + SAME_BOOT_SECONDS)
		*place = (struct query_place){
			.set = true,
			.timestamp = UINT64_MAX,
			.stream = UINT16_MAX,
			.index = UINT32_MAX,
		};
}

/* ---- the answer ---- */

int question_run(struct question *question, struct query_result *ret_result, struct answer *answer)
{
	struct query *query = &question->query;

	free(query->streams);
	query->stream_count = 0;
	query->streams = calloc(question->stream_count ? question->stream_count : 1,
				sizeof(*query->streams));
	if (!query->streams)
		return answer_out_of_memory(answer);
	for (size_t i = 0; i < question->stream_count; i++) {
		const struct question_stream *stream = &question->streams[i];

		if (!stream->out)
			query->streams[query->stream_count++] = (struct query_stream){
				.stream = stream->number,
				.filter = stream->filter,
			};
	}
	if (query_run(api_store(question->api), query, ret_result) < 0)
		return answer_out_of_memory(answer);
	question->damaged += ret_result->damaged;
	return 0;
}

/* One more predicate than the stream's own; what the predicates point to stays where it is. */
static int extend_filter(const struct question *question, const struct question_stream *stream,
			 const char *name, const char *expression, struct filter *extra,
			 struct filter *ret_filter)
{
	const struct field *field = stream_schema_field(stream->schema, name);
	struct predicate *predicates;
	bool unknown = false;
	char error[256];
	int r;

	if (!field)
		return -ENOENT;
	r = filter_add(extra, stream->schema, field, expression, question->api->options.symbols,
		       &unknown, error, sizeof(error));
	if (r < 0)
		return r;
	predicates = calloc(stream->filter.count + extra->count + 1, sizeof(*predicates));
	if (!predicates)
		return -ENOMEM;
	if (stream->filter.count)
		memcpy(predicates, stream->filter.predicates,
		       stream->filter.count * sizeof(*predicates));
	if (extra->count)
		memcpy(predicates + stream->filter.count, extra->predicates,
		       extra->count * sizeof(*predicates));
	ret_filter->predicates = predicates;
	ret_filter->count = stream->filter.count + extra->count;
	return 0;
}

static int count_in_stream(const struct question *question, const struct question_stream *stream,
			   const char *name, const char *expression, uint64_t *total,
			   uint64_t *damaged)
{
	__attribute__((cleanup(filter_fini))) struct filter extra = { .count = 0 };
	struct query_stream asked = { .stream = stream->number };
	struct query query = question->query;
	struct query_result result;
	int r;

	r = extend_filter(question, stream, name, expression, &extra, &asked.filter);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	query.streams = &asked;
	query.stream_count = 1;
	query.limit = 0;
	query.want_total = true;
	r = query_run(api_store(question->api), &query, &result);
	free(asked.filter.predicates);
	if (r < 0)
		return r;
	*total += result.total;
	*damaged += result.damaged;
	query_result_fini(&result);
	return 0;
}

int question_count(struct question *question, const char *field, const char *expression,
		   uint64_t *ret_total, struct answer *answer)
{
	uint64_t total = 0;

	for (size_t i = 0; i < question->stream_count; i++) {
		if (!question->streams[i].out &&
		    count_in_stream(question, &question->streams[i], field, expression, &total,
				    &question->damaged) < 0)
			return answer_out_of_memory(answer);
	}
	*ret_total = total;
	return 0;
}

/* The times of this boot that the answer speaks of: a cursor narrows the window. One in an earlier
 * boot leaves nothing of this one before it, and all after it. */
static void answered_window(const struct query *query, uint64_t *ret_since, uint64_t *ret_until)
{
	*ret_since = query->since;
	*ret_until = query->until;
	if (query->after.set && !query->after.boot && query->after.timestamp > query->since)
		*ret_since = query->after.timestamp;
	if (query->before.set && query->before.boot)
		*ret_until = 0;
	else if (query->before.set && query->before.timestamp < query->until)
		*ret_until = query->before.timestamp;
}

uint64_t question_lost(const struct question *question)
{
	uint64_t since, until, lost = 0;

	answered_window(&question->query, &since, &until);
	if (since > until)
		return 0;
	for (size_t i = 0; i < question->stream_count; i++) {
		if (!question->streams[i].out)
			lost += pipeline_lost_between(question->api->options.pipeline,
						      question->streams[i].number, since, until);
	}
	return lost;
}

/* Something of this stream that was there at `since` or later is neither in memory nor kept. */
static bool has_expired(const struct question *question, size_t stream, uint64_t since)
{
	const struct api *api = question->api;
	struct history *history = pipeline_history(api->options.pipeline);
	struct store_figures figures;
	struct ledger ledger;

	if (history)
		return !history_is_complete(history, stream, since,
					    since > question->query.since
						    ? since + (uint64_t)question->boot_to_real
						    : question->query.since_real);
	store_figures(api_store(api), stream, &figures);
	if (figures.expired && figures.expired_until >= since)
		return true;
	/* What the ledger counts besides went with an earlier server process. */
	return since < api->started &&
	       pipeline_ledger(api->options.pipeline, stream, &ledger) == 0 &&
	       ledger.expired > figures.expired;
}

static bool is_recording(const struct question *question)
{
	for (size_t i = 0; i < question->stream_count; i++) {
		struct stream_view view;

		if (pipeline_stream_view(question->api->options.pipeline,
					 question->streams[i].number, &view) == 0 &&
		    view.active)
			return true;
	}
	return false;
}

bool question_complete(const struct question *question, uint64_t lost)
{
	uint64_t since, until;

	answered_window(&question->query, &since, &until);
	if (lost || question->damaged || (question->must_record && !is_recording(question)))
		return false;
	for (size_t i = 0; i < question->stream_count; i++) {
		if (!question->streams[i].out &&
		    has_expired(question, question->streams[i].number, since))
			return false;
	}
	return true;
}

struct encoding question_encoding(const struct question *question)
{
	return (struct encoding){
		.boot_to_real = question->boot_to_real,
		.boot_epoch = clock_boot_epoch_seconds(),
		.symbols = question->api->options.symbols,
	};
}
