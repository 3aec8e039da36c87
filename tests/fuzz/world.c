/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "demo_stream.h"
#include "pipeline/internal.h"

void fuzz_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* ---- inputs ---- */

uint8_t input_byte(struct input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

char *input_line(struct input *input)
{
	const uint8_t *end = input->size ? memchr(input->data, '\n', input->size) : NULL;
	size_t length = end ? (size_t)(end - input->data) : input->size;
	char *line = strndup(length ? (const char *)input->data : "", length);

	REQUIRE(line);
	input->data += length + (end ? 1 : 0);
	input->size -= length + (end ? 1 : 0);
	return line;
}

char *input_optional_line(struct input *input)
{
	char *line = input_line(input);

	if (*line)
		return line;
	free(line);
	return NULL;
}

uint8_t *input_rest(struct input *input, size_t *ret_size)
{
	uint8_t *rest = malloc(input->size ? input->size : 1);

	REQUIRE(rest);
	if (input->size)
		memcpy(rest, input->data, input->size);
	*ret_size = input->size;
	return rest;
}

/* ---- the world ---- */

static struct program_schema *schema;
static uint8_t records[DEMO_EVENTS][DEMO_RECORD_SIZE];
static uint32_t lengths[DEMO_EVENTS];

static void make_world(void)
{
	uint64_t state = 20240229;

	if (schema)
		return;
	log_set_level(LOG_ERROR);
	schema = demo_schema();
	for (size_t i = 0; i < DEMO_EVENTS; i++) {
		random_record(&schema->streams[0], &state, records[i]);
		set_number(&schema->streams[0], records[i], "timestamp", 1000000000 + i / 2 * 7);
		lengths[i] = random_length(&state);
	}
}

const struct program_schema *fuzz_schema(void)
{
	make_world();
	return schema;
}

const uint8_t *fuzz_record(size_t number, uint32_t *ret_length)
{
	make_world();
	*ret_length = lengths[number];
	return records[number];
}

struct store *fuzz_store(size_t memory)
{
	struct store *store = store_new(memory);

	make_world();
	REQUIRE(store);
	REQUIRE(store_add_stream(store, &schema->streams[0]) == 0);
	for (size_t i = 0; i < DEMO_EVENTS; i++)
		store_append(store, 0, records[i], lengths[i]);
	store_publish(store, 0);
	return store;
}

struct pipeline *fuzz_pipeline(struct store *store, struct stream_account *accounts)
{
	struct message message = {
		.type = MESSAGE_PROGRAM,
		.program = 1,
		.status = PROGRAM_RUNNING,
		.flags = MESSAGE_FLAG_ENABLED | MESSAGE_FLAG_LOADED | MESSAGE_FLAG_ATTACHED,
	};
	struct pipeline *pipeline = pipeline_new(store, accounts, 1);
	char error[512] = "";

	make_world();
	REQUIRE(pipeline);
	message_set_text(message.name, "%s", schema->name);
	REQUIRE(pipeline_program(pipeline, &message) == 0);
	REQUIRE(pipeline_register_schema(pipeline, 1, schema, error, sizeof(error)) == 0);
	return pipeline;
}

/* ---- what comes out ---- */

void fuzz_show(const struct event *event)
{
	const struct encoding encoding = { .boot_epoch = 1 };
	CLEANUP(csv_columns) struct csv_columns *columns = csv_columns_new(&event->schema, 1);
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	event_encode_json(event, &encoding, &json);
	REQUIRE(!out.failed);
	fuzz_require_json(out.data, out.length);
	event_encode_text(event, &encoding, &out);
	REQUIRE(columns);
	event_encode_csv(event, &encoding, columns, &out);
	REQUIRE(!out.failed);
}

bool fuzz_is_text(const char *text)
{
	for (size_t left = strlen(text), step; left; text += step, left -= step) {
		step = text_utf8_sequence(text, left);
		if (!step || ((uint8_t)*text < ' ' && *text != '\t') || *text == 0x7f ||
		    ((uint8_t)*text == 0xc2 && (uint8_t)text[1] < 0xa0))
			return false;
	}
	return true;
}
