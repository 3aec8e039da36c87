/* SPDX-License-Identifier: MIT */
/*
 * Reading a history from another process than the server that writes it (several may, at the same
 * time): what was committed up to the begin of each session, at most the flush interval behind.
 * Nothing is written, but for SQLite's own index of the log (history.db-shm).
 */
#ifndef HISTORY_READER_H
#define HISTORY_READER_H

#include <stddef.h>

#include "base/memory.h"
#include "schema/schema.h"
#include "store/archive.h"

struct history_reader;

/* `directory`: --data-dir of the server. 0; -ENOENT when there is no history, -EINVAL when the file
 * is none of ours, -errno; with a line in `error`. */
int history_reader_open(const char *directory, struct history_reader **ret_reader, char *error,
			size_t error_size);
void history_reader_close(struct history_reader *reader);
DEFINE_CLEANUP(history_reader, history_reader_close)

/* For walk_run() and query_run(); lives as long as the reader. */
struct archive *history_reader_archive(struct history_reader *reader);

/* Streams are numbered below this; one that was never kept has no schema (NULL). A type has several
 * where its layout changed, the newest last. Streams that come later are seen when it is opened
 * again. */
size_t history_reader_stream_count(const struct history_reader *reader);
const struct stream_schema *history_reader_schema(const struct history_reader *reader,
						  size_t stream);

#endif
