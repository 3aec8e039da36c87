/* SPDX-License-Identifier: MIT */
/*
 * A question about events on its way from texts to the store: which streams take part, filters by
 * field name over all of them, a window in wall time, and what is known of the answer's
 * completeness.
 */
#ifndef API_QUESTION_H
#define API_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/answer.h"
#include "api/http.h"
#include "store/aggregate.h"
#include "store/query.h"

struct json;

/* One stream that was selected by its type. */
struct question_stream {
	uint16_t number;
	const struct stream_schema *schema;
	struct filter filter;
	bool out; /* lacks a field that is filtered on: takes no part */
};

struct question {
	struct api *api;
	struct question_stream *streams;
	size_t stream_count;
	int64_t boot_to_real;
	uint64_t damaged; /* blocks of the history that could not be read */
	bool must_record; /* the answer is complete only if one of the streams is being recorded */
	bool partial;	  /* the time for it was over before all was looked at (--query-timeout) */
	struct query query; /* streams are put there by question_run() */
};

#define QUESTION __attribute__((cleanup(question_fini))) struct question

/* All functions that take an answer return 0, or a negative value with the answer filled. */

/* Begins a question: what the rings hold is fetched first. `types`: a list of types, NULL for
 * all. */
int question_init(struct question *question, struct api *api, const char *types,
		  struct answer *answer);
/* The same for the one type that a report is about. When there are no such events at all, 503
 * says why, instead of a count that nobody counted. */
int question_init_report(struct question *question, struct api *api, const char *type,
			 struct answer *answer);
void question_fini(struct question *question);

/* The names of all fields that the selected streams have, or only of those that `fits` takes
 * (NULL: all), for messages; free(3). */
char *question_fields(const struct question *question, bool (*fits)(const struct field *field));

/* Adds a filter. A field that no selected stream has, and a value that none understands, are
 * errors that name the field. */
int question_filter(struct question *question, const char *field, const char *expression,
		    struct answer *answer);
/* Adds a filter for exactly this text, whatever characters it holds. */
int question_filter_text(struct question *question, const char *field, const char *text,
			 struct answer *answer);

/* Wall times in ns, both inclusive; a limit that is not meant is 0 or UINT64_MAX. */
void question_window(struct question *question, uint64_t since, uint64_t until);
/* Only events after, or before, this one. Ids of other boots are before or after everything. */
void question_place(struct question *question, const struct event_id *id, bool after);

/* Asks the store; may be called again after the query was changed. */
int question_run(struct question *question, struct query_result *ret_result, struct answer *answer);

/* Adds the events that pass the question up; the result belongs to the aggregate, which is new. */
int question_aggregate(struct question *question, struct aggregate *aggregate,
		       struct aggregate_result *ret_result, struct answer *answer);
/* Wall ns of the oldest and newest events that the question may be about, filters and window
 * aside; false when there are none. */
bool question_span(const struct question *question, uint64_t *ret_oldest, uint64_t *ret_newest);

/* When a search that begins now has to end (struct query). */
uint64_t question_deadline(const struct api *api);
/* "partial", and why. */
void question_write_partial(const struct question *question, struct json *json);

/* Events that were lost in the window, and whether the answer can hold all there were: nothing
 * was lost, nothing of the window has left the memory. */
uint64_t question_lost(const struct question *question);
bool question_complete(const struct question *question, uint64_t lost);

/* How events of this question's answers are written. */
struct encoding question_encoding(const struct question *question);

struct store *api_store(const struct api *api);
/* Streams that the server knows; those of one type stand for the layouts that it had. */
size_t api_stream_count(const struct api *api);
const struct stream_schema *api_stream_schema(const struct api *api, size_t stream);
/* No later stream has this type. */
bool api_stream_is_newest(const struct api *api, size_t stream);

#endif
