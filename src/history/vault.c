/* SPDX-License-Identifier: MIT */
#include "history/vault.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/log.h"
#include "schema/serialise.h"

#define IDLE_MOST 4
#define USED_MOST 4
/* Beside the blocks, what of a block counts: see vault_parts(). */
#define BLOCK_COLUMNS "head_sum,body_sum,disorder,head,body"

struct connection {
	sqlite3 *database;
	sqlite3_stmt *begin, *look, *end, *head, *block;
	unsigned int generation;
	struct connection *next;
};

struct archive_session {
	struct vault *vault;
	struct connection *connection;
	const struct catalog *catalog;
	struct catalog own; /* of another process than the server */
	bool locked;
	struct used {
		struct cache *cache;
		struct cached *cached;
	} used[USED_MOST];
};

/* ---- connections ---- */

static void connection_free(struct connection *connection)
{
	if (!connection)
		return;
	sqlite3_finalize(connection->begin);
	sqlite3_finalize(connection->look);
	sqlite3_finalize(connection->end);
	sqlite3_finalize(connection->head);
	sqlite3_finalize(connection->block);
	sqlite3_close(connection->database);
	free(connection);
}
DEFINE_CLEANUP(connection, connection_free)

static int connect(const struct vault *vault, struct connection **ret_connection)
{
	CLEANUP(connection) struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection)
		return -ENOMEM;
	connection->generation = vault->generation;
	r = database_open(vault->path, DATABASE_READ, &connection->database);
	if (r == 0)
		r = database_prepare(connection->database, "BEGIN", &connection->begin);
	if (r == 0)
		r = database_prepare(connection->database, "SELECT 1 FROM boot LIMIT 1",
				     &connection->look);
	if (r == 0)
		r = database_prepare(connection->database, "COMMIT", &connection->end);
	if (r == 0)
		r = database_prepare(connection->database,
				     "SELECT head_sum,body_sum,disorder,head,length(body) "
				     "FROM block WHERE id=?",
				     &connection->head);
	if (r == 0)
		r = database_prepare(connection->database,
				     "SELECT " BLOCK_COLUMNS " FROM block WHERE id=?",
				     &connection->block);
	if (r < 0)
		return r;
	*ret_connection = TAKE(connection);
	return 0;
}

static struct connection *take_idle(struct vault *vault)
{
	struct connection *connection;

	pthread_mutex_lock(&vault->pool_lock);
	connection = vault->idle;
	if (connection) {
		vault->idle = connection->next;
		vault->idle_count--;
	}
	pthread_mutex_unlock(&vault->pool_lock);
	return connection;
}

static void give_back(struct vault *vault, struct connection *connection)
{
	pthread_mutex_lock(&vault->pool_lock);
	if (vault->idle_count < IDLE_MOST && connection->generation == vault->generation) {
		connection->next = vault->idle;
		vault->idle = TAKE(connection);
		vault->idle_count++;
	}
	pthread_mutex_unlock(&vault->pool_lock);
	connection_free(connection);
}

static int begin_reading(struct connection *connection)
{
	int r = database_step(connection->begin);

	/* The view is of the moment of the first look. */
	return r < 0 ? r : database_step(connection->look);
}

static void stop_reading(struct connection *connection)
{
	if (!sqlite3_get_autocommit(connection->database))
		database_step(connection->end);
}

/* ---- sessions ---- */

static void session_settle(struct archive_session *session)
{
	if (!session->locked)
		return;
	session->locked = false;
	pthread_rwlock_unlock(&session->vault->lock);
}

static void session_end(struct archive_session *session)
{
	if (!session)
		return;
	session_settle(session);
	for (size_t i = 0; i < USED_MOST; i++) {
		if (session->used[i].cached)
			cache_release(session->used[i].cache, session->used[i].cached);
	}
	if (session->connection) {
		stop_reading(session->connection);
		give_back(session->vault, session->connection);
	}
	catalog_fini(&session->own);
	free(session);
}
DEFINE_CLEANUP(archive_session, session_end)

static int read_own_catalog(struct archive_session *session)
{
	uint64_t senseless;
	int r = catalog_load(&session->own, session->connection->database, session->vault->boot_id,
			     &senseless);

	session->catalog = &session->own;
	/* What could be read is there. */
	return r == -EBADMSG ? 0 : r;
}

static int session_begin(struct archive *archive, struct archive_session **ret_session)
{
	struct vault *vault = (struct vault *)archive;
	CLEANUP(archive_session) struct archive_session *session = calloc(1, sizeof(*session));
	int r = 0;

	if (!session)
		return -ENOMEM;
	session->vault = vault;
	session->connection = take_idle(vault);
	if (vault->catalog) {
		pthread_rwlock_rdlock(&vault->lock);
		session->locked = true;
		session->catalog = vault->catalog;
	}
	if (!session->connection)
		r = connect(vault, &session->connection);
	if (r == 0)
		r = begin_reading(session->connection);
	if (r == 0 && !vault->catalog)
		r = read_own_catalog(session);
	if (r < 0)
		return r;
	*ret_session = TAKE(session);
	return 0;
}

static const struct archive_boot *session_boots(const struct archive_session *session,
						size_t *ret_count)
{
	*ret_count = session->catalog->boot_count;
	return session->catalog->boots;
}

static int session_list(struct archive_session *session, size_t boot, uint16_t stream,
			uint64_t since, uint64_t until, struct archive_item **ret_items,
			size_t *ret_count)
{
	return catalog_list(session->catalog, (uint32_t)boot, stream, since, until, ret_items,
			    ret_count);
}

static const struct stream_schema *session_schema(const struct archive_session *session,
						  uint16_t stream)
{
	return stream < STORE_MAX_STREAMS ? atomic_load(&session->vault->schemas[stream]) : NULL;
}

/* ---- blocks ---- */

static const struct block *use(struct archive_session *session, struct cache *cache,
			       struct cached *cached)
{
	for (size_t i = 0; i < USED_MOST; i++) {
		if (session->used[i].cached)
			continue;
		session->used[i] = (struct used){ cache, cached };
		return cached->block;
	}
	cache_release(cache, cached);
	return NULL;
}

static void session_release(struct archive_session *session, const struct block *block)
{
	for (size_t i = 0; i < USED_MOST; i++) {
		struct used *used = &session->used[i];

		if (!used->cached || used->cached->block != block)
			continue;
		cache_release(used->cache, used->cached);
		*used = (struct used){ .cache = NULL };
		return;
	}
}

struct codec_parts vault_parts(sqlite3_stmt *statement, int at)
{
	/* The pointer before the size: SQLite's order. */
	const void *head = sqlite3_column_blob(statement, at + 3);
	const void *body = sqlite3_column_blob(statement, at + 4);

	return (struct codec_parts){
		.head = head,
		.body = body,
		.head_size = (size_t)sqlite3_column_bytes(statement, at + 3),
		.body_size = (size_t)sqlite3_column_bytes(statement, at + 4),
		.head_sum = (uint32_t)database_column(statement, at),
		.body_sum = (uint32_t)database_column(statement, at + 1),
	};
}

/* What the statement is at, decoded. */
static int decode_row(sqlite3_stmt *statement, const struct stream_schema *schema, bool whole,
		      struct codec_place *place, struct block **ret_block)
{
	struct codec_parts parts = { .head = sqlite3_column_blob(statement, 3) };

	place->disorder = database_column(statement, 2);
	if (whole) {
		parts = vault_parts(statement, 0);
		return codec_decode(schema, place, &parts, ret_block);
	}
	parts.head_size = (size_t)sqlite3_column_bytes(statement, 3);
	parts.head_sum = (uint32_t)database_column(statement, 0);
	/* Of the body only the length was asked for: it is not read. */
	parts.body_size = (size_t)database_column(statement, 4);
	return codec_decode_head(schema, place, &parts, ret_block);
}

static int read_block(struct archive_session *session, const struct archive_item *item,
		      uint16_t stream, bool whole, struct block **ret_block)
{
	sqlite3_stmt *statement = whole ? session->connection->block : session->connection->head;
	const struct stream_schema *schema = session_schema(session, stream);
	struct codec_place place = {
		.boot = item->boot,
		.stream = stream,
		.first_index = item->first_index,
		.rows = item->rows,
		.oldest = item->oldest,
		.newest = item->newest,
	};
	int r;

	if (!schema)
		return -EBADMSG;
	database_bind(statement, 1, item->id);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		r = decode_row(statement, schema, whole, &place, ret_block);
	else
		r = r == SQLITE_DONE ? -EBADMSG : database_error(r);
	sqlite3_reset(statement);
	return r;
}

/* Whether this block is known to be damaged; each is counted once. */
static bool is_damaged(struct vault *vault, uint64_t id, bool found_now)
{
	const size_t known = sizeof(vault->damaged_ids) / sizeof(vault->damaged_ids[0]);
	bool found = false;

	pthread_mutex_lock(&vault->pool_lock);
	for (size_t i = 0; i < known && i < vault->damaged && !found; i++)
		found = vault->damaged_ids[i] == id;
	if (found_now && !found)
		vault->damaged_ids[vault->damaged++ % known] = id;
	pthread_mutex_unlock(&vault->pool_lock);
	return found;
}

static int get_block(struct archive_session *session, const struct archive_item *item,
		     uint16_t stream, bool whole, const struct block **ret_block)
{
	struct cache *cache = whole ? &session->vault->blocks : &session->vault->heads;
	struct cached *cached = cache_find(cache, item->id);
	struct block *block;
	int r;

	if (!cached) {
		if (is_damaged(session->vault, item->id, false))
			return -EBADMSG;
		r = read_block(session, item, stream, whole, &block);
		if (r == -EBADMSG)
			is_damaged(session->vault, item->id, true);
		if (r < 0)
			return r;
		cached = cache_add(cache, item->id, block);
		if (!cached)
			return -ENOMEM;
	}
	*ret_block = use(session, cache, cached);
	return *ret_block ? 0 : -ENOMEM;
}

static int session_head(struct archive_session *session, const struct archive_item *item,
			uint16_t stream, struct archive_head *ret_head)
{
	int r = get_block(session, item, stream, false, &ret_head->head);

	if (r == 0)
		ret_head->counts = codec_counts(ret_head->head);
	return r;
}

static int session_open(struct archive_session *session, const struct archive_item *item,
			uint16_t stream, const struct block **ret_block)
{
	return get_block(session, item, stream, true, ret_block);
}

static const struct archive_ops ops = {
	.begin = session_begin,
	.end = session_end,
	.settle = session_settle,
	.boots = session_boots,
	.list = session_list,
	.head = session_head,
	.open = session_open,
	.release = session_release,
	.schema = session_schema,
};

/* ---- the vault ---- */

int vault_init(struct vault *vault, const char *path, const char *boot_id, struct catalog *catalog,
	       size_t cache_bytes)
{
	pthread_rwlockattr_t attributes;

	*vault = (struct vault){ .archive = { &ops }, .boot_id = boot_id, .catalog = catalog };
	pthread_rwlockattr_init(&attributes);
	/* Questions must not keep the writer from committing. */
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&vault->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	pthread_mutex_init(&vault->pool_lock, NULL);
	vault->path = strdup(path);
	vault->arena = arena_new();
	if (!vault->path || !vault->arena || cache_init(&vault->heads, cache_bytes / 2) < 0 ||
	    cache_init(&vault->blocks, cache_bytes / 2) < 0)
		return -ENOMEM;
	return 0;
}

static void close_idle(struct vault *vault)
{
	struct connection *idle, *next;

	pthread_mutex_lock(&vault->pool_lock);
	idle = TAKE(vault->idle);
	vault->idle_count = 0;
	pthread_mutex_unlock(&vault->pool_lock);
	for (; idle; idle = next) {
		next = idle->next;
		connection_free(idle);
	}
}

void vault_fini(struct vault *vault)
{
	close_idle(vault);
	cache_fini(&vault->heads);
	cache_fini(&vault->blocks);
	arena_free(vault->arena);
	free(vault->path);
	pthread_rwlock_destroy(&vault->lock);
	pthread_mutex_destroy(&vault->pool_lock);
}

void vault_renew(struct vault *vault)
{
	pthread_mutex_lock(&vault->pool_lock);
	vault->generation++;
	pthread_mutex_unlock(&vault->pool_lock);
	close_idle(vault);
	cache_clear(&vault->heads);
	cache_clear(&vault->blocks);
}

static int load_stream(struct vault *vault, sqlite3_stmt *statement)
{
	const uint64_t number = database_column(statement, 0);
	const char *name = (const char *)sqlite3_column_text(statement, 1);
	const void *bytes = sqlite3_column_blob(statement, 2);
	const size_t size = (size_t)sqlite3_column_bytes(statement, 2);
	const struct stream_schema *schema;
	int r;

	if (number >= STORE_MAX_STREAMS || !bytes || !name ||
	    crc32_z(0, bytes, size) != database_column(statement, 3))
		return -EBADMSG;
	r = stream_schema_parse(vault->arena, bytes, size, &schema);
	if (r < 0)
		return r;
	if (strcmp(schema->name, name) != 0)
		return -EBADMSG;
	atomic_store(&vault->schemas[number], schema);
	if (number >= atomic_load(&vault->stream_count))
		atomic_store(&vault->stream_count, number + 1);
	return 0;
}

int vault_load_streams(struct vault *vault, sqlite3 *database, uint64_t *ret_damaged)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE, r;

	*ret_damaged = 0;
	r = database_prepare(database, "SELECT number,name,schema,checksum FROM stream",
			     &statement);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		r = load_stream(vault, statement);
		if (r == -EBADMSG) {
			++*ret_damaged;
			r = 0;
		}
	}
	return r < 0 ? r : database_error(code);
}
