/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/clock.h"
#include "store/aggregate_private.h"
#include "store/walk.h"

/* What a stream holds at one moment: sealed blocks [head, tail), and so many open rows in block
 * `tail`. */
struct span {
	uint64_t head, tail;
	uint32_t open_rows;
};

static struct span span_of(const struct stream *stream)
{
	struct segment open = { .state = NULL };
	struct span span;

	/* Once the open rows are known, what is sealed before them is settled. */
	if (segment_pin_open(stream, &open)) {
		span.tail = open.number;
		segment_unpin(&open);
	} else {
		span.tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	}
	span.head = atomic_load_explicit(&stream->head, memory_order_acquire);
	span.open_rows = open.count;
	return span;
}

static bool take_spans(struct aggregate *aggregate, const struct store *store,
		       const struct query *query)
{
	aggregate->spans = calloc(query->stream_count + 1, sizeof(*aggregate->spans));
	for (size_t i = 0; aggregate->spans && i < query->stream_count; i++)
		aggregate->spans[i] = span_of(&store->streams[query->streams[i].stream]);
	return aggregate->spans;
}

static bool is_late(const struct query *query)
{
	return query->deadline && clock_boot_ns() >= query->deadline;
}

/* False when time was up. */
static bool add_stream(struct aggregate *aggregate, const struct stream *stream,
		       const struct span *span, const struct query *query,
		       const struct filter *filter)
{
	struct segment segment;

	for (uint64_t number = span->head; number <= span->tail; number++) {
		const uint32_t most = number < span->tail ? BLOCK_MAX_ROWS : span->open_rows;

		/* What is gone was evicted meanwhile. */
		if (!most || !segment_pin(stream, number, &segment))
			continue;
		aggregate_add(aggregate,
			      &(struct aggregate_piece){
				      .segment = &segment,
				      .to = segment.count < most ? segment.count : most,
				      .filter = filter,
				      .since = query->since,
				      .until = query->until,
				      .to_real = aggregate->options.encoding.boot_to_real,
			      });
		segment_unpin(&segment);
		if (is_late(query))
			return number + !span->open_rows >= span->tail;
	}
	return true;
}

/* ---- with an archive ---- */

struct adding {
	struct aggregate *aggregate;
	const struct query *query;
	bool begun;
};

static const struct filter *filter_of(const struct query *query, uint16_t stream)
{
	for (size_t i = 0; i < query->stream_count; i++) {
		if (query->streams[i].stream == stream)
			return &query->streams[i].filter;
	}
	return NULL;
}

static int add_piece(void *context, const struct walk_piece *piece)
{
	struct adding *adding = context;
	struct aggregate *aggregate = adding->aggregate;

	if (adding->begun && is_late(adding->query))
		return 1;
	adding->begun = true;
	aggregate_add(aggregate,
		      &(struct aggregate_piece){
			      .segment = piece->segment,
			      .from = piece->from,
			      .to = piece->to,
			      .filter = filter_of(adding->query, piece->stream),
			      .since = piece->since,
			      .until = piece->until,
			      .to_real = piece->boot ? piece->boot->to_real
						     : aggregate->options.encoding.boot_to_real,
			      .other_boot = piece->boot,
		      });
	return 0;
}

static bool add_everything(struct aggregate *aggregate, const struct store *store,
			   const struct query *query)
{
	FREE struct walk_stream *streams = calloc(query->stream_count + 1, sizeof(*streams));
	struct adding adding = { .aggregate = aggregate, .query = query };
	const struct walk walk = {
		.store = store,
		.archive = query->archive,
		.streams = streams,
		.stream_count = query->stream_count,
		.since = query->since_real,
		.until = query->until_real,
		.boot_to_real = aggregate->options.encoding.boot_to_real,
	};
	struct walk_report report = { .damaged = 0 };
	int r = -ENOMEM;

	for (size_t i = 0; streams && i < query->stream_count; i++)
		streams[i] =
			(struct walk_stream){ query->streams[i].stream, &query->streams[i].filter };
	if (streams)
		r = walk_run(&walk, add_piece, &adding, &report);
	aggregate->failed |= r < 0;
	aggregate->damaged = report.damaged;
	return r <= 0;
}

bool aggregate_add_store(struct aggregate *aggregate, const struct store *store,
			 const struct query *query)
{
	if (query->archive)
		return add_everything(aggregate, store, query);
	if (!aggregate->spans && !take_spans(aggregate, store, query)) {
		aggregate->failed = true;
		return true;
	}
	for (size_t i = 0; i < query->stream_count; i++) {
		if ((i && is_late(query)) ||
		    !add_stream(aggregate, &store->streams[query->streams[i].stream],
				&aggregate->spans[i], query, &query->streams[i].filter))
			return false;
	}
	return true;
}
