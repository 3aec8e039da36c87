/* SPDX-License-Identifier: MIT */
#include "api/question.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "history/history.h"

/* A drain takes far less; a reader that is stuck must not hold up every question. */
#define SYNC_TIMEOUT_MS 50
/* How many names a message lists. */
#define LISTED_MAX 256

struct store *api_store(const struct api *api)
{
	return pipeline_store(api->options.pipeline);
}

static struct archive *api_archive(const struct api *api)
{
	struct history *history = pipeline_history(api->options.pipeline);

	return history ? history_archive(history) : NULL;
}

size_t api_stream_count(const struct api *api)
{
	return store_stream_count(api_store(api));
}

const struct stream_schema *api_stream_schema(const struct api *api, size_t stream)
{
	return store_stream_schema(api_store(api), stream);
}

bool api_stream_is_newest(const struct api *api, size_t stream)
{
	const char *name = api_stream_schema(api, stream)->name;

	for (size_t i = stream + 1; i < api_stream_count(api); i++) {
		if (!strcmp(api_stream_schema(api, i)->name, name))
			return false;
	}
	return true;
}

/* ---- lists of names for messages ---- */

struct names {
	const char *items[LISTED_MAX];
	size_t count;
	bool cut;
};

static void names_add(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (!strcmp(names->items[i], name))
			return;
	}
	if (names->count == LISTED_MAX)
		names->cut = true;
	else
		names->items[names->count++] = name;
}

static char *names_text(const struct names *names)
{
	struct buffer text = BUFFER_INIT;

	for (size_t i = 0; i < names->count; i++)
		buffer_printf(&text, "%s%s", i ? ", " : "", names->items[i]);
	if (names->cut)
		buffer_append_string(&text, ", …");
	if (!names->count)
		buffer_append_string(&text, "none yet");
	return buffer_take_string(&text);
}

/* ---- streams by type ---- */

static bool list_has(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (;;) {
		size_t item = strcspn(list, ",");

		if (item == length && !memcmp(list, name, length))
			return true;
		if (!list[item])
			return false;
		list += item + 1;
	}
}

/* Every name of the list is a type. */
static int check_types(const struct api *api, const char *types, struct answer *answer)
{
	const char *item = types;

	for (;;) {
		size_t length = strcspn(item, ",");
		struct names known = { .count = 0 };
		FREE char *text = NULL;
		bool found = false;

		for (size_t i = 0; i < api_stream_count(api); i++) {
			const char *name = api_stream_schema(api, i)->name;

			found |= strlen(name) == length && !memcmp(name, item, length);
			names_add(&known, name);
		}
		if (!found) {
			text = names_text(&known);
			if (!pipeline_ready(api->options.pipeline))
				return answer_error(
					answer, STATUS_SERVICE_UNAVAILABLE,
					"parameter \"type\": \"%.*s\" is not known yet, "
					"programs are still being loaded",
					(int)(length < 64 ? length : 64), item);
			return answer_error(
				answer, STATUS_BAD_REQUEST,
				"parameter \"type\": \"%.*s\" is no type; known are: %s",
				(int)(length < 64 ? length : 64), item, text ? text : "");
		}
		if (!item[length])
			return 0;
		item += length + 1;
	}
}

uint64_t question_deadline(const struct api *api)
{
	return api->options.query_timeout_ns ? clock_boot_ns() + api->options.query_timeout_ns : 0;
}

int question_init(struct question *question, struct api *api, const char *types,
		  struct answer *answer)
{
	size_t count = api_stream_count(api);

	memset(question, 0, sizeof(*question));
	question->api = api;
	question->boot_to_real = api_boot_to_real(api);
	question->query.until = UINT64_MAX;
	question->query.until_real = UINT64_MAX;
	question->query.archive = api_archive(api);
	pipeline_sync(api->options.pipeline, SYNC_TIMEOUT_MS);
	/* For all that is asked of the store for this answer. */
	question->query.deadline = question_deadline(api);

	if (types && check_types(api, types, answer) < 0)
		return -EINVAL;
	question->streams = calloc(count ? count : 1, sizeof(*question->streams));
	if (!question->streams)
		return answer_out_of_memory(answer);
	for (size_t i = 0; i < count; i++) {
		const struct stream_schema *schema = api_stream_schema(api, i);

		if (types && !list_has(types, schema->name))
			continue;
		question->streams[question->stream_count++] = (struct question_stream){
			.number = (uint16_t)i,
			.schema = schema,
		};
	}
	return 0;
}

int question_init_report(struct question *question, struct api *api, const char *type,
			 struct answer *answer)
{
	struct program_view program;
	int number;

	for (size_t i = 0; i < api_stream_count(api); i++) {
		if (!strcmp(api_stream_schema(api, i)->name, type)) {
			int r = question_init(question, api, type, answer);

			question->must_record = true;
			return r;
		}
	}
	number = pipeline_find_program(api->options.pipeline, type);
	if (number < 0 ||
	    pipeline_program_view(api->options.pipeline, (size_t)number, &program) < 0)
		return answer_error(
			answer, STATUS_SERVICE_UNAVAILABLE,
			"there is no program \"%s\"; /api/programs lists those there are", type);
	return answer_error(answer, STATUS_SERVICE_UNAVAILABLE,
			    "the program \"%s\" is %s, and there are no events of it%s%s", type,
			    program_status_name(program.status), program.error[0] ? ": " : "",
			    program.error);
}

void question_fini(struct question *question)
{
	/* What the query has of the filters is borrowed from the streams. */
	free(question->query.streams);
	for (size_t i = 0; i < question->stream_count; i++)
		filter_fini(&question->streams[i].filter);
	free(question->streams);
	*question = (struct question){ .streams = NULL };
}

/* ---- filters ---- */

char *question_fields(const struct question *question, bool (*fits)(const struct field *field))
{
	struct names known = { .count = 0 };

	for (size_t i = 0; i < question->stream_count; i++) {
		const struct stream_schema *schema = question->streams[i].schema;

		for (size_t j = 0; j < schema->field_count; j++) {
			const struct field *field = &schema->fields[j];

			if (!field->hidden && (!fits || fits(field)))
				names_add(&known, field->name);
		}
	}
	return names_text(&known);
}

static int refuse_field(const struct question *question, const char *name, struct answer *answer)
{
	FREE char *text = question_fields(question, NULL);

	return answer_error(answer, STATUS_BAD_REQUEST,
			    "unknown parameter \"%.80s\": it is no field of the events asked for; "
			    "fields are: %s",
			    name, text ? text : "");
}

static int refuse_enumerator(const struct question *question, const char *name,
			     const char *expression, struct answer *answer)
{
	struct names known = { .count = 0 };
	FREE char *text = NULL;

	for (size_t i = 0; i < question->stream_count; i++) {
		const struct field *field = stream_schema_field(question->streams[i].schema, name);

		for (size_t j = 0; field && j < field->enumeration.count; j++)
			names_add(&known, field->enumeration.entries[j].name);
	}
	text = names_text(&known);
	return answer_error(answer, STATUS_BAD_REQUEST,
			    "parameter \"%s\": \"%.80s\" is none of its values; known are: %s",
			    name, expression, text ? text : "");
}

int question_filter(struct question *question, const char *name, const char *expression,
		    struct answer *answer)
{
	char error[512], first_error[512] = "";
	bool exists = false, understood = false, known = false;

	for (size_t i = 0; i < question->stream_count; i++) {
		struct question_stream *stream = &question->streams[i];
		const struct field *field = stream_schema_field(stream->schema, name);
		bool unknown = false;
		int r;

		if (!field) {
			stream->out = true;
			continue;
		}
		exists = true;
		r = filter_add(&stream->filter, stream->schema, field, expression,
			       question->api->options.symbols, &unknown, error, sizeof(error));
		if (r == -ENOMEM)
			return answer_out_of_memory(answer);
		if (r < 0) {
			/* Streams may mean different things by one name: one that understands is
			 * enough. */
			stream->out = true;
			if (!first_error[0])
				memcpy(first_error, error, sizeof(error));
			continue;
		}
		understood = true;
		known |= !unknown;
	}
	if (!exists)
		return refuse_field(question, name, answer);
	if (!understood)
		return answer_error(answer, STATUS_BAD_REQUEST, "parameter \"%s\": %s", name,
				    first_error);
	if (!known)
		return refuse_enumerator(question, name, expression, answer);
	return 0;
}

int question_filter_text(struct question *question, const char *field, const char *text,
			 struct answer *answer)
{
	BUFFER escaped = BUFFER_INIT;
	FREE char *expression = NULL;

	for (const char *c = text; *c; c++) {
		if (strchr("\\!,*?.", *c))
			buffer_append_char(&escaped, '\\');
		buffer_append_char(&escaped, *c);
	}
	expression = buffer_take_string(&escaped);
	if (!expression)
		return answer_out_of_memory(answer);
	return question_filter(question, field, expression, answer);
}
