/* SPDX-License-Identifier: MIT */
/* Blocks and schemas on their way to disk and back, and what is made of bytes that somebody made up
 * who wants to harm. */
#include <errno.h>

#include "history_world.h"

#include "schema/serialise.h"

static struct fixture_random randomness;

/* ---- blocks ---- */

static struct block *some_block(const struct stream_schema *schema, uint32_t count, size_t *mapped)
{
	const size_t stride = schema->record_size;
	FREE uint8_t *data = calloc(count, stride);
	FREE uint16_t *lengths = calloc(count, sizeof(*lengths));
	const struct rows rows = {
		.data = data, .lengths = lengths, .stride = (uint32_t)stride, .count = count
	};
	CLEANUP(block_builder) struct block_builder *builder = block_builder_new(BLOCK_MAX_ROWS);
	struct block_place place = { .first_index = 12345, .oldest = UINT64_MAX };
	struct block *block;

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t time = 1000 + fixture_below(&randomness, 100000);

		if (schema == &fixture_misc_schema)
			lengths[i] = (uint16_t)fixture_misc_event(&randomness, time, 300,
								  (void *)(data + i * stride));
		else
			lengths[i] = (uint16_t)fixture_connection_event(
				&randomness, time, 250, (void *)(data + i * stride));
		place.oldest = time < place.oldest ? time : place.oldest;
		place.newest = time > place.newest ? time : place.newest;
	}
	place.disorder = place.newest - place.oldest;
	block = block_build(builder, schema, &rows, &place, mapped);
	assert_non_null(block);
	return block;
}

static struct codec_place place_of(const struct block *block)
{
	return (struct codec_place){ .boot = 1,
				     .stream = 3,
				     .first_index = block->first_index,
				     .rows = block->rows,
				     .oldest = block->oldest,
				     .newest = block->newest,
				     .disorder = block->disorder };
}

/* Everything that readers do with blocks. */
static void read_all(const struct block *block, const struct stream_schema *schema)
{
	FREE uint8_t *record = calloc(1, schema->record_size);
	uint64_t bits[BLOCK_MAX_ROWS / 64];

	for (uint32_t row = 0; row < block->rows; row++) {
		const uint32_t length = block_row(block, schema, row, record);

		assert_in_range(length, schema->minimum_size, schema->record_size);
	}
	for (size_t i = 0; i < 7; i++) {
		struct filter filter = model_random_filter(&randomness, schema, record);

		block_excludes(block, schema, &filter);
		block_filter(block, schema, &filter, 0, block->rows, bits);
		filter_fini(&filter);
	}
	block_filter_time(block, schema, 1000, 50000, 0, block->rows, bits);
}

static void test_blocks_come_back_as_they_were(void **state)
{
	static const uint32_t counts[] = { 1, 2, 3, 64, 257, 1009, 8192 };

	(void)state;
	randomness.state = 21;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(counts); i++) {
		const struct stream_schema *schema = world_schemas[i % 2];
		size_t mapped;
		struct block *block = some_block(schema, counts[i / 2], &mapped);
		const struct codec_place place = place_of(block);
		BUFFER head = BUFFER_INIT;
		BUFFER body = BUFFER_INIT;
		FREE struct block *copy = NULL;
		FREE struct block *summary = NULL;
		struct codec_parts parts;
		uint8_t one[WORLD_RECORD], other[WORLD_RECORD];

		assert_int_equal(codec_encode(block, &head, &body), 0);
		parts = (struct codec_parts){ .head = head.data,
					      .body = body.data,
					      .head_size = head.length,
					      .body_size = body.length };
		codec_sign(&place, &parts);
		assert_int_equal(codec_decode(schema, &place, &parts, &copy), 0);
		for (uint32_t row = 0; row < block->rows; row++) {
			assert_int_equal(block_row(block, schema, row, one),
					 block_row(copy, schema, row, other));
			assert_memory_equal(one, other, schema->record_size);
		}
		/* By the head alone as many rows are counted as there are. */
		assert_int_equal(codec_decode_head(schema, &place, &parts, &summary), 0);
		for (size_t j = 0; j < 50; j++) {
			struct filter filter = model_random_filter(&randomness, schema, one);
			uint64_t bits[BLOCK_MAX_ROWS / 64], counted, rows = 0;

			block_filter(copy, schema, &filter, 0, copy->rows, bits);
			for (size_t w = 0; w < block_bitmap_words(copy->rows); w++)
				rows += (uint64_t)__builtin_popcountll(bits[w]);
			if (block_excludes(summary, schema, &filter))
				assert_int_equal(rows, 0);
			if (block_count(summary, codec_counts(summary), schema, &filter, &counted))
				assert_int_equal(counted, rows);
			filter_fini(&filter);
		}
		block_free(block, mapped);
	}
}

/* A filter on a field of the header alone is counted without the rows. */
static void test_heads_count(void **state)
{
	size_t counted = 0;

	(void)state;
	randomness.state = 22;
	for (size_t i = 0; i < 31; i++) {
		size_t mapped;
		struct block *block = some_block(&fixture_connection_schema, 4001, &mapped);
		const struct codec_place place = place_of(block);
		struct filter filter = model_filter_range(HEADER_PID, 1000, 1000 + i);
		BUFFER head = BUFFER_INIT;
		BUFFER body = BUFFER_INIT;
		FREE struct block *summary = NULL;
		uint64_t bits[BLOCK_MAX_ROWS / 64], rows = 0, said;
		struct codec_parts parts;

		assert_int_equal(codec_encode(block, &head, &body), 0);
		parts = (struct codec_parts){ .head = head.data,
					      .head_size = head.length,
					      .body_size = body.length,
					      .body = body.data };
		codec_sign(&place, &parts);
		assert_int_equal(
			codec_decode_head(&fixture_connection_schema, &place, &parts, &summary), 0);
		block_filter(block, &fixture_connection_schema, &filter, 0, block->rows, bits);
		for (size_t w = 0; w < block_bitmap_words(block->rows); w++)
			rows += (uint64_t)__builtin_popcountll(bits[w]);
		if (block_count(summary, codec_counts(summary), &fixture_connection_schema, &filter,
				&said)) {
			assert_int_equal(said, rows);
			counted++;
		}
		filter_fini(&filter);
		block_free(block, mapped);
	}
	assert_true(counted > 20);
}

/* Whoever can write the file can make checksums right too. */
static void test_hostile_blocks_harm_nobody(void **state)
{
	size_t taken = 0;

	(void)state;
	randomness.state = 23;
	for (size_t i = 0; i < world_rounds(20011); i++) {
		const struct stream_schema *schema = world_schemas[i % 2];
		size_t mapped;
		struct block *block =
			some_block(schema, 1 + (uint32_t)fixture_below(&randomness, 300), &mapped);
		struct codec_place place = place_of(block);
		BUFFER head = BUFFER_INIT;
		BUFFER body = BUFFER_INIT;
		FREE struct block *copy = NULL;
		FREE struct block *summary = NULL;
		struct codec_parts parts;

		assert_int_equal(codec_encode(block, &head, &body), 0);
		for (uint64_t n = fixture_below(&randomness, 4); n != UINT64_MAX; n--) {
			struct buffer *part =
				body.length && fixture_below(&randomness, 3) == 0 ? &body : &head;
			const size_t at = fixture_below(&randomness, part->length);

			part->data[at] =
				(char)(fixture_below(&randomness, 2)
					       ? part->data[at] ^ 1 << fixture_below(&randomness, 8)
					       : (int)fixture_next(&randomness));
		}
		if (!fixture_below(&randomness, 9))
			head.length = fixture_below(&randomness, head.length);
		if (!fixture_below(&randomness, 9) && body.length)
			body.length = fixture_below(&randomness, body.length);
		/* What stands beside it may be made to fit, too. */
		if (head.length >= sizeof(struct block)) {
			struct block said;

			memcpy(&said, head.data, sizeof(said));
			place.rows = said.rows;
			place.oldest = said.oldest;
			place.newest = said.newest;
			place.disorder = said.disorder;
			place.first_index = said.first_index;
		}
		parts = (struct codec_parts){ .head = head.data,
					      .body = body.data,
					      .head_size = head.length,
					      .body_size = body.length };
		codec_sign(&place, &parts);
		if (codec_decode_head(schema, &place, &parts, &summary) == 0) {
			struct filter filter = model_filter_range(HEADER_PID, 0, 2000);
			uint64_t counted;

			block_excludes(summary, schema, &filter);
			block_count(summary, codec_counts(summary), schema, &filter, &counted);
			filter_fini(&filter);
		}
		if (codec_decode(schema, &place, &parts, &copy) == 0) {
			read_all(copy, schema);
			taken++;
		}
		block_free(block, mapped);
	}
	assert_true(taken > world_rounds(20011) / 10);
}

/* With its own checksum no change passes. */
static void test_every_flipped_bit_is_seen(void **state)
{
	size_t mapped;
	struct block *block;
	struct codec_place place;
	BUFFER head = BUFFER_INIT;
	BUFFER body = BUFFER_INIT;
	struct codec_parts parts;

	(void)state;
	randomness.state = 24;
	block = some_block(&fixture_connection_schema, 31, &mapped);
	place = place_of(block);
	assert_int_equal(codec_encode(block, &head, &body), 0);
	parts = (struct codec_parts){ .head = head.data,
				      .body = body.data,
				      .head_size = head.length,
				      .body_size = body.length };
	codec_sign(&place, &parts);
	for (size_t bit = 0; bit < 8 * (head.length + body.length); bit++) {
		char *byte = bit / 8 < head.length ? &head.data[bit / 8]
						   : &body.data[bit / 8 - head.length];
		struct block *copy = NULL;

		*byte = (char)(*byte ^ 1 << bit % 8);
		assert_int_equal(codec_decode(&fixture_connection_schema, &place, &parts, &copy),
				 -EBADMSG);
		*byte = (char)(*byte ^ 1 << bit % 8);
	}
	place.stream++;
	assert_int_equal(codec_decode(&fixture_connection_schema, &place, &parts, &block),
			 -EBADMSG);
	block_free(block, mapped);
}

/* ---- schemas ---- */

static void test_schemas_come_back_as_they_were(void **state)
{
	(void)state;
	for (size_t i = 0; i < WORLD_STREAMS; i++) {
		CLEANUP(arena) struct arena *arena = arena_new();
		BUFFER once = BUFFER_INIT;
		BUFFER twice = BUFFER_INIT;
		const struct stream_schema *schema = NULL;

		stream_schema_write(world_schemas[i], &once);
		assert_int_equal(stream_schema_parse(arena, once.data, once.length, &schema), 0);
		stream_schema_write(schema, &twice);
		assert_int_equal(once.length, twice.length);
		assert_memory_equal(once.data, twice.data, once.length);
		assert_non_null(schema->plan);
		assert_string_equal(schema->name, world_schemas[i]->name);
	}
}

static void test_hostile_schemas_harm_nobody(void **state)
{
	BUFFER whole = BUFFER_INIT;
	size_t taken = 0;

	(void)state;
	randomness.state = 25;
	for (size_t i = 0; i < world_rounds(20011); i++) {
		const struct stream_schema *schema = NULL;
		CLEANUP(arena) struct arena *arena = arena_new();
		uint8_t record[SCHEMA_MAX_RECORD] = { 0 };
		struct event event = { .record = record };
		struct encoding encoding = { .boot_epoch = 1 };
		BUFFER out = BUFFER_INIT;
		struct json json;

		buffer_clear(&whole);
		stream_schema_write(world_schemas[i % 2], &whole);
		for (size_t n = 0; n <= i % 3; n++)
			whole.data[fixture_below(&randomness, whole.length)] =
				(char)fixture_next(&randomness);
		if (!fixture_below(&randomness, 9))
			whole.length = fixture_below(&randomness, whole.length);
		if (stream_schema_parse(arena, whole.data, whole.length, &schema) < 0)
			continue;
		taken++;
		assert_true(schema->record_size <= sizeof(record));
		event.schema = schema;
		event.length = schema->record_size;
		memset(record, (int)fixture_below(&randomness, 256), sizeof(record));
		json_init(&json, &out);
		event_encode_json(&event, &encoding, &json);
		event_encode_text(&event, &encoding, &out);
		assert_false(out.failed);
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_come_back_as_they_were),
		cmocka_unit_test(test_heads_count),
		cmocka_unit_test(test_hostile_blocks_harm_nobody),
		cmocka_unit_test(test_every_flipped_bit_is_seen),
		cmocka_unit_test(test_schemas_come_back_as_they_were),
		cmocka_unit_test(test_hostile_schemas_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
