/* SPDX-License-Identifier: MIT */
/*
 * Object files: a line with the program's name, then the bytes. A schema that comes out of them
 * must be good for records, filters and descriptions.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "fuzz.h"
#include "loader/libbpf_log.h"
#include "schema/filter.h"

static void describe(const struct stream_schema *stream)
{
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	stream_describe(stream, &json);
	REQUIRE(!out.failed);
	fuzz_require_json(out.data, out.length);
}

static void filter_all(const struct stream_schema *stream, const uint8_t *record, uint32_t length)
{
	for (size_t i = 0; i < stream->field_count; i++) {
		struct filter filter = { .count = 0 };
		char error[256];

		if (stream->fields[i].hidden)
			continue;
		if (filter_add(&filter, stream, &stream->fields[i], "1", NULL, NULL, error,
			       sizeof(error)) == 0)
			filter_match(&filter, stream, record, length);
		filter_fini(&filter);
	}
}

static void use_stream(const struct stream_schema *stream)
{
	struct event event = { .schema = stream };

	REQUIRE(stream->minimum_size <= stream->record_size);
	REQUIRE(stream->record_size <= SCHEMA_MAX_RECORD);
	describe(stream);
	for (uint8_t fill = 0; fill < 3; fill++) {
		const uint32_t length = fill == 2 ? stream->minimum_size : stream->record_size;
		FREE uint8_t *record = malloc(length);

		REQUIRE(record);
		memset(record, fill == 1 ? 0xff : fill, length);
		event.record = record;
		event.length = length;
		fuzz_show(&event);
		filter_all(stream, record, length);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(program_schema) struct program_schema *schema = NULL;
	struct input input = { data, size };
	FREE char *name = input_line(&input);
	char error[512] = "";
	size_t length;
	FREE uint8_t *object = input_rest(&input, &length);

	log_set_level(LOG_ERROR);
	libbpf_log_begin();
	if (program_schema_read(name, object, length, NULL, &schema, error, sizeof(error)) < 0) {
		REQUIRE(!schema && error[0]);
		return 0;
	}
	for (size_t i = 0; i < schema->stream_count; i++)
		use_stream(&schema->streams[i]);
	return 0;
}
