/* SPDX-License-Identifier: MIT */
/*
 * First a plan: for each stream and boot the blocks that touch the window, with their times, in
 * memory or archived. Then the block that may hold the best event comes first, whatever its stream,
 * and its events go to a heap of the best so far; the end is reached when no block left may hold a
 * better one than the worst of them.
 *
 * "Better" is earlier in the order asked for. For newest first, times and places are inverted, so
 * that smaller is better in both orders; boots have a rank in that order.
 */
#include "store/query.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/run.h"

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
	free(result->boots);
	*result = (struct query_result){ .events = NULL };
}

/* ---- the plan ---- */

/* What a place in another boot means for this one; false: nothing here is asked for. */
static bool place_limit(const struct part *part, const struct query_place *place, bool is_after,
			const struct query_place **ret_limit)
{
	/* The running boot is the newest. */
	const uint64_t own = part->clock ? part->clock->epoch : UINT64_MAX;
	const uint64_t its = place->boot ? place->boot : UINT64_MAX;

	*ret_limit = NULL;
	if (!place->set)
		return true;
	if (its == own) {
		*ret_limit = place;
		return true;
	}
	return is_after ? its < own : its > own;
}

static void set_window(const struct run *run, struct part *part)
{
	const struct query *query = run->query;

	part->since = query->since;
	part->until = query->until;
	if (part->clock) {
		const __int128 since = (__int128)query->since_real - part->clock->to_real;
		const __int128 until = (__int128)query->until_real - part->clock->to_real;

		part->since = since < 0 ? 0 : (uint64_t)since;
		part->until = until < 0 ? 0 : (uint64_t)until;
		if (query->until_real == UINT64_MAX)
			part->until = UINT64_MAX;
	}
	part->low = part->since;
	part->high = part->until;
	if (!place_limit(part, &query->after, true, &part->after) ||
	    !place_limit(part, &query->before, false, &part->before)) {
		part->low = UINT64_MAX;
		part->high = 0;
		return;
	}
	if (part->after && part->after->timestamp > part->low)
		part->low = part->after->timestamp;
	if (part->before && part->before->timestamp < part->high)
		part->high = part->before->timestamp;
}

/* Leaves out what holds none of the places that are asked for. */
static void keep_places(const struct run *run, const struct query_stream *asked, struct plan *plan)
{
	size_t kept = 0;

	if (!asked->end || run->want_total)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		const struct archive_item *place = &plan->items[i].place;

		if (place->first_index < asked->end &&
		    place->first_index + place->rows > asked->first)
			plan->items[kept++] = plan->items[i];
	}
	plan->count = kept;
}

static void set_best(const struct run *run, struct plan *plan)
{
	struct plan_item *items = plan->items;

	for (size_t i = 0; run->flip && i < plan->count / 2; i++) {
		struct plan_item swap = items[i];

		items[i] = items[plan->count - 1 - i];
		items[plan->count - 1 - i] = swap;
	}
	for (size_t i = 0; i < plan->count; i++)
		items[i].best = run->flip ? ~items[i].place.newest : items[i].place.oldest;
	for (size_t i = plan->count; i > 1; i--) {
		if (items[i - 1].best < items[i - 2].best)
			items[i - 2].best = items[i - 1].best;
	}
}

/* Adds one stream in one boot, unless nothing of it takes part. */
static int plan_part(struct run *run, struct part part, bool running)
{
	const uint64_t since = run->want_total ? part.since : part.low;
	const uint64_t until = run->want_total ? part.until : part.high;
	int r;

	if (since > until)
		return 0;
	r = plan_make(&(struct plan_question){ .store = run->store,
					       .session = run->session,
					       .archive = run->archive,
					       .boot = part.boot,
					       .running = running,
					       .stream = part.asked->stream,
					       .since = since,
					       .until = until },
		      &part.plan);
	if (r < 0)
		return r;
	run->result->blocks_skipped += part.plan.skipped;
	keep_places(run, part.asked, &part.plan);
	if (!part.plan.count) {
		free(part.plan.items);
		return 0;
	}
	set_best(run, &part.plan);
	if (part.schema->record_size > run->stride)
		run->stride = part.schema->record_size;
	run->parts[run->part_count++] = part;
	return 0;
}

static int plan_boot(struct run *run, size_t boot, const struct event_boot *clock, uint32_t rank)
{
	for (size_t i = 0; i < run->query->stream_count; i++) {
		const struct query_stream *asked = &run->query->streams[i];
		struct part part = {
			.asked = asked,
			.schema = store_stream_schema(run->store, asked->stream),
			.clock = clock,
			.boot = boot,
			.rank = rank,
		};

		if (clock && plan_asks_for_addresses(part.schema, &asked->filter)) {
			run->result->damaged++;
			continue;
		}
		/* Places are those of the running boot. */
		if (clock && asked->end && !run->want_total)
			continue;
		set_window(run, &part);
		if (plan_part(run, part, !clock) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool has_earlier_boots(const struct query *query)
{
	return query->since_real || query->until_real;
}

/* Every boot in the order asked; without an archive there is the running one. */
static int plan_boots(struct run *run)
{
	const struct query *query = run->query;
	const struct archive_boot *boots = NULL;
	size_t count = 0, running;
	int r = 0;

	if (run->session)
		boots = run->archive->boots(run->session, &count);
	running = count;
	if (count && boots[count - 1].running)
		running = --count;
	if (!has_earlier_boots(query))
		count = 0;
	run->parts = calloc((count + 1) * query->stream_count + 1, sizeof(*run->parts));
	if (count)
		run->result->boots = calloc(count, sizeof(*run->result->boots));
	if (!run->parts || (count && !run->result->boots))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		run->result->boots[i] = boots[i].clock;
	for (size_t rank = 0; rank <= count && r == 0; rank++) {
		const size_t at = run->flip ? count - rank : rank;

		r = at == count ? plan_boot(run, running, NULL, (uint32_t)rank)
				: plan_boot(run, at, &run->result->boots[at], (uint32_t)rank);
	}
	return r;
}

static int plan(struct run *run)
{
	const struct query *query = run->query;
	size_t most = 0;

	if (query->archive) {
		run->archive = query->archive->ops;
		if (run->archive->begin(query->archive, &run->session) < 0) {
			run->session = NULL;
			run->result->damaged++;
		}
	}
	if (plan_boots(run) < 0)
		return -ENOMEM;
	if (run->session)
		run->archive->settle(run->session);
	for (size_t i = 0; i < run->part_count; i++) {
		for (size_t j = 0; j < run->parts[i].plan.count; j++)
			most += run->parts[i].plan.items[j].place.rows;
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

/* ---- the whole ---- */

/* The part whose next blocks may hold the best event; NULL when there is none that matters. */
static struct part *best_part(struct run *run)
{
	struct part *best = NULL;

	for (size_t i = 0; i < run->part_count; i++) {
		struct part *part = &run->parts[i];

		if (part->next == part->plan.count)
			continue;
		if (!best || part->rank < best->rank ||
		    (part->rank == best->rank &&
		     part->plan.items[part->next].best < best->plan.items[best->next].best))
			best = part;
	}
	if (best && !run->want_total && run_is_over(run, best, best->plan.items[best->next].best))
		return NULL;
	return best;
}

static bool is_behind(const struct run *run, const struct candidate *candidate)
{
	if (candidate->part->rank != run->bound_part->rank)
		return candidate->part->rank > run->bound_part->rank;
	return candidate->time >= run->bound;
}

/* What was not looked at may hold some that come before those found. Returns how many stay. */
static size_t cut(struct run *run, size_t count)
{
	const struct event_boot *clock = run->bound_part->clock;
	struct query_result *result = run->result;

	while (count && is_behind(run, &run->heap[count - 1]))
		count--;
	result->more = true;
	result->cut = true;
	result->cut_at = run->bound ^ run->flip;
	result->cut_boot = clock ? clock->epoch : 0;
	return count;
}

static int take_events(struct run *run)
{
	struct query_result *result = run->result;
	const bool over = result->partial && run_is_over(run, run->bound_part, run->bound);
	size_t count = run->held;

	run_sort(run);
	result->more = count > run->query->limit;
	count -= result->more;
	if (result->partial && !over)
		count = cut(run, count);
	/* Without events there is nothing to free. */
	if (!count) {
		free(TAKE(result->boots));
		return 0;
	}
	result->events = calloc(count, sizeof(*result->events));
	if (!result->events)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct candidate *candidate = &run->heap[i];

		result->events[i] = (struct event){
			.schema = candidate->part->schema,
			.record = candidate->record,
			.length = candidate->length,
			.stream = candidate->part->asked->stream,
			.index = candidate->index,
			.timestamp = candidate->time ^ run->flip,
			.boot = candidate->part->clock,
		};
	}
	result->count = count;
	result->memory = TAKE(run->memory);
	return 0;
}

static bool is_late(struct run *run, const struct part *next)
{
	const uint64_t best = next->plan.items[next->next].best;

	/* A place that was cut at lies one before, or behind, the time that it excludes. */
	if (!run->query->deadline ||
	    (next->rank == run->first_rank && (best <= run->first || best - run->first == 1)) ||
	    clock_boot_ns() < run->query->deadline)
		return false;
	run->bound = best;
	run->bound_part = next;
	run->result->partial = true;
	return true;
}

/* Where the search begins: before it nothing is wanted, or there. */
static void set_first(struct run *run, const struct part *part)
{
	const uint64_t best = part->plan.items[part->next].best;

	run->first = run->flip ? ~part->high : part->low;
	run->first_rank = part->rank;
	if (best > run->first)
		run->first = best;
}

static void run_fini(struct run *run)
{
	for (size_t i = 0; i < run->part_count; i++)
		free(run->parts[i].plan.items);
	if (run->session)
		run->archive->end(run->session);
	free(run->parts);
	free(run->heap);
	free(run->memory);
}

int query_run(const struct store *store, const struct query *query, struct query_result *ret_result)
{
	__attribute__((cleanup(query_result_fini))) struct query_result result = { .events = NULL };
	__attribute__((cleanup(run_fini))) struct run run = {
		.store = store,
		.query = query,
		.flip = query->ascending ? 0 : UINT64_MAX,
		.want_total = query->want_total || !query->limit,
		.result = &result,
	};
	struct part *part;

	if (plan(&run) < 0)
		return -ENOMEM;
	part = best_part(&run);
	if (part)
		set_first(&run, part);
	for (; part && !is_late(&run, part); part = best_part(&run))
		run_look_at(&run, part, &part->plan.items[part->next++]);
	if (take_events(&run) < 0)
		return -ENOMEM;
	*ret_result = result;
	result = (struct query_result){ .events = NULL };
	return 0;
}
