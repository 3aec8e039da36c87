/* SPDX-License-Identifier: MIT */
/* The second half of question.h: windows, places, and asking the store. */
#include <errno.h>
#include <string.h>

#include "api/question.h"
#include "base/clock.h"
#include "base/json.h"
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

/* The streams that take part, with their filters, to the query. */
static int select_streams(struct question *question)
{
	struct query *query = &question->query;

	free(query->streams);
	query->stream_count = 0;
	query->streams = calloc(question->stream_count ? question->stream_count : 1,
				sizeof(*query->streams));
	if (!query->streams)
		return -ENOMEM;
	for (size_t i = 0; i < question->stream_count; i++) {
		const struct question_stream *stream = &question->streams[i];

		if (!stream->out)
			query->streams[query->stream_count++] = (struct query_stream){
				.stream = stream->number,
				.filter = stream->filter,
			};
	}
	return 0;
}

int question_run(struct question *question, struct query_result *ret_result, struct answer *answer)
{
	if (select_streams(question) < 0 ||
	    query_run(api_store(question->api), &question->query, ret_result) < 0)
		return answer_out_of_memory(answer);
	question->partial |= ret_result->partial;
	question->damaged += ret_result->damaged;
	return 0;
}

int question_aggregate(struct question *question, struct aggregate *aggregate,
		       struct aggregate_result *ret_result, struct answer *answer)
{
	bool partial;

	if (select_streams(question) < 0)
		return answer_out_of_memory(answer);
	/* A second round begins with nothing, so it has a time of its own. */
	do {
		question->query.deadline = question_deadline(question->api);
		partial =
			!aggregate_add_store(aggregate, api_store(question->api), &question->query);
	} while (aggregate_again(aggregate));
	question->partial |= partial;
	if (aggregate_result(aggregate, ret_result) < 0)
		return answer_out_of_memory(answer);
	question->damaged += ret_result->damaged;
	return 0;
}

static void widen(uint64_t oldest, uint64_t newest, bool *any, uint64_t *ret_oldest,
		  uint64_t *ret_newest)
{
	if (!*any || oldest < *ret_oldest)
		*ret_oldest = oldest;
	if (!*any || newest > *ret_newest)
		*ret_newest = newest;
	*any = true;
}

bool question_span(const struct question *question, uint64_t *ret_oldest, uint64_t *ret_newest)
{
	struct history *history = pipeline_history(question->api->options.pipeline);
	bool any = false;

	for (size_t i = 0; i < question->stream_count; i++) {
		const size_t number = question->streams[i].number;
		const uint64_t to_real = (uint64_t)question->boot_to_real;
		struct store_figures figures;
		uint64_t oldest, newest;

		if (question->streams[i].out)
			continue;
		store_figures(api_store(question->api), number, &figures);
		if (figures.held)
			widen(figures.oldest + to_real, figures.newest + to_real, &any, ret_oldest,
			      ret_newest);
		if (history && history_span(history, number, &oldest, &newest))
			widen(oldest, newest, &any, ret_oldest, ret_newest);
	}
	return any;
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

void question_write_partial(const struct question *question, struct json *json)
{
	json_member_bool(json, "partial", question->partial);
	json_key(json, "reason");
	if (question->partial)
		json_printf(
			json,
			"the search was ended after %llu ms (--query-timeout): what is "
			"here is right, and not all; a shorter window, or more filters, take "
			"less",
			(unsigned long long)(question->api->options.query_timeout_ns / NS_PER_MS));
	else
		json_null(json);
}

bool question_complete(const struct question *question, uint64_t lost)
{
	uint64_t since, until;

	answered_window(&question->query, &since, &until);
	if (lost || question->partial || question->damaged ||
	    (question->must_record && !is_recording(question)))
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
