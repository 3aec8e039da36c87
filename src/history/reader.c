/* SPDX-License-Identifier: MIT */
#include "history/reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "history/vault.h"

#define CACHE_BYTES ((size_t)16 << 20)

struct history_reader {
	struct vault vault;
};

void history_reader_close(struct history_reader *reader)
{
	if (!reader)
		return;
	vault_fini(&reader->vault);
	free(reader);
}

static int load_streams(struct history_reader *reader)
{
	CLEANUP(sqlite3) sqlite3 *database = NULL;
	uint64_t damaged;
	int r = database_open(reader->vault.path, DATABASE_READ, &database);

	return r < 0 ? r : vault_load_streams(&reader->vault, database, &damaged);
}

int history_reader_open(const char *directory, struct history_reader **ret_reader, char *error,
			size_t error_size)
{
	CLEANUP(history_reader) struct history_reader *reader = calloc(1, sizeof(*reader));
	BUFFER text = BUFFER_INIT;
	FREE char *path = NULL;
	int r;

	buffer_printf(&text, "%s/%s", directory, HISTORY_FILE);
	path = buffer_take_string(&text);
	if (!reader || !path ||
	    vault_init(&reader->vault, path, clock_boot_id(), NULL, CACHE_BYTES) < 0) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	r = load_streams(reader);
	if (r < 0) {
		snprintf(error, error_size, "%s: %s", path,
			 r == -EBADMSG ? "is damaged, or no history of this version"
				       : strerror(-r));
		return r == -EBADMSG ? -EINVAL : r;
	}
	*ret_reader = TAKE(reader);
	return 0;
}

struct archive *history_reader_archive(struct history_reader *reader)
{
	return &reader->vault.archive;
}

size_t history_reader_stream_count(const struct history_reader *reader)
{
	return atomic_load(&reader->vault.stream_count);
}

const struct stream_schema *history_reader_schema(const struct history_reader *reader,
						  size_t stream)
{
	return stream < STORE_MAX_STREAMS ? atomic_load(&reader->vault.schemas[stream]) : NULL;
}
