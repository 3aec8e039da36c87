/* SPDX-License-Identifier: MIT */
/* The pipeline as a whole, and the programs in it as the loader tells of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/internal.h"

enum { OBJECT_MAX_BYTES = 64 << 20 };

/* ---- the pipeline ---- */

struct pipeline *pipeline_new(struct store *store, struct stream_account *accounts,
			      unsigned int possible_cpus)
{
	CLEANUP(pipeline) struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (!pipeline)
		return NULL;
	pipeline->store = store;
	pipeline->accounts = accounts;
	pipeline->possible_cpus = possible_cpus ? possible_cpus : 1;
	pthread_mutex_init(&pipeline->registry, NULL);
	pthread_mutex_init(&pipeline->ledgers, NULL);
	if (reader_init(pipeline))
		return NULL;
	pipeline->per_cpu = calloc(pipeline->possible_cpus, sizeof(*pipeline->per_cpu));
	if (!pipeline->per_cpu)
		return NULL;
	/* The store is empty: whatever was stored before went with an earlier server. */
	for (size_t i = 0; i < STREAM_ACCOUNTS && accounts[i].name[0]; i++)
		accounts[i].forgotten = accounts[i].stored;
	return TAKE(pipeline);
}

static void program_free(struct program *program)
{
	if (!program)
		return;
	maps_close(program);
	interface_list_free(&program->interfaces);
	interface_list_free(&program->coming);
	free(program->settings);
	free(program);
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	pipeline_stop(pipeline);
	for (size_t i = 0; i < pipeline->source_count; i++) {
		ring_close(&pipeline->sources[i]->ring);
		free(pipeline->sources[i]);
	}
	for (size_t i = 0; i < STORE_MAX_STREAMS; i++)
		stream_free(pipeline->streams[i]);
	for (size_t i = 0; i < MESSAGE_MAX_PROGRAMS; i++)
		program_free(pipeline->programs[i]);
	for (size_t i = 0; i < pipeline->schema_count; i++)
		program_schema_free(pipeline->schemas[i]);
	free(pipeline->schemas);
	free(pipeline->per_cpu);
	pthread_mutex_destroy(&pipeline->registry);
	pthread_mutex_destroy(&pipeline->ledgers);
	reader_fini(pipeline);
	free(pipeline);
}

struct store *pipeline_store(const struct pipeline *pipeline)
{
	return pipeline->store;
}

void pipeline_set_history(struct pipeline *pipeline, struct history *history)
{
	pipeline->history = history;
}

struct history *pipeline_history(const struct pipeline *pipeline)
{
	return pipeline->history;
}

bool pipeline_ready(const struct pipeline *pipeline)
{
	return atomic_load(&pipeline->ready);
}

void pipeline_set_ready(struct pipeline *pipeline, bool ready)
{
	atomic_store(&pipeline->ready, ready);
}

/* ---- what the loader says ---- */

static struct program *find_program(const struct pipeline *pipeline, uint32_t number)
{
	return number < MESSAGE_MAX_PROGRAMS ? pipeline->programs[number] : NULL;
}

int pipeline_program(struct pipeline *pipeline, const struct message *message)
{
	struct program *program = find_program(pipeline, message->program);

	if (message->program >= MESSAGE_MAX_PROGRAMS || !message->name[0] ||
	    message->status > PROGRAM_FAILED)
		return -EINVAL;
	if (!program) {
		program = calloc(1, sizeof(*program));
		if (!program)
			return -ENOMEM;
	}
	pthread_mutex_lock(&pipeline->registry);
	message_set_text(program->name, "%s", message->name);
	program->status = (enum program_status)message->status;
	program->flags = message->flags;
	message_set_text(program->hook, "%s", message->hook);
	message_set_text(program->reason, "%s", message->reason);
	message_set_text(program->text, "%s", message->text);
	pipeline->programs[message->program] = program;
	pthread_mutex_unlock(&pipeline->registry);
	reader_wake_subscribers(pipeline);
	return 0;
}

int pipeline_read_file(int fd, size_t limit, struct buffer *contents)
{
	struct stat status;
	size_t hint = 64 << 10;

	if (fstat(fd, &status) == 0 && status.st_size > 0 && (uint64_t)status.st_size < limit)
		hint = (size_t)status.st_size + 1;
	buffer_clear(contents);
	for (;;) {
		char *room = buffer_reserve(contents, hint);
		ssize_t got;

		if (!room)
			return -ENOMEM;
		got = pread(fd, room, hint, (off_t)contents->length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		contents->length += (size_t)got;
		if (contents->length > limit)
			return -EFBIG;
		hint = hint > (size_t)got ? hint - (size_t)got : 64 << 10;
	}
}

static int keep_schema(struct pipeline *pipeline, struct program_schema *schema)
{
	struct program_schema **schemas = realloc(
		pipeline->schemas, (pipeline->schema_count + 1) * sizeof(*pipeline->schemas));

	if (!schemas)
		return -ENOMEM;
	pipeline->schemas = schemas;
	schemas[pipeline->schema_count++] = schema;
	return 0;
}

static int read_object(struct pipeline *pipeline, uint32_t number, int fd, const struct btf *kernel,
		       char *error, size_t error_size)
{
	struct program *program = pipeline->programs[number];
	CLEANUP(program_schema) struct program_schema *schema = NULL;
	const struct program_schema *kept;
	BUFFER object = BUFFER_INIT;
	int rc = pipeline_read_file(fd, OBJECT_MAX_BYTES, &object);

	if (rc) {
		snprintf(error, error_size, "cannot read the object file: %s", strerror(-rc));
		return rc;
	}
	rc = program_schema_read(program->name, object.data, object.length, kernel, &schema, error,
				 error_size);
	if (rc)
		return rc;
	if (program->schema && program_schema_same(program->schema, schema))
		return pipeline_register_schema(pipeline, number, program->schema, error,
						error_size);
	/* Kept before it is used and even when it is refused: streams may speak of it by then. */
	kept = schema;
	rc = keep_schema(pipeline, schema);
	if (rc) {
		snprintf(error, error_size, "out of memory");
		return rc;
	}
	schema = NULL;
	return pipeline_register_schema(pipeline, number, kept, error, error_size);
}

int pipeline_object(struct pipeline *pipeline, const struct message *message, int fd,
		    const struct btf *kernel, char *error, size_t error_size)
{
	struct program *program = find_program(pipeline, message->program);
	int rc;

	if (!program) {
		snprintf(error, error_size, "an object file of program %u, which nobody named",
			 message->program);
		return -ENOENT;
	}
	rc = read_object(pipeline, message->program, fd, kernel, error, error_size);
	pthread_mutex_lock(&pipeline->registry);
	program->setting_count = 0;
	program->refused = rc != 0;
	message_set_text(program->failure, "%s", rc ? error : "");
	pthread_mutex_unlock(&pipeline->registry);
	return rc;
}

void program_map_failed(struct pipeline *pipeline, uint32_t number, const char *map, int rc)
{
	struct program *program = pipeline->programs[number];

	pthread_mutex_lock(&pipeline->registry);
	message_set_text(program->failure, "cannot read map %s: %s", map, strerror(-rc));
	pthread_mutex_unlock(&pipeline->registry);
}

void pipeline_unload(struct pipeline *pipeline, uint32_t number)
{
	struct program *program = find_program(pipeline, number);
	size_t count = pipeline_stream_count(pipeline);

	for (size_t i = 0; i < count; i++) {
		struct stream *stream = pipeline_stream(pipeline, i);

		if (stream && stream->program == number)
			stream_detach(pipeline, stream);
	}
	if (!program)
		return;
	pthread_mutex_lock(&pipeline->registry);
	maps_close(program);
	if (!program->refused)
		program->failure[0] = '\0';
	pthread_mutex_unlock(&pipeline->registry);
}

int pipeline_parameter(struct pipeline *pipeline, const struct message *message)
{
	struct program *program = find_program(pipeline, message->program);
	struct setting *setting = NULL, *settings;

	if (!message->name[0] || message->value_size > MESSAGE_VALUE_SIZE)
		return -EINVAL;
	if (!program)
		return -ENOENT;
	for (size_t i = 0; i < program->setting_count && !setting; i++) {
		if (strcmp(program->settings[i].name, message->name) == 0)
			setting = &program->settings[i];
	}
	if (!setting && program->setting_count >= PROGRAM_MAX_PARAMETERS)
		return -EINVAL;

	pthread_mutex_lock(&pipeline->registry);
	if (!setting) {
		settings = realloc(program->settings,
				   (program->setting_count + 1) * sizeof(*settings));
		if (settings) {
			program->settings = settings;
			setting = &settings[program->setting_count++];
		}
	}
	if (setting) {
		message_set_text(setting->name, "%s", message->name);
		memcpy(setting->value, message->value, sizeof(setting->value));
		setting->size = message->value_size;
	}
	pthread_mutex_unlock(&pipeline->registry);
	reader_wake_subscribers(pipeline);
	return setting ? 0 : -ENOMEM;
}

void pipeline_statistics(struct pipeline *pipeline, const struct message *message)
{
	struct program *program = find_program(pipeline, message->program);

	if (!program)
		return;
	pthread_mutex_lock(&pipeline->registry);
	program->statistics_known = (message->flags & MESSAGE_FLAG_MEASURED) != 0;
	program->run_count = message->numbers[0];
	program->run_time_ns = message->numbers[1];
	pthread_mutex_unlock(&pipeline->registry);
}

/* ---- views ---- */

size_t pipeline_program_count(const struct pipeline *const_pipeline)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	size_t count = MESSAGE_MAX_PROGRAMS;

	pthread_mutex_lock(&pipeline->registry);
	while (count && !pipeline->programs[count - 1])
		count--;
	pthread_mutex_unlock(&pipeline->registry);
	return count;
}

static void view_parameters(const struct program *program, struct program_view *view)
{
	const struct program_schema *schema = program->schema;

	view->parameters = (const uint8_t(*)[MESSAGE_VALUE_SIZE])view->parameter_values;
	for (size_t i = 0; schema && i < schema->parameter_count; i++) {
		const struct parameter *parameter = &schema->parameters[i];

		memcpy(view->parameter_values[i], parameter->default_value,
		       sizeof(parameter->default_value));
		for (size_t s = 0; s < program->setting_count; s++) {
			const struct setting *setting = &program->settings[s];

			if (strcmp(setting->name, parameter->name) == 0 &&
			    setting->size == parameter->size)
				memcpy(view->parameter_values[i], setting->value, setting->size);
		}
	}
}

static void view_streams(const struct pipeline *pipeline, struct program_view *view,
			 bool superseded)
{
	for (size_t i = 0; i < STORE_MAX_STREAMS; i++) {
		const struct stream *stream = pipeline_stream(pipeline, i);

		if (stream && stream->program == view->number && stream->superseded == superseded &&
		    view->stream_count < PROGRAM_MAX_STREAMS)
			view->streams[view->stream_count++] = (int)i;
	}
}

static void fill_view(const struct pipeline *pipeline, size_t number, struct program_view *view)
{
	const struct program *program = pipeline->programs[number];

	*view = (struct program_view){
		.number = (uint32_t)number,
		.status = program->failure[0] ? PROGRAM_FAILED : program->status,
		.enabled = program->flags & MESSAGE_FLAG_ENABLED,
		.loaded = program->flags & MESSAGE_FLAG_LOADED,
		.attached = program->flags & MESSAGE_FLAG_ATTACHED,
		.schema = program->schema,
		.statistics_known = program->statistics_known,
		.run_count = program->run_count,
		.run_time_ns = program->run_time_ns,
	};
	message_set_text(view->name, "%s", program->name);
	message_set_text(view->hook, "%s", program->hook);
	message_set_text(view->fallback_reason, "%s", program->reason);
	message_set_text(view->error, "%s", program->text[0] ? program->text : program->failure);
	view_parameters(program, view);
	view_streams(pipeline, view, false);
	view_streams(pipeline, view, true);
}

int pipeline_program_view(const struct pipeline *const_pipeline, size_t number,
			  struct program_view *ret_view)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	bool known = false;

	if (number >= MESSAGE_MAX_PROGRAMS)
		return -ENOENT;
	pthread_mutex_lock(&pipeline->registry);
	known = pipeline->programs[number] != NULL;
	if (known)
		fill_view(pipeline, number, ret_view);
	pthread_mutex_unlock(&pipeline->registry);
	return known ? 0 : -ENOENT;
}

/* Of several that had the name one after another, the loader's newest. */
int pipeline_find_program(const struct pipeline *const_pipeline, const char *name)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	int found = -ENOENT;

	pthread_mutex_lock(&pipeline->registry);
	for (int i = MESSAGE_MAX_PROGRAMS; i-- > 0 && found < 0;) {
		if (pipeline->programs[i] && strcmp(pipeline->programs[i]->name, name) == 0)
			found = i;
	}
	pthread_mutex_unlock(&pipeline->registry);
	return found;
}
