/* SPDX-License-Identifier: MIT */
/* Sources that the HTTP library sends. */
#include <microhttpd.h>

#include "api/source_internal.h"

/* What a client is sent at once: memory of its own as long as it is there. */
#define PIECE_BYTES 4096

void library_resume(struct source *source)
{
	MHD_resume_connection(source->connection);
}

/* The library calls it whenever the client can take something. */
static ssize_t read_source(void *context, uint64_t position, char *data, size_t size)
{
	struct source *source = context;
	int reading = SOURCE_READING;
	ssize_t length;

	(void)position;
	atomic_store(&source->state, SOURCE_READING);
	length = source_read(source, data, size);
	if (length > 0)
		return length;
	if (length < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	/* In this order: who wakes it from here on finds it suspended. */
	MHD_suspend_connection(source->connection);
	if (!atomic_compare_exchange_strong(&source->state, &reading, SOURCE_WAITING))
		MHD_resume_connection(source->connection);
	return 0;
}

static void free_source(void *context)
{
	source_discard(context);
}

struct MHD_Response *source_response(struct source *source, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, PIECE_BYTES, read_source, source, free_source);

	if (!response) {
		source_discard(source);
		return NULL;
	}
	/* No chunks: the end of the connection is the end of the stream. */
	MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  (unsigned int)SOURCE_PATIENCE_SECONDS);
	source->connection = connection;
	if (info) {
		source->socket = info->connect_fd;
		source_watch(source, 0);
	}
	return response;
}
