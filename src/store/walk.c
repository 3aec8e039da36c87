/* SPDX-License-Identifier: MIT */
#include "store/walk.h"

#include <errno.h>

#include "store/plan.h"

struct walking {
	const struct walk *walk;
	const struct archive_ops *archive;
	struct archive_session *session; /* NULL: memory only */
	int (*piece)(void *context, const struct walk_piece *piece);
	void *context;
	struct walk_report report;
};

/* All plans are made before the first block is looked at (archive.h, settle()). */
struct leg {
	const struct walk_stream *asked;
	const struct event_boot *clock; /* NULL: the running boot */
	uint64_t since, until;
	struct plan plan;
};

struct route {
	struct leg *legs;
	size_t count;
};

static void route_fini(struct route *route)
{
	for (size_t i = 0; i < route->count; i++)
		free(route->legs[i].plan.items);
	free(route->legs);
}

static uint64_t to_boot(uint64_t real, int64_t to_real)
{
	const __int128 boot = (__int128)real - to_real;

	if (real == UINT64_MAX)
		return real;
	return boot < 0 ? 0 : (uint64_t)boot;
}

static bool is_refused(const struct walking *walking, const struct walk_stream *asked)
{
	const struct stream_schema *schema =
		walking->archive->schema(walking->session, asked->stream);

	return schema && plan_asks_for_addresses(schema, asked->filter);
}

static int add_boot(struct walking *walking, size_t boot, const struct archive_boot *archived,
		    struct route *route)
{
	const struct walk *walk = walking->walk;
	const bool running = !archived || archived->running;
	const int64_t to_real = running && walk->store ? walk->boot_to_real
						       : archived->clock.to_real;

	for (size_t i = 0; i < walk->stream_count; i++) {
		struct leg *leg = &route->legs[route->count];

		if (archived && !archived->running && walk->streams[i].filter &&
		    is_refused(walking, &walk->streams[i])) {
			walking->report.damaged++;
			continue;
		}
		*leg = (struct leg){
			.asked = &walk->streams[i],
			.clock = running && walk->store ? NULL : &archived->clock,
			.since = to_boot(walk->since, to_real),
			.until = to_boot(walk->until, to_real),
		};
		if (plan_make(&(struct plan_question){ .store = walk->store,
						       .session = walking->session,
						       .archive = walking->archive,
						       .boot = boot,
						       .running = running,
						       .stream = leg->asked->stream,
						       .since = leg->since,
						       .until = leg->until },
			      &leg->plan) < 0)
			return -ENOMEM;
		walking->report.skipped += leg->plan.skipped;
		route->count++;
	}
	return 0;
}

static int make_route(struct walking *walking, struct route *route)
{
	const struct walk *walk = walking->walk;
	const struct archive_boot *boots = NULL;
	size_t count = 0;
	int r = 0;

	if (walk->archive) {
		walking->archive = walk->archive->ops;
		r = walking->archive->begin(walk->archive, &walking->session);
		walking->report.damaged += r < 0;
	}
	if (walking->session)
		boots = walking->archive->boots(walking->session, &count);
	route->legs = calloc((count + 1) * walk->stream_count + 1, sizeof(*route->legs));
	if (!route->legs)
		return -ENOMEM;
	r = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_boot(walking, i, &boots[i], route);
	if (r == 0 && walk->store && !(count && boots[count - 1].running))
		r = add_boot(walking, count, NULL, route);
	if (walking->session)
		walking->archive->settle(walking->session);
	return r;
}

/* ---- on the way ---- */

static int give(struct walking *walking, const struct leg *leg, const struct segment *segment,
		uint32_t from, uint32_t to)
{
	const struct filter *filter = leg->asked->filter;

	if (segment->block && filter && block_excludes(segment->block, segment->schema, filter)) {
		walking->report.skipped++;
		return 0;
	}
	walking->report.blocks++;
	return walking->piece(walking->context, &(struct walk_piece){ .stream = leg->asked->stream,
								      .boot = leg->clock,
								      .segment = segment,
								      .from = from,
								      .to = to,
								      .since = leg->since,
								      .until = leg->until });
}

/* 0: not excluded; 1: excluded; negative: cannot be read. */
static int try_head(struct walking *walking, const struct leg *leg, struct archive_session *session,
		    const struct archive_item *item, const struct stream_schema *schema)
{
	struct archive_head head;
	int r;

	if (!leg->asked->filter || !leg->asked->filter->count)
		return 0;
	r = walking->archive->head(session, item, leg->asked->stream, &head);
	if (r < 0)
		return r;
	r = block_excludes(head.head, schema, leg->asked->filter);
	walking->archive->release(session, head.head);
	return r;
}

static int give_archived(struct walking *walking, const struct leg *leg,
			 struct archive_session *session, const struct archive_item *item,
			 uint32_t rows)
{
	const struct stream_schema *schema = walking->archive->schema(session, leg->asked->stream);
	const struct block *block;
	struct segment segment;
	int r = schema ? try_head(walking, leg, session, item, schema) : -EBADMSG;

	if (r > 0) {
		walking->report.skipped++;
		return 0;
	}
	if (r == 0)
		r = walking->archive->open(session, item, leg->asked->stream, &block);
	if (r < 0) {
		walking->report.damaged++;
		return 0;
	}
	segment = plan_segment(block, schema);
	r = give(walking, leg, &segment, 0, rows);
	walking->archive->release(session, block);
	return r;
}

/* A block that has left memory since the plan was made: by now it is archived, or nowhere. */
static int give_evicted(struct walking *walking, const struct leg *leg,
			const struct archive_item *place)
{
	const uint64_t end = place->first_index + place->rows;
	FREE struct archive_item *items = NULL;
	struct archive_session *session;
	size_t count = 0;
	int r;

	if (!walking->session || walking->archive->begin(walking->walk->archive, &session) < 0)
		return 0;
	r = plan_find_archived(walking->archive, session, leg->asked->stream, place, &items,
			       &count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = give_archived(walking, leg, session, &items[i],
				  plan_rows_before(&items[i], end));
	walking->archive->end(session);
	return r;
}

static int visit(struct walking *walking, const struct leg *leg, const struct plan_item *item)
{
	const struct archive_item *place = &item->place;
	struct segment segment;
	int r;

	if (item->archived)
		return give_archived(walking, leg, walking->session, place, place->rows);
	if (!segment_pin(&walking->walk->store->streams[leg->asked->stream], place->id, &segment))
		return give_evicted(walking, leg, place);
	r = give(walking, leg, &segment, 0,
		 place->rows < segment.count ? place->rows : segment.count);
	segment_unpin(&segment);
	return r;
}

int walk_run(const struct walk *walk, int (*piece)(void *context, const struct walk_piece *piece),
	     void *context, struct walk_report *ret_report)
{
	__attribute__((cleanup(route_fini))) struct route route = { .count = 0 };
	struct walking walking = { .walk = walk, .piece = piece, .context = context };
	int r = make_route(&walking, &route);

	for (size_t i = 0; i < route.count && r == 0; i++) {
		for (size_t j = 0; j < route.legs[i].plan.count && r == 0; j++)
			r = visit(&walking, &route.legs[i], &route.legs[i].plan.items[j]);
	}
	if (walking.session)
		walking.archive->end(walking.session);
	*ret_report = walking.report;
	return r;
}
