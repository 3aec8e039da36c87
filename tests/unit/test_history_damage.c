/* SPDX-License-Identifier: MIT */
/* Files that are cut, changed, of somebody else, or taken away: what is whole answers, what is
 * missing is said, and it goes on. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "history_world.h"

static struct world world;

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

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
	const size_t times = world_rounds(61);
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
		cmocka_unit_test_teardown(test_damaged_files_are_survived, teardown),
		cmocka_unit_test_teardown(test_a_foreign_file_is_set_aside, teardown),
		cmocka_unit_test_teardown(test_a_damaged_first_page_loses_no_block, teardown),
		cmocka_unit_test_teardown(test_another_version_is_set_aside, teardown),
		cmocka_unit_test_teardown(test_few_files_are_kept_aside, teardown),
		cmocka_unit_test_teardown(test_damage_while_running, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
