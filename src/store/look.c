/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "store/run.h"

#define MAX_WORDS (BLOCK_MAX_ROWS / 64)

/* ---- the best so far ---- */

static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (a->part->rank != b->part->rank)
		return a->part->rank < b->part->rank;
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

bool run_is_over(const struct run *run, const struct part *part, uint64_t best)
{
	if (run->held < run->keep)
		return false;
	if (!run->keep)
		return true;
	if (run->heap[0].part->rank != part->rank)
		return run->heap[0].part->rank < part->rank;
	return run->heap[0].time < best;
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

void run_sort(struct run *run)
{
	/* The worst goes to the end, again and again. */
	for (size_t left = run->held; left > 1; left--) {
		struct candidate worst = run->heap[0];

		sink(run->heap, left - 1, run->heap[left - 1]);
		run->heap[left - 1] = worst;
	}
}

/* ---- one block ---- */

static bool is_past_places(const struct part *part, uint64_t timestamp, uint64_t place)
{
	const struct query_place *after = part->after, *before = part->before;

	if (after && timestamp <= after->timestamp &&
	    (timestamp < after->timestamp ||
	     place <= ((uint64_t)after->stream << 32 | after->index)))
		return true;
	return before && timestamp >= before->timestamp &&
	       (timestamp > before->timestamp ||
		place >= ((uint64_t)before->stream << 32 | before->index));
}

/* The candidate that a row makes; false when it lies outside the places asked for. */
static bool row_candidate(const struct run *run, const struct part *part,
			  const struct segment *segment, uint32_t row,
			  struct candidate *ret_candidate)
{
	const uint64_t timestamp = segment_timestamp(segment, row);
	const uint64_t index = segment->first_index + row;
	const uint64_t place = (uint64_t)part->asked->stream << 32 | (uint32_t)index;

	if (is_past_places(part, timestamp, place) || index < part->asked->first ||
	    (part->asked->end && (index >= part->asked->end || part->clock)))
		return false;
	*ret_candidate = (struct candidate){
		.time = timestamp ^ run->flip,
		.place = place ^ run->flip,
		.index = index,
		.part = part,
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
			if (!row_candidate(run, part, segment, row, &candidate))
				continue;
			latest = candidate.time > latest ? candidate.time : latest;
			offer(run, segment, row, candidate);
		}
		/* Rows to come are earlier than this one by no more than the disorder. */
		if (latest > segment->disorder &&
		    run_is_over(run, part, latest - segment->disorder))
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

static void scan(struct run *run, const struct part *part, const struct segment *segment,
		 uint32_t rows, bool wanted)
{
	const struct filter *filter = &part->asked->filter;
	uint64_t bits[MAX_WORDS];

	run->result->blocks_scanned++;
	run->result->rows_scanned += rows;
	segment_filter(segment, filter, rows, bits);
	if (run->want_total) {
		segment_and_window(segment, part->since, part->until, rows, bits);
		run->result->total += count_bits(bits, rows);
	}
	if (!wanted)
		return;
	segment_and_window(segment, part->low, part->high, rows, bits);
	collect(run, part, segment, bits, rows);
}

/* An event that the answer shows may be among these. */
static bool is_wanted(const struct run *run, const struct part *part, uint64_t oldest,
		      uint64_t newest)
{
	return oldest <= part->high && newest >= part->low &&
	       !run_is_over(run, part, run->flip ? ~newest : oldest);
}

/* Counts rows without a look at them; false when that cannot be. */
static bool count_whole(struct run *run, const struct part *part, bool wanted, uint64_t oldest,
			uint64_t newest, uint32_t rows)
{
	if (wanted || part->asked->filter.count || oldest < part->since || newest > part->until)
		return false;
	if (run->want_total)
		run->result->total += rows;
	run->result->blocks_skipped++;
	return true;
}

static void look_at_segment(struct run *run, const struct part *part, const struct segment *segment,
			    uint32_t rows)
{
	const bool wanted = is_wanted(run, part, segment->oldest, segment->newest);

	if ((!wanted && !run->want_total) ||
	    (segment->block &&
	     block_excludes(segment->block, segment->schema, &part->asked->filter)))
		run->result->blocks_skipped++;
	else if (!count_whole(run, part, wanted, segment->oldest, segment->newest, rows))
		scan(run, part, segment, rows, wanted);
}

/* What the head of an archived block says is enough; a negative value when it cannot be read. */
static int look_at_head(struct run *run, const struct part *part, struct archive_session *session,
			const struct archive_item *item, bool whole)
{
	const struct filter *filter = &part->asked->filter;
	struct archive_head head;
	uint64_t rows = 0;
	int r;

	if (!filter->count)
		return 0;
	r = run->archive->head(session, item, part->asked->stream, &head);
	if (r < 0)
		return r;
	if (block_excludes(head.head, part->schema, filter))
		r = 1;
	else if (whole && item->oldest >= part->since && item->newest <= part->until &&
		 block_count(head.head, head.counts, part->schema, filter, &rows))
		r = 1;
	run->archive->release(session, head.head);
	run->result->total += rows;
	return r;
}

/* `rows`: those that count. */
static void look_at_archived(struct run *run, const struct part *part,
			     struct archive_session *session, const struct archive_item *item,
			     uint32_t rows)
{
	const bool wanted = is_wanted(run, part, item->oldest, item->newest);
	const struct block *block;
	struct segment segment;
	int r;

	if (!wanted && !run->want_total) {
		run->result->blocks_skipped++;
		return;
	}
	if (count_whole(run, part, wanted, item->oldest, item->newest, rows))
		return;
	r = look_at_head(run, part, session, item, !wanted && rows == item->rows);
	if (r > 0) {
		run->result->blocks_skipped++;
		return;
	}
	if (r == 0)
		r = run->archive->open(session, item, part->asked->stream, &block);
	if (r < 0) {
		run->result->damaged++;
		return;
	}
	segment = plan_segment(block, part->schema);
	look_at_segment(run, part, &segment, rows);
	run->archive->release(session, block);
}

/* A block that has left memory since the plan was made: by now it is archived, or nowhere. */
static void look_for_evicted(struct run *run, const struct part *part,
			     const struct archive_item *place)
{
	const uint64_t end = place->first_index + place->rows;
	FREE struct archive_item *items = NULL;
	struct archive_session *session;
	size_t count = 0;

	if (!run->session || run->archive->begin(run->query->archive, &session) < 0)
		return;
	plan_find_archived(run->archive, session, part->asked->stream, place, &items, &count);
	for (size_t i = 0; i < count; i++)
		look_at_archived(run, part, session, &items[i], plan_rows_before(&items[i], end));
	run->archive->end(session);
}

void run_look_at(struct run *run, const struct part *part, const struct plan_item *item)
{
	const struct archive_item *place = &item->place;
	struct segment segment;

	if (item->archived) {
		look_at_archived(run, part, run->session, place, place->rows);
		return;
	}
	if (!segment_pin(&run->store->streams[part->asked->stream], place->id, &segment)) {
		look_for_evicted(run, part, place);
		return;
	}
	/* What an open block got since does not count. */
	look_at_segment(run, part, &segment,
			place->rows < segment.count ? place->rows : segment.count);
	segment_unpin(&segment);
}
