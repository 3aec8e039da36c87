/* SPDX-License-Identifier: MIT */
/*
 * First a plan: for each stream the blocks that touch the window, with their times. Then the block
 * that may hold the best event comes first, whatever its stream, and its events go to a heap of the
 * best so far; the end is reached when no block left may hold a better one than the worst of them.
 *
 * "Better" is earlier in the order asked for. For newest first, times and places are inverted, so
 * that smaller is better in both orders.
 */
#include "store/query.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/segment.h"

#define MAX_WORDS (BLOCK_MAX_ROWS / 64)

struct item {
	uint64_t number; /* of the block */
	uint32_t rows;	 /* that count: what an open block gets later does not */
	uint64_t best;	 /* time of the best event that this block or a later item may hold */
};

/* One stream of the question. */
struct part {
	const struct query_stream *asked;
	const struct stream *stream;
	struct item *items; /* in the order of looking */
	size_t count, next;
};

struct candidate {
	uint64_t time, place; /* as compared */
	uint64_t index;
	uint8_t *record;
	uint32_t length;
	uint16_t stream;
};

struct run {
	const struct store *store;
	const struct query *query;
	uint64_t flip;	    /* all ones for newest first */
	uint64_t low, high; /* times that candidates may have */
	bool want_total;
	struct part *parts;
	struct candidate *heap; /* the worst is on top */
	size_t keep, held;
	uint64_t first; /* time, as compared, before which nothing is wanted, or there */
	uint64_t bound; /* of a partial answer: from here on not all is known */
	uint8_t *memory;
	size_t stride;
	struct query_result *result;
};

void query_fini(struct query *query)
{
	for (size_t i = 0; i < query->stream_count; i++)
		filter_fini(&query->streams[i].filter);
	free(query->streams);
	query->streams = NULL;
	query->stream_count = 0;
}

void query_result_fini(struct query_result *result)
{
	free(result->events);
	free(result->memory);
	*result = (struct query_result){ .events = NULL };
}

/* ---- the plan ---- */

/* The times of block `number` as far as they count, or false when it need not be looked at. */
static bool consider(struct run *run, uint64_t oldest, uint64_t newest)
{
	const struct query *query = run->query;
	const uint64_t since = run->want_total ? query->since : run->low;
	const uint64_t until = run->want_total ? query->until : run->high;

	if (oldest <= until && newest >= since)
		return true;
	run->result->blocks_skipped++;
	return false;
}

/* Whether block `number` may hold places that are asked for. */
static bool may_hold_places(const struct run *run, const struct part *part, uint64_t number)
{
	const struct query_stream *asked = part->asked;
	struct segment segment;
	bool may;

	if (!asked->end || run->want_total)
		return true;
	if (!segment_pin_sealed(part->stream, number, &segment))
		return false;
	may = segment.first_index < asked->end &&
	      segment.first_index + segment.count > asked->first;
	segment_unpin(&segment);
	return may;
}

static void add_item(struct run *run, struct part *part, uint64_t number, uint32_t rows,
		     uint64_t oldest, uint64_t newest)
{
	if (!rows || !consider(run, oldest, newest))
		return;
	part->items[part->count++] = (struct item){
		.number = number,
		.rows = rows,
		.best = run->flip ? ~newest : oldest,
	};
}

static void reverse(struct item *items, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct item swap = items[i];

		items[i] = items[count - 1 - i];
		items[count - 1 - i] = swap;
	}
}

static int plan_part(struct run *run, struct part *part)
{
	const struct stream *stream = part->stream;
	struct segment open = { .state = NULL };
	uint64_t head, tail, oldest, newest;

	/* Once the open rows are known, what is sealed before them is settled. */
	if (segment_pin_open(stream, &open)) {
		tail = open.number;
		segment_unpin(&open);
	} else {
		tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	}
	head = atomic_load_explicit(&stream->head, memory_order_acquire);
	head = head < tail ? head : tail;
	part->items = calloc(tail - head + 1, sizeof(*part->items));
	if (!part->items)
		return -ENOMEM;
	for (uint64_t number = head; number < tail; number++) {
		if (segment_times(stream, number, &oldest, &newest) &&
		    may_hold_places(run, part, number))
			add_item(run, part, number, BLOCK_MAX_ROWS, oldest, newest);
	}
	add_item(run, part, tail, open.count, open.oldest, open.newest);

	if (run->flip)
		reverse(part->items, part->count);
	for (size_t i = part->count; i > 1; i--) {
		if (part->items[i - 1].best < part->items[i - 2].best)
			part->items[i - 2].best = part->items[i - 1].best;
	}
	return 0;
}

static int plan(struct run *run)
{
	const struct query *query = run->query;
	size_t most = 0;

	for (size_t i = 0; i < query->stream_count; i++) {
		struct part *part = &run->parts[i];

		part->asked = &query->streams[i];
		part->stream = &run->store->streams[part->asked->stream];
		if (plan_part(run, part) < 0)
			return -ENOMEM;
		for (size_t j = 0; j < part->count; j++)
			most += part->items[j].rows;
		if (part->stream->schema->record_size > run->stride)
			run->stride = part->stream->schema->record_size;
	}
	/* One more than asked for tells whether there are more. */
	run->keep = query->limit < most ? query->limit + 1 : most;
	run->keep = query->limit ? run->keep : 0;
	if (!run->keep)
		return 0;
	run->heap = calloc(run->keep, sizeof(*run->heap));
	run->memory = malloc(run->keep * run->stride);
	return run->heap && run->memory ? 0 : -ENOMEM;
}

/* ---- the best so far ---- */

static bool is_better(const struct candidate *a, const struct candidate *b)
{
	return a->time != b->time ? a->time < b->time : a->place < b->place;
}

static void sink(struct candidate *heap, size_t count, struct candidate candidate)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && is_better(&heap[child], &heap[child + 1]))
			child++;
		if (!is_better(&candidate, &heap[child]))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = candidate;
}

static void rise(struct candidate *heap, size_t at, struct candidate candidate)
{
	for (; at; at = (at - 1) / 2) {
		if (!is_better(&heap[(at - 1) / 2], &candidate))
			break;
		heap[at] = heap[(at - 1) / 2];
	}
	heap[at] = candidate;
}

/* No event of this time or a later one, in the order asked, is wanted any more. */
static bool is_over(const struct run *run, uint64_t best)
{
	return run->held == run->keep && (!run->keep || run->heap[0].time < best);
}

static void offer(struct run *run, const struct segment *segment, uint32_t row,
		  struct candidate candidate)
{
	const bool full = run->held == run->keep;

	if (full && !is_better(&candidate, &run->heap[0]))
		return;
	candidate.record = full ? run->heap[0].record : run->memory + run->held * run->stride;
	candidate.length = segment_record(segment, row, candidate.record);
	if (full)
		sink(run->heap, run->held, candidate);
	else
		rise(run->heap, run->held++, candidate);
}

/* ---- one block ---- */

static bool is_past_places(const struct query *query, uint64_t timestamp, uint64_t place)
{
	const struct query_place *after = &query->after, *before = &query->before;

	if (after->set && timestamp <= after->timestamp &&
	    (timestamp < after->timestamp ||
	     place <= ((uint64_t)after->stream << 32 | after->index)))
		return true;
	return before->set && timestamp >= before->timestamp &&
	       (timestamp > before->timestamp ||
		place >= ((uint64_t)before->stream << 32 | before->index));
}

/* The candidate that a row makes; false when it lies outside the places asked for. */
static bool row_candidate(const struct run *run, const struct segment *segment,
			  const struct query_stream *asked, uint32_t row,
			  struct candidate *ret_candidate)
{
	const uint64_t timestamp = segment_timestamp(segment, row);
	const uint64_t index = segment->first_index + row;
	const uint64_t place = (uint64_t)asked->stream << 32 | (uint32_t)index;

	if (is_past_places(run->query, timestamp, place) || index < asked->first ||
	    (asked->end && index >= asked->end))
		return false;
	*ret_candidate = (struct candidate){
		.time = timestamp ^ run->flip,
		.place = place ^ run->flip,
		.index = index,
		.stream = asked->stream,
	};
	return true;
}

/* Offers the rows of `bits` in the order asked, until those left are all too late. */
static void collect(struct run *run, const struct part *part, const struct segment *segment,
		    const uint64_t *bits, uint32_t rows)
{
	const size_t words = block_bitmap_words(rows);
	struct candidate candidate;
	uint64_t latest = 0;

	for (size_t i = 0; i < words; i++) {
		const size_t word = run->flip ? words - 1 - i : i;

		for (uint64_t left = bits[word]; left;) {
			const int bit = run->flip ? 63 - __builtin_clzll(left)
						  : __builtin_ctzll(left);
			const uint32_t row = (uint32_t)(64 * word) + (uint32_t)bit;

			left &= ~(1ULL << bit);
			if (!row_candidate(run, segment, part->asked, row, &candidate))
				continue;
			latest = candidate.time > latest ? candidate.time : latest;
			offer(run, segment, row, candidate);
		}
		/* Rows to come are earlier than this one by no more than the disorder. */
		if (latest > segment->disorder && is_over(run, latest - segment->disorder))
			return;
	}
}

static uint64_t count_bits(const uint64_t *bits, uint32_t rows)
{
	uint64_t count = 0;

	for (size_t i = 0; i < block_bitmap_words(rows); i++)
		count += (uint64_t)__builtin_popcountll(bits[i]);
	return count;
}

static bool lies_within(const struct segment *segment, uint64_t low, uint64_t high)
{
	return segment->oldest >= low && segment->newest <= high;
}

/* Clears the rows outside [low, high]. */
static void and_window(const struct segment *segment, uint64_t low, uint64_t high, uint32_t rows,
		       uint64_t *bits)
{
	uint64_t window[MAX_WORDS];

	if (lies_within(segment, low, high))
		return;
	if (segment->block)
		block_filter_time(segment->block, segment->schema, low, high, 0, rows, window);
	else
		rows_filter_time(&segment->rows, segment->schema, low, high, 0, rows, window);
	for (size_t i = 0; i < block_bitmap_words(rows); i++)
		bits[i] &= window[i];
}

static void scan(struct run *run, const struct part *part, const struct segment *segment,
		 uint32_t rows, bool wanted)
{
	const struct query *query = run->query;
	const struct filter *filter = &part->asked->filter;
	uint64_t bits[MAX_WORDS];

	if (!wanted && !filter->count && lies_within(segment, query->since, query->until)) {
		run->result->total += rows;
		run->result->blocks_skipped++;
		return;
	}
	run->result->blocks_scanned++;
	run->result->rows_scanned += rows;
	if (segment->block)
		block_filter(segment->block, segment->schema, filter, 0, rows, bits);
	else
		rows_filter(&segment->rows, segment->schema, filter, 0, rows, bits);
	if (run->want_total) {
		and_window(segment, query->since, query->until, rows, bits);
		run->result->total += count_bits(bits, rows);
	}
	if (!wanted)
		return;
	and_window(segment, run->low, run->high, rows, bits);
	collect(run, part, segment, bits, rows);
}

static void look_at(struct run *run, const struct part *part, const struct item *item)
{
	struct segment segment;
	uint32_t rows;
	bool wanted;

	if (!segment_pin(part->stream, item->number, &segment))
		return; /* evicted since */
	rows = item->rows < segment.count ? item->rows : segment.count;
	wanted = segment.oldest <= run->high && segment.newest >= run->low &&
		 !is_over(run, run->flip ? ~segment.newest : segment.oldest);
	if ((!wanted && !run->want_total) ||
	    (segment.block && block_excludes(segment.block, segment.schema, &part->asked->filter)))
		run->result->blocks_skipped++;
	else
		scan(run, part, &segment, rows, wanted);
	segment_unpin(&segment);
}

/* ---- the whole ---- */

/* The stream whose next blocks may hold the best event; NULL when there is none that matters. */
static struct part *best_part(struct run *run)
{
	struct part *best = NULL;

	for (size_t i = 0; i < run->query->stream_count; i++) {
		struct part *part = &run->parts[i];

		if (part->next < part->count &&
		    (!best || part->items[part->next].best < best->items[best->next].best))
			best = part;
	}
	if (best && !run->want_total && is_over(run, best->items[best->next].best))
		return NULL;
	return best;
}

/* What was not looked at may hold some that come before those found. Returns how many stay. */
static size_t cut(struct run *run, size_t count)
{
	struct query_result *result = run->result;

	while (count && run->heap[count - 1].time >= run->bound)
		count--;
	result->more = true;
	result->cut = true;
	result->cut_at = run->bound ^ run->flip;
	return count;
}

static int take_events(struct run *run)
{
	struct query_result *result = run->result;
	const bool over = is_over(run, run->bound);
	size_t count = run->held;

	/* The worst goes to the end, again and again: the heap becomes a sorted list. */
	for (size_t left = count; left > 1; left--) {
		struct candidate worst = run->heap[0];

		sink(run->heap, left - 1, run->heap[left - 1]);
		run->heap[left - 1] = worst;
	}
	result->more = count > run->query->limit;
	count -= result->more;
	if (result->partial && !over)
		count = cut(run, count);
	if (!count)
		return 0;
	result->events = calloc(count, sizeof(*result->events));
	if (!result->events)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct candidate *candidate = &run->heap[i];

		result->events[i] = (struct event){
			.schema = run->store->streams[candidate->stream].schema,
			.record = candidate->record,
			.length = candidate->length,
			.stream = candidate->stream,
			.index = candidate->index,
			.timestamp = candidate->time ^ run->flip,
		};
	}
	result->count = count;
	result->memory = TAKE(run->memory);
	return 0;
}

static bool is_late(struct run *run, const struct part *next)
{
	const uint64_t best = next->items[next->next].best;

	/* A place that was cut at lies one before, or behind, the time that it excludes. */
	if (!run->query->deadline || best <= run->first || best - run->first == 1 ||
	    clock_boot_ns() < run->query->deadline)
		return false;
	run->bound = best;
	run->result->partial = true;
	return true;
}

static void run_fini(struct run *run)
{
	for (size_t i = 0; run->parts && i < run->query->stream_count; i++)
		free(run->parts[i].items);
	free(run->parts);
	free(run->heap);
	free(run->memory);
}

int query_run(const struct store *store, const struct query *query, struct query_result *ret_result)
{
	struct query_result result = { .events = NULL };
	__attribute__((cleanup(run_fini))) struct run run = {
		.store = store,
		.query = query,
		.flip = query->ascending ? 0 : UINT64_MAX,
		.low = query->since,
		.high = query->until,
		.want_total = query->want_total || !query->limit,
		.result = &result,
	};
	struct part *part;

	if (query->after.set && query->after.timestamp > run.low)
		run.low = query->after.timestamp;
	if (query->before.set && query->before.timestamp < run.high)
		run.high = query->before.timestamp;
	run.parts = calloc(query->stream_count + 1, sizeof(*run.parts));
	if (!run.parts || plan(&run) < 0)
		return -ENOMEM;
	part = best_part(&run);
	run.first = run.flip ? ~run.high : run.low;
	if (part && part->items[part->next].best > run.first)
		run.first = part->items[part->next].best;
	for (; part && !is_late(&run, part); part = best_part(&run))
		look_at(&run, part, &part->items[part->next++]);
	if (take_events(&run) < 0)
		return -ENOMEM;
	*ret_result = result;
	return 0;
}
