/* SPDX-License-Identifier: MIT */
/*
 * The reading half: sessions on a database, with a few connections that are kept and the heads and
 * blocks that were read last. The server's vault shares the catalog with the writer; that of
 * another process reads the catalog anew for each session. Private to this folder. Any thread, but
 * a session is one thread's.
 */
#ifndef HISTORY_VAULT_H
#define HISTORY_VAULT_H

#include <pthread.h>
#include <stdatomic.h>

#include "history/cache.h"
#include "history/catalog.h"

struct connection;

struct vault {
	struct archive archive; /* first: a session finds the vault by it */
	char *path;		/* of the database */
	const char *boot_id;
	/* Server: guards the catalog and what is committed; readers until they are settled. NULL
	 * catalog: each session reads its own. */
	pthread_rwlock_t lock;
	struct catalog *catalog;

	struct arena *arena; /* of the schemas */
	_Atomic(const struct stream_schema *) schemas[STORE_MAX_STREAMS];
	_Atomic size_t stream_count;

	pthread_mutex_t pool_lock;
	struct connection *idle;
	size_t idle_count;
	unsigned int generation; /* of the file: another one after it was set aside */

	struct cache heads, blocks;
	/* Blocks that were found damaged, ever, and the last of them; under `pool_lock`. */
	uint64_t damaged, damaged_ids[256];
};

/* `path` is copied; the catalog is not taken and may be NULL. 0 or -ENOMEM. */
int vault_init(struct vault *vault, const char *path, const char *boot_id, struct catalog *catalog,
	       size_t cache_bytes);
void vault_fini(struct vault *vault); /* no session is left */

/* Reads the streams' schemas. Streams that cannot be read are counted. 0, -EBADMSG, -ENOMEM, … */
int vault_load_streams(struct vault *vault, sqlite3 *database, uint64_t *ret_damaged);

/* The file is another one: connections to the old one are closed when their sessions end. Under the
 * lock, for writing. */
void vault_renew(struct vault *vault);

/* Reads a block's parts out of a row of "head_sum,body_sum,disorder,head,body" from column `at` on;
 * valid until the statement moves. */
struct codec_parts vault_parts(sqlite3_stmt *statement, int at);

#endif
