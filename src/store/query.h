/* SPDX-License-Identifier: MIT */
/*
 * Questions to the store: which events of these streams pass these filters in this window, newest
 * (or oldest) first, after this place, at most so many, and how many there are in all. Works on
 * columns where blocks are sealed and on rows where they are open; whole blocks are skipped by
 * their summaries. Exact: an order by (timestamp, stream, place) holds even where the records of
 * several CPUs arrived slightly out of order. Where memory ends an archive goes on
 * (store/archive.h), into earlier boots too, in one order. Any thread.
 */
#ifndef STORE_QUERY_H
#define STORE_QUERY_H

#include "schema/encode.h"
#include "schema/filter.h"
#include "store/archive.h"
#include "store/store.h"

/* One stream's part in a question; a stream comes at most once. */
struct query_stream {
	uint16_t stream;
	struct filter filter; /* owned by the query */
	/* Only events at these places of the running boot, `end` not included; an end of 0 is no
	 * limit. Like the places below, they do not bear on the total. */
	uint64_t first, end;
};

struct query_place {
	bool set;
	uint64_t boot; /* epoch of an earlier boot; 0: the running one */
	uint64_t timestamp;
	uint16_t stream;
	uint32_t index; /* low 32 bits of the place in the stream */
};

struct query {
	struct query_stream *streams; /* heap, owned by the query */
	size_t stream_count;
	uint64_t since, until; /* boot ns, both inclusive; 0 and UINT64_MAX for no limit */
	/* The same window in wall ns, for earlier boots of the archive. Both 0: they take no
	 * part. */
	uint64_t since_real, until_real;
	struct archive *archive; /* NULL: only what is in memory */
	/* Only events strictly later / earlier, in the order of time, than this place. */
	struct query_place after, before;
	bool ascending;
	size_t limit;	 /* 0: count only */
	bool want_total; /* also count every event that passes since/until and filters (places are
			  * not looked at); with limit 0 this is so anyway */
	/* Boot ns; 0: none. When it has passed the answer is what was found by then. It always gets
	 * further than where it began, so that who goes on from there comes to the end. */
	uint64_t deadline;
};

void query_fini(struct query *query);

struct query_result {
	struct event *events; /* in the order asked; records are copies owned by the result */
	size_t count;
	uint64_t total; /* with want_total */
	bool more;	/* there are events past the last one, or may be */
	/* The deadline passed before all was looked at: the total is what was counted. */
	bool partial;
	/* And the events are those up to this time (ns since that boot, exclusive) in the order
	 * asked, without a gap: to go on from there. */
	bool cut;
	uint64_t cut_at;
	uint64_t cut_boot; /* as in struct query_place */
	/* Blocks of the archive that could not be read, and earlier boots that could not be asked
	 * (about addresses of kernel code): not all are there. */
	uint64_t damaged;
	uint8_t *memory;
	struct event_boot *boots; /* what events of earlier boots point to */
	/* What it took, for tests and figures. */
	uint64_t blocks_skipped, blocks_scanned, rows_scanned;
};

/* Looks at what was published before the call. Returns 0 or -ENOMEM. */
int query_run(const struct store *store, const struct query *query,
	      struct query_result *ret_result);
void query_result_fini(struct query_result *result);

/*
 * A reader's own place in the store, for sinks that follow it (standard output, live streams). Each
 * call gives the next events of all streams, in arrival order per stream, and says how many were
 * evicted before this reader came to them. One thread at a time.
 */
struct follower;
/* From the oldest event that is held, or from what is published after now. NULL when out of
 * memory. */
struct follower *follower_new(const struct store *store, bool from_now);
void follower_free(struct follower *follower);
DEFINE_CLEANUP(follower, follower_free)
/* Calls `event` for at most `limit` new events; their records are valid during the call. Returns
 * how many, and adds to `*missed` what was lost to this reader. Fewer than `limit` means that it
 * has caught up. */
size_t follower_read(struct follower *follower, size_t limit,
		     void (*event)(void *context, const struct event *event), void *context,
		     uint64_t *missed);

/*
 * The same by runs of events, for followers that look at many events at once. A batch is some
 * events of one stream, next to one another; valid during the call that hands it on.
 */
struct segment;
struct event_batch {
	const struct stream_schema *schema;
	uint16_t stream;
	uint64_t missed; /* so many events before its first one were evicted unseen */
	uint64_t first_index;
	uint32_t count; /* at most BATCH_MAX_EVENTS; 0: there is only `missed` to tell */

	/* How to come to them. */
	const struct segment *segment;
	uint32_t from;
	uint8_t *record; /* room for one */
};
#define BATCH_MAX_EVENTS 8192
#define BATCH_WORDS (BATCH_MAX_EVENTS / 64)

/* Sets bit i of `bits` when event i passes; clears the others, the last word's rest too. */
void batch_filter(const struct event_batch *batch, const struct filter *filter, uint64_t *bits);
/* Event i; its record is valid until the next call for this batch. */
void batch_event(const struct event_batch *batch, uint32_t i, struct event *ret_event);

/* Hands on at most `limit` new events. Returns how many; fewer than `limit`: it has caught up. */
size_t follower_read_batches(struct follower *follower, size_t limit,
			     void (*take)(void *context, const struct event_batch *batch),
			     void *context);
/* The place in this stream of the event that it would be given next. */
uint64_t follower_position(const struct follower *follower, size_t stream);
/* Passes over what is published now, without a word of what was missed. */
void follower_skip(struct follower *follower);

#endif
