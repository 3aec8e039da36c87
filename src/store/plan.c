/* SPDX-License-Identifier: MIT */
#include "store/plan.h"

#include <errno.h>
#include <string.h>

/*
 * Memory is looked at before the archive: what leaves memory was archived before, or is nowhere
 * any more. What both have is taken from memory. Both cut a stream at the same places (the archive
 * also within the block that is open), so what overlaps is there twice, wholly.
 */
struct memory_view {
	struct segment_range *ranges; /* held, by place; also those outside the window */
	uint64_t *numbers;
	size_t count;
	uint64_t end; /* place after the last event that counts */
};

static void memory_view_fini(struct memory_view *view)
{
	free(view->ranges);
	free(view->numbers);
}

static int allocate_view(struct memory_view *view, size_t most)
{
	view->ranges = calloc(most, sizeof(*view->ranges));
	view->numbers = calloc(most, sizeof(*view->numbers));
	return view->ranges && view->numbers ? 0 : -ENOMEM;
}

static int look_into_memory(const struct stream *stream, struct memory_view *view)
{
	struct segment open = { .state = NULL };
	uint64_t head, tail;

	/* Once the open rows are known, what is sealed before them is settled. */
	if (segment_pin_open(stream, &open)) {
		tail = open.number;
		view->end = open.first_index + open.count;
		segment_unpin(&open);
	} else {
		view->end = atomic_load_explicit(&stream->appended, memory_order_acquire);
		tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	}
	head = atomic_load_explicit(&stream->head, memory_order_acquire);
	head = head < tail ? head : tail;
	if (allocate_view(view, tail - head + 1) < 0)
		return -ENOMEM;
	for (uint64_t number = head; number < tail; number++) {
		if (!segment_range(stream, number, &view->ranges[view->count]))
			continue;
		view->numbers[view->count++] = number;
	}
	if (open.count) {
		view->ranges[view->count] = (struct segment_range){ open.oldest, open.newest,
								    open.first_index, open.count };
		view->numbers[view->count++] = tail;
	}
	return 0;
}

static void add(struct plan *plan, bool archived, struct archive_item place, uint64_t since,
		uint64_t until)
{
	if (place.oldest > until || place.newest < since) {
		plan->skipped++;
		return;
	}
	plan->items[plan->count++] = (struct plan_item){ .archived = archived, .place = place };
}

static struct archive_item memory_place(const struct memory_view *view, size_t i)
{
	const struct segment_range *range = &view->ranges[i];

	return (struct archive_item){ view->numbers[i], range->first_index, range->oldest,
				      range->newest,	range->rows,	    0 };
}

/* Both lists are in the order of places. */
static void merge(const struct plan_question *question, const struct memory_view *view,
		  const struct archive_item *kept, size_t kept_count, struct plan *plan)
{
	size_t m = 0;

	for (size_t k = 0; k < kept_count; k++) {
		const uint64_t first = kept[k].first_index, end = first + kept[k].rows;

		while (m < view->count &&
		       view->ranges[m].first_index + view->ranges[m].rows <= first)
			add(plan, false, memory_place(view, m++), question->since, question->until);
		if (m < view->count && view->ranges[m].first_index < end)
			continue;
		/* Newer than the question. */
		if (question->running && question->store && first >= view->end)
			continue;
		add(plan, true, kept[k], question->since, question->until);
	}
	while (m < view->count)
		add(plan, false, memory_place(view, m++), question->since, question->until);
}

int plan_make(const struct plan_question *question, struct plan *ret_plan)
{
	__attribute__((cleanup(memory_view_fini))) struct memory_view view = { .count = 0 };
	FREE struct archive_item *kept = NULL;
	struct plan plan = { .count = 0 };
	size_t kept_count = 0;

	if (question->running && question->store &&
	    question->stream < store_stream_count(question->store) &&
	    look_into_memory(&question->store->streams[question->stream], &view) < 0)
		return -ENOMEM;
	if (question->session &&
	    question->archive->list(question->session, question->boot, question->stream,
				    question->since, question->until, &kept, &kept_count) < 0)
		return -ENOMEM;
	if (view.count + kept_count) {
		plan.items = calloc(view.count + kept_count, sizeof(*plan.items));
		if (!plan.items)
			return -ENOMEM;
		merge(question, &view, kept, kept_count, &plan);
	}
	*ret_plan = plan;
	return 0;
}

int plan_find_archived(const struct archive_ops *archive, struct archive_session *session,
		       uint16_t stream, const struct archive_item *place,
		       struct archive_item **ret_items, size_t *ret_count)
{
	const uint64_t end = place->first_index + place->rows;
	const struct archive_boot *boots;
	struct archive_item *items = NULL;
	size_t boot_count, count = 0, kept = 0;
	int r = 0;

	boots = archive->boots(session, &boot_count);
	if (boot_count && boots[boot_count - 1].running)
		r = archive->list(session, boot_count - 1, stream, place->oldest, place->newest,
				  &items, &count);
	archive->settle(session);
	for (size_t i = 0; i < count; i++) {
		if (items[i].first_index >= place->first_index && items[i].first_index < end)
			items[kept++] = items[i];
	}
	*ret_items = items;
	*ret_count = kept;
	return r;
}

struct segment plan_segment(const struct block *block, const struct stream_schema *schema)
{
	return (struct segment){
		.schema = schema,
		.block = block,
		.count = block->rows,
		.first_index = block->first_index,
		.oldest = block->oldest,
		.newest = block->newest,
		.disorder = block->disorder,
	};
}

bool plan_asks_for_addresses(const struct stream_schema *schema, const struct filter *filter)
{
	for (size_t p = 0; p < filter->count; p++) {
		const struct predicate *predicate = &filter->predicates[p];

		for (size_t a = 0; a < predicate->count; a++) {
			for (size_t t = 0; t < predicate->alternatives[a].count; t++) {
				const uint16_t field = predicate->alternatives[a].tests[t].field;

				if (schema->fields[field].kind == FIELD_SYMBOL)
					return true;
			}
		}
	}
	return false;
}
