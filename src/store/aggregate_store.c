/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "store/aggregate_private.h"

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

bool aggregate_add_store(struct aggregate *aggregate, const struct store *store,
			 const struct query *query)
{
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
