/* SPDX-License-Identifier: MIT */
/* Streams: what programs' schemas add to the store, and the maps behind them. Control thread, but
 * for the views. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/internal.h"

static const char ledger_suffix[] = "_ledger";
static const size_t ledger_suffix_length = sizeof(ledger_suffix) - 1;

/* ---- streams of a schema ---- */

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	memory_close_fd(&stream->kernel.fd);
	free(stream->losses.entries);
	free(stream);
}

static struct stream *find_stream(const struct pipeline *pipeline, const char *name,
				  const struct stream_schema *same_as)
{
	size_t count = atomic_load(&pipeline->stream_count);

	for (size_t i = 0; i < count; i++) {
		struct stream *stream = pipeline_stream(pipeline, i);

		if (stream && strcmp(stream->schema->name, name) == 0 &&
		    (!same_as || stream_schema_same(stream->schema, same_as)))
			return stream;
	}
	return NULL;
}

/* A stream that the store knows from before this server, of which no program has spoken yet; or a
 * new one. */
static int store_stream(const struct pipeline *pipeline, const struct stream_schema *schema)
{
	const size_t count = store_stream_count(pipeline->store);

	for (size_t i = 0; i < count; i++) {
		const struct stream_schema *known = store_stream_schema(pipeline->store, i);

		if (!pipeline_stream(pipeline, i) && strcmp(known->name, schema->name) == 0 &&
		    stream_schema_same(known, schema))
			return (int)i;
	}
	return store_add_stream(pipeline->store, schema);
}

/* Places go on after those that an earlier server gave, also to events that went with it. */
static void go_on(const struct pipeline *pipeline, const struct stream *stream)
{
	const struct stream_account *account = stream->account;
	struct store_figures figures;

	store_figures(pipeline->store, stream->number, &figures);
	if (account->place_of == stream->number + 1 && account->next_place > figures.first)
		store_set_first_index(pipeline->store, stream->number, account->next_place);
}

static int add_stream(struct pipeline *pipeline, const struct stream_schema *schema,
		      uint32_t program)
{
	bool first = !find_stream(pipeline, schema->name, NULL);
	FREE struct stream *stream = calloc(1, sizeof(*stream));
	int number;

	if (!stream)
		return -ENOMEM;
	stream->schema = schema;
	stream->program = program;
	stream->account = ledger_account(pipeline, schema->name);
	if (!stream->account)
		return -ENOSPC;
	if (first)
		ledger_inherit(stream);
	number = store_stream(pipeline, schema);
	if (number < 0)
		return number;
	stream->number = (size_t)number;
	go_on(pipeline, stream);
	ledger_attach(pipeline, stream, LEDGER_SOURCE_NONE);
	atomic_store(&pipeline->streams[number], TAKE(stream));
	if (atomic_load(&pipeline->stream_count) <= (size_t)number)
		atomic_store(&pipeline->stream_count, (size_t)number + 1);
	return 0;
}

static bool schema_has(const struct program_schema *schema, const struct stream_schema *stream)
{
	for (size_t i = 0; i < schema->stream_count; i++) {
		if (strcmp(schema->streams[i].name, stream->name) == 0 &&
		    stream_schema_same(&schema->streams[i], stream))
			return true;
	}
	return false;
}

/* A type belongs to one program: while another one's ring of that name is read, it is refused. */
static int check_schema(const struct pipeline *pipeline, uint32_t program,
			const struct program_schema *schema, char *error, size_t error_size)
{
	size_t count = atomic_load(&pipeline->stream_count);

	if (schema->stream_count > PROGRAM_MAX_STREAMS ||
	    schema->parameter_count > PROGRAM_MAX_PARAMETERS) {
		snprintf(error, error_size,
			 "%zu event streams and %zu parameters: at most %d and %d are supported",
			 schema->stream_count, schema->parameter_count, PROGRAM_MAX_STREAMS,
			 PROGRAM_MAX_PARAMETERS);
		return -EINVAL;
	}
	for (size_t i = 0; i < schema->stream_count; i++) {
		const char *name = schema->streams[i].name;

		if (strlen(name) >= MESSAGE_NAME_SIZE) {
			snprintf(error, error_size,
				 "event stream \"%s\": the name is longer than %d characters", name,
				 MESSAGE_NAME_SIZE - 1);
			return -EINVAL;
		}
		for (size_t s = 0; s < count; s++) {
			const struct stream *stream = pipeline_stream(pipeline, s);

			if (stream && stream->source && stream->program != program &&
			    strcmp(stream->schema->name, name) == 0) {
				snprintf(error, error_size,
					 "event stream \"%s\" belongs to program %u already", name,
					 stream->program);
				return -EEXIST;
			}
		}
	}
	return maps_check(pipeline, program, schema, error, error_size);
}

int pipeline_register_schema(struct pipeline *pipeline, uint32_t program,
			     const struct program_schema *schema, char *error, size_t error_size)
{
	int rc = check_schema(pipeline, program, schema, error, error_size);

	if (rc)
		return rc;
	for (size_t i = 0; i < atomic_load(&pipeline->stream_count); i++) {
		struct stream *stream = pipeline_stream(pipeline, i);

		if (!stream || stream->program != program || schema_has(schema, stream->schema))
			continue;
		stream_detach(pipeline, stream);
		pthread_mutex_lock(&pipeline->registry);
		stream->superseded = true;
		pthread_mutex_unlock(&pipeline->registry);
	}
	for (size_t i = 0; i < schema->stream_count; i++) {
		const struct stream_schema *wanted = &schema->streams[i];
		struct stream *stream = find_stream(pipeline, wanted->name, wanted);

		if (stream) {
			pthread_mutex_lock(&pipeline->registry);
			stream->program = program;
			stream->superseded = false;
			pthread_mutex_unlock(&pipeline->registry);
			continue;
		}
		rc = add_stream(pipeline, wanted, program);
		if (rc) {
			snprintf(error, error_size, "event stream \"%s\": %s", wanted->name,
				 rc == -ENOSPC ? "there are too many streams" : strerror(-rc));
			return rc;
		}
	}
	pthread_mutex_lock(&pipeline->registry);
	pipeline->programs[program]->schema = schema;
	pthread_mutex_unlock(&pipeline->registry);
	return 0;
}

/* ---- maps ---- */

/* The stream of this program that its object of now speaks of. */
static struct stream *current_stream(const struct pipeline *pipeline, uint32_t program,
				     const char *name, size_t name_length)
{
	size_t count = atomic_load(&pipeline->stream_count);

	for (size_t i = 0; i < count; i++) {
		struct stream *stream = pipeline_stream(pipeline, i);

		if (stream && stream->program == program && !stream->superseded &&
		    strlen(stream->schema->name) == name_length &&
		    memcmp(stream->schema->name, name, name_length) == 0)
			return stream;
	}
	return NULL;
}

static bool has_ledger(const struct stream *stream)
{
	return stream->kernel.fd >= 0 || stream->kernel.memory;
}

void stream_detach(struct pipeline *pipeline, struct stream *stream)
{
	struct source *source = stream->source;

	if (source) {
		reader_remove(pipeline, source);
		ring_close(&source->ring);
		free(source);
	}
	if (has_ledger(stream))
		ledger_detach(pipeline, stream);
}

/* For a server after this one. No ring of this account is read now. */
static void note_place(const struct pipeline *pipeline, const struct stream *stream)
{
	struct store_figures figures;

	store_figures(pipeline->store, stream->number, &figures);
	stream->account->next_place = figures.first + figures.appended;
	stream->account->place_of = stream->number + 1;
}

int pipeline_attach_ring(struct pipeline *pipeline, uint32_t program, const char *name,
			 struct ring *ring)
{
	struct stream *stream = current_stream(pipeline, program, name, strlen(name));
	FREE struct source *source = NULL;
	int rc = -ENOENT;

	if (!stream)
		goto refused;
	if (stream->source)
		stream_detach(pipeline, stream);
	rc = -ENOMEM;
	source = calloc(1, sizeof(*source));
	if (!source)
		goto refused;
	*source = (struct source){
		.ring = *ring,
		.pipeline = pipeline,
		.stream = stream,
		.number = stream->number,
		.minimum = stream->schema->minimum_size,
	};
	note_place(pipeline, stream);
	rc = reader_add(pipeline, source);
	if (rc)
		goto refused;
	source = NULL;
	*ring = (struct ring){ .fd = -1 };
	return 0;

refused:
	ring_close(ring);
	return rc;
}

int pipeline_attach_ledger(struct pipeline *pipeline, uint32_t program, const char *name,
			   struct ledger_source source)
{
	struct stream *stream = current_stream(pipeline, program, name, strlen(name));

	if (!stream) {
		memory_close_fd(&source.fd);
		return -ENOENT;
	}
	if (has_ledger(stream))
		stream_detach(pipeline, stream);
	ledger_attach(pipeline, stream, source);
	return 0;
}

static int map_ring(struct pipeline *pipeline, uint32_t program, const struct stream *stream,
		    int map_fd)
{
	CLOSE int fd = map_fd;
	struct ring ring;
	int rc = ring_open(&ring, fd, stream->schema->record_size);

	if (rc)
		return rc;
	fd = -1;
	return pipeline_attach_ring(pipeline, program, stream->schema->name, &ring);
}

static int map_ledger(struct pipeline *pipeline, uint32_t program, const struct stream *stream,
		      int map_fd)
{
	CLOSE int fd = map_fd;
	struct bpf_map_info info = { 0 };
	uint32_t info_size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &info_size))
		return -errno;
	if (info.type != BPF_MAP_TYPE_PERCPU_ARRAY ||
	    info.value_size != sizeof(struct kernel_counts))
		return -EINVAL;
	return pipeline_attach_ledger(pipeline, program, stream->schema->name,
				      (struct ledger_source){ .fd = TAKE_FD(fd) });
}

int pipeline_map(struct pipeline *pipeline, const struct message *message, int map_fd)
{
	CLOSE int fd = map_fd;
	struct program *program = NULL;
	const struct stream *stream;
	size_t length = strlen(message->name);
	int rc = 0;

	if (message->program < MESSAGE_MAX_PROGRAMS)
		program = pipeline->programs[message->program];
	if (!program)
		return -ENOENT;
	/* Its streams, if any, are those of an earlier object: records of this one may look
	 * otherwise. */
	if (program->refused)
		return 0;
	stream = current_stream(pipeline, message->program, message->name, length);
	if (stream) {
		rc = map_ring(pipeline, message->program, stream, TAKE_FD(fd));
	} else {
		if (length > ledger_suffix_length &&
		    strcmp(message->name + length - ledger_suffix_length, ledger_suffix) == 0)
			stream = current_stream(pipeline, message->program, message->name,
						length - ledger_suffix_length);
		rc = stream ? map_ledger(pipeline, message->program, stream, TAKE_FD(fd))
			    : maps_keep(pipeline, program, message->name, TAKE_FD(fd));
	}
	if (rc)
		program_map_failed(pipeline, message->program, message->name, rc);
	return rc;
}

/* ---- views ---- */

size_t pipeline_stream_count(const struct pipeline *pipeline)
{
	return atomic_load(&pipeline->stream_count);
}

int pipeline_stream_view(const struct pipeline *const_pipeline, size_t number,
			 struct stream_view *ret_view)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	struct stream *stream = pipeline_stream(pipeline, number);

	if (!stream)
		return -ENOENT;
	*ret_view = (struct stream_view){ .stream = (int)number, .schema = stream->schema };
	pthread_mutex_lock(&pipeline->registry);
	ret_view->program = stream->program;
	ret_view->superseded = stream->superseded;
	pthread_mutex_unlock(&pipeline->registry);
	pthread_rwlock_rdlock(&pipeline->rings);
	ret_view->active = stream->source != NULL;
	ret_view->ring_bytes = stream->source ? stream->source->ring.bytes : 0;
	pthread_rwlock_unlock(&pipeline->rings);
	return 0;
}
