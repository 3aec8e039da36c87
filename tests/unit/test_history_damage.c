/* SPDX-License-Identifier: MIT */
/* What the history makes of bytes that are not what it wrote: from a broken disk, or from somebody
 * who wants to harm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "history_world.h"

#include "schema/serialise.h"

static struct world world;

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

/* How often, at least; `make test-soak` asks for more. */
static size_t rounds(size_t otherwise)
{
	const char *text = getenv("HISTORY_DAMAGES");
	const size_t asked = text ? strtoul(text, NULL, 10) : 0;

	return asked > otherwise ? asked : otherwise;
}

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
		const uint64_t time = 1000 + fixture_below(&world.random, 100000);

		if (schema == &fixture_misc_schema)
			lengths[i] = (uint16_t)fixture_misc_event(&world.random, time, 300,
								  (void *)(data + i * stride));
		else
			lengths[i] = (uint16_t)fixture_connection_event(
				&world.random, time, 250, (void *)(data + i * stride));
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
		struct filter filter = model_random_filter(&world.random, schema, record);

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
	world.random.state = 21;
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
			struct filter filter = model_random_filter(&world.random, schema, one);
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
	world.random.state = 22;
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
	world.random.state = 23;
	for (size_t i = 0; i < rounds(20011); i++) {
		const struct stream_schema *schema = world_schemas[i % 2];
		size_t mapped;
		struct block *block = some_block(
			schema, 1 + (uint32_t)fixture_below(&world.random, 300), &mapped);
		struct codec_place place = place_of(block);
		BUFFER head = BUFFER_INIT;
		BUFFER body = BUFFER_INIT;
		FREE struct block *copy = NULL;
		FREE struct block *summary = NULL;
		struct codec_parts parts;

		assert_int_equal(codec_encode(block, &head, &body), 0);
		for (uint64_t n = fixture_below(&world.random, 4); n != UINT64_MAX; n--) {
			struct buffer *part =
				body.length && fixture_below(&world.random, 3) == 0 ? &body : &head;
			const size_t at = fixture_below(&world.random, part->length);

			part->data[at] = (char)(fixture_below(&world.random, 2)
							? part->data[at] ^ 1 << fixture_below(
										   &world.random, 8)
							: (int)fixture_next(&world.random));
		}
		if (!fixture_below(&world.random, 9))
			head.length = fixture_below(&world.random, head.length);
		if (!fixture_below(&world.random, 9) && body.length)
			body.length = fixture_below(&world.random, body.length);
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
	assert_true(taken > rounds(20011) / 10);
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
	world.random.state = 24;
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
	world.random.state = 25;
	for (size_t i = 0; i < rounds(20011); i++) {
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
			whole.data[fixture_below(&world.random, whole.length)] =
				(char)fixture_next(&world.random);
		if (!fixture_below(&world.random, 9))
			whole.length = fixture_below(&world.random, whole.length);
		if (stream_schema_parse(arena, whole.data, whole.length, &schema) < 0)
			continue;
		taken++;
		assert_true(schema->record_size <= sizeof(record));
		event.schema = schema;
		event.length = schema->record_size;
		memset(record, (int)fixture_below(&world.random, 256), sizeof(record));
		json_init(&json, &out);
		event_encode_json(&event, &encoding, &json);
		event_encode_text(&event, &encoding, &out);
		assert_false(out.failed);
	}
	assert_true(taken > 100);
}

/* ---- files ---- */

static void make_history(uint64_t seed)
{
	world_begin(&world, 1 << 20, seed);
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 5; j++) {
			world_append(&world, 211, 0);
			assert_int_equal(world_flush(&world), 0);
		}
		if (i % 2)
			retain_tidy(world.history);
		world_end(&world);
		if (i == 1)
			world_next_boot(&world);
		world.options.generation = 1;
		world_open(&world, 1 << 20);
	}
	world_end(&world);
}

static void damage(const char *name, unsigned int how)
{
	CLOSE int fd = openat(world.directory, name, O_RDWR | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || !status.st_size)
		return;
	if (how == 0) {
		assert_int_equal(ftruncate(fd, (off_t)fixture_below(&world.random,
								    (uint64_t)status.st_size)),
				 0);
		return;
	}
	for (unsigned int i = 0; i < how; i++) {
		const off_t at = (off_t)fixture_below(&world.random, (uint64_t)status.st_size);
		uint8_t byte;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte = (uint8_t)(byte ^ 1u << fixture_below(&world.random, 8));
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
}

/* Both boots have events of one time. */
static const struct world_event *find_event(const struct event *event, const bool *seen)
{
	for (size_t i = 0; i < world.count; i++) {
		const struct world_event *it = &world.events[i];

		if (it->stream == event->stream && it->index == event->index &&
		    it->timestamp == event->timestamp && !it->gone && !seen[i] &&
		    model_same_record(world_schemas[it->stream], event->record, event->length,
				      it->record, it->length))
			return it;
	}
	return NULL;
}

/* What is answered is true, and each event comes once; what is missing is said. Returns how many
 * there are. (What a log that was cut held, SQLite does not tell.) */
static size_t check_truth(bool log_is_whole)
{
	FREE bool *seen = calloc(world.count, sizeof(*seen));
	struct query query = world_everything(&world, WORLD_EVENTS);
	struct query_result result;
	size_t expected = 0, count;

	assert_int_equal(query_run(world.store, &query, &result), 0);
	for (size_t i = 0; i < result.count; i++) {
		const struct world_event *event = find_event(&result.events[i], seen);

		assert_non_null(event);
		seen[event - world.events] = true;
	}
	for (size_t i = 0; i < world.count; i++)
		expected += !world.events[i].gone;
	count = result.count;
	if (count < expected && !result.damaged && log_is_whole) {
		bool complete = true;

		for (size_t i = 0; i < query.stream_count; i++)
			complete &= history_is_complete(world.history, i, 0, 0);
		assert_false(complete);
	}
	query_result_fini(&result);
	query_fini(&query);
	return count;
}

static void test_damaged_files_are_survived(void **state)
{
	const size_t times = rounds(61);
	size_t answered = 0, whole = 0;

	(void)state;
	for (size_t i = 0; i < times; i++) {
		make_history(1000 + i);
		damage(HISTORY_FILE, (unsigned int)(i % 4));
		if (i % 3 == 0)
			damage(HISTORY_FILE "-wal", (unsigned int)(i % 5));
		if (i % 7 == 0)
			damage(HISTORY_FILE "-shm", (unsigned int)(i % 2));
		world_open(&world, 1 << 20);
		check_truth(i % 3 != 0);
		while (salvage_run(world.history))
			;
		answered += check_truth(i % 3 != 0) > 0;
		/* And it goes on. */
		for (size_t j = 0; j < 3; j++) {
			world_append(&world, 211, 0);
			if (world_flush(&world) < 0)
				assert_int_equal(history_start_over(world.history), 0);
		}
		whole += check_truth(i % 3 != 0) == world.count;
		world_fini(&world);
	}
	/* Most damage hits what holds rows, and leaves the rest. */
	assert_true(answered > times / 2);
	assert_true(whole < times);
}

static void test_a_foreign_file_is_set_aside(void **state)
{
	static const char *const contents[] = { "this is no database", "", "SQLite format 3" };
	CLOSE int fd = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		world_begin(&world, 1 << 20, 31);
		world_kill(&world);
		world_remove_file(&world, HISTORY_FILE "-wal");
		world_remove_file(&world, HISTORY_FILE "-shm");
		fd = openat(world.directory, HISTORY_FILE, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_int_equal(write(fd, contents[i], strlen(contents[i])), strlen(contents[i]));
		close(TAKE_FD(fd));
		world.count = 0;
		world_open(&world, 1 << 20);
		world_append(&world, 101, 0);
		assert_int_equal(world_flush(&world), 0);
		world_check_all(&world);
		assert_int_equal(world_count_files(&world, HISTORY_FILE ".corrupt-"), i != 1);
		world_fini(&world);
	}
}

/* Whatever is wrong in the first page, which says what the file is: the rest is taken over. */
static void test_a_damaged_first_page_loses_no_block(void **state)
{
	static const struct {
		off_t at;
		char bytes[8];
		size_t size;
	} damages[] = {
		{ 0, "sqlite", 6 },	  /* the magic */
		{ 16, "\1\1", 2 },	  /* the size of a page */
		{ 18, "\7\7", 2 },	  /* who may read it */
		{ 100, "\0\0\0\0\0", 5 }, /* the tables */
		{ 8000, "TABLE", 5 },	  /* their texts */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		CLOSE int fd = -1;

		make_history(51 + i);
		world_open(&world, 1 << 20);
		assert_int_equal(database_run(world.history->database,
					      "PRAGMA wal_checkpoint(TRUNCATE)"),
				 0);
		world_kill(&world);
		fd = openat(world.directory, HISTORY_FILE, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, damages[i].bytes, damages[i].size, damages[i].at),
				 damages[i].size);
		world_open(&world, 1 << 20);
		assert_int_equal(world_count_files(&world, HISTORY_FILE ".corrupt-"), 1);
		while (salvage_run(world.history))
			;
		world_check_all(&world);
		assert_false(history_is_complete(world.history, 0, 0, 0));
		world_fini(&world);
	}
}

/* The same kind of file, but another version of us made it. */
static void test_another_version_is_set_aside(void **state)
{
	CLEANUP(sqlite3) sqlite3 *database = NULL;

	(void)state;
	world_begin(&world, 1 << 20, 32);
	world_append(&world, 101, 0);
	world_end(&world);
	assert_int_equal(sqlite3_open(world_path(&world), &database), SQLITE_OK);
	assert_int_equal(database_run(database, "PRAGMA user_version=2"), 0);
	sqlite3_close(TAKE(database));
	world.count = 0;
	world_open(&world, 1 << 20);
	assert_int_equal(world_count_files(&world, HISTORY_FILE ".corrupt-"), 1);
	world_check_all(&world);
}

/* However often: a few are kept. */
static void test_few_files_are_kept_aside(void **state)
{
	CLOSE int fd = -1;

	(void)state;
	world_begin(&world, 1 << 20, 33);
	for (size_t i = 0; i < 5; i++) {
		world_end(&world);
		world_remove_file(&world, HISTORY_FILE "-wal");
		fd = openat(world.directory, HISTORY_FILE, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_int_equal(write(fd, "gone", 4), 4);
		close(TAKE_FD(fd));
		world_open(&world, 1 << 20);
	}
	assert_in_range(world_count_files(&world, HISTORY_FILE ".corrupt-"), 2, 2);
}

/* While the server runs. */
static void test_damage_while_running(void **state)
{
	CLEANUP(sqlite3) sqlite3 *database = NULL;

	(void)state;
	world_begin(&world, 1 << 20, 34);
	world_append(&world, 2003, 0);
	assert_int_equal(world_flush(&world), 0);
	/* Somebody takes a table away. */
	assert_int_equal(sqlite3_open(world_path(&world), &database), SQLITE_OK);
	assert_int_equal(database_run(database, "DROP TABLE gap; DROP TABLE block"), 0);
	sqlite3_close(TAKE(database));
	world_append(&world, 1009, 0);
	assert_int_equal(world_flush(&world), -EBADMSG);
	assert_int_equal(history_start_over(world.history), 0);
	while (salvage_run(world.history))
		;
	assert_int_equal(world_flush(&world), 0);
	assert_false(history_is_complete(world.history, 0, 0, 0));
	world_append(&world, 503, 0);
	assert_int_equal(world_flush(&world), 0);
	check_truth(true);
	/* A server after this one goes on with what there is. */
	world_kill(&world);
	world_open(&world, 1 << 20);
	assert_true(check_truth(true) >= 503);
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
		cmocka_unit_test_teardown(test_damaged_files_are_survived, teardown),
		cmocka_unit_test_teardown(test_a_foreign_file_is_set_aside, teardown),
		cmocka_unit_test_teardown(test_a_damaged_first_page_loses_no_block, teardown),
		cmocka_unit_test_teardown(test_another_version_is_set_aside, teardown),
		cmocka_unit_test_teardown(test_few_files_are_kept_aside, teardown),
		cmocka_unit_test_teardown(test_damage_while_running, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
