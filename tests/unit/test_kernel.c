/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/memory.h"
#include "schema/kernel.h"
#include "schema/symbol_table.h"

/* Symbols of a text; the descriptor stays with the symbols. */
static struct symbols *symbols_of(const char *text, int *ret_fd)
{
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (ret_fd)
		*ret_fd = fd;
	return symbols_new(fd);
}

static void assert_symbol(struct symbols *symbols, uint64_t address, const char *expected,
			  uint64_t expected_offset)
{
	uint64_t offset = 77;
	const char *name = symbols_lookup(symbols, address, &offset);

	if (!expected) {
		assert_null(name);
		return;
	}
	if (!name)
		fail_msg("%#llx is not known as %s", (unsigned long long)address, expected);
	assert_string_equal(name, expected);
	assert_int_equal(offset, expected_offset);
}

static const char some[] = "0000000000000000 A fixed_percpu_data\n"
			   "ffffffff81000200 t third\n" /* not in order */
			   "ffffffff81000000 T first\n"
			   "ffffffff81000000 T first_again\n"
			   "ffffffff810000f0 t __pfx_second\n"
			   "ffffffff81000100 W second\n"
			   "ffffffff81000300 D some_data\n"
			   "ffffffff81000400 B more_data\n"
			   "ffffffffc0000000 t in_module\t[some_module]\n"
			   "ffffffffc0000080 w weak_in_module\t[some_module]\n";

static void addresses_have_names(void **state)
{
	CLEANUP(symbols) struct symbols *symbols = symbols_of(some, NULL);

	(void)state;
	assert_symbol(symbols, 0xffffffff81000000, "first", 0); /* the first of its names */
	assert_symbol(symbols, 0xffffffff810000ef, "first", 0xef);
	assert_symbol(symbols, 0xffffffff810000f8, "first", 0xf8); /* padding is no function */
	assert_symbol(symbols, 0xffffffff81000100, "second", 0);
	assert_symbol(symbols, 0xffffffff810002ff, "third", 0xff);
	assert_symbol(symbols, 0xffffffffc000007f, "in_module", 0x7f);
	assert_symbol(symbols, 0xffffffffc0000080, "weak_in_module", 0);
}

static void what_is_no_text_is_unknown(void **state)
{
	CLEANUP(symbols) struct symbols *symbols = symbols_of(some, NULL);

	(void)state;
	assert_symbol(symbols, 0, NULL, 0);
	assert_symbol(symbols, 0x7fffffffffff, NULL, 0);
	assert_symbol(symbols, 0xffffffff80ffffff, NULL, 0);
	assert_symbol(symbols, 0xffffffff81000300, NULL, 0); /* data ends the text before it */
	assert_symbol(symbols, 0xffffffff81000500, NULL, 0);
	assert_symbol(symbols, 0xffffffffbfffffff, NULL, 0);
	/* Nothing says where the last one ends, but no function has a megabyte. */
	assert_symbol(symbols, 0xffffffffc0000080 + (1 << 20) - 1, "weak_in_module", (1 << 20) - 1);
	assert_symbol(symbols, 0xffffffffc0000080 + (1 << 20), NULL, 0);
	assert_symbol(symbols, UINT64_MAX, NULL, 0);
}

static void the_end_of_the_address_space_is_no_trap(void **state)
{
	CLEANUP(symbols) struct symbols *symbols = symbols_of("fffffffffffffff0 T last\n", NULL);

	(void)state;
	assert_symbol(symbols, UINT64_MAX, "last", 15);
}

static void hidden_addresses_are_no_symbols(void **state)
{
	CLEANUP(symbols)
	struct symbols *symbols =
		symbols_of("0000000000000000 T first\n0000000000000000 T second\n", NULL);

	(void)state;
	assert_symbol(symbols, 0, NULL, 0);
	assert_symbol(symbols, 5, NULL, 0);
	assert_symbol(symbols, 0xffffffff81000000, NULL, 0);
}

static void without_a_file_nothing_is_known(void **state)
{
	CLEANUP(symbols) struct symbols *none = symbols_new(-1);
	CLEANUP(symbols) struct symbols *empty = symbols_of("", NULL);
	CLEANUP(symbols) struct symbols *folder = symbols_new(open("/", O_RDONLY | O_CLOEXEC));

	(void)state;
	assert_symbol(none, 0xffffffff81000000, NULL, 0);
	assert_symbol(empty, 0xffffffff81000000, NULL, 0);
	assert_symbol(folder, 0xffffffff81000000, NULL, 0);
	symbols_free(NULL);
}

static void broken_lines_are_passed_over(void **state)
{
	CLEANUP(symbols)
	struct symbols *symbols = symbols_of("\n"
					     "ffffffff81000000\n"
					     "ffffffff81000000 T\n"
					     "ffffffff81000000 T \n"
					     "zzzz T not_hexadecimal\n"
					     "ffffffff8100000000 T too_long\n"
					     " T no_address\n"
					     "ffffffff81000000 TT two_letters\n"
					     "ffffffff81000000 T has\"quote\n"
					     "ffffffff81000000 T has<angle\n"
					     "ffffffff81000000 T has\x01control\n"
					     "ffffffff81000000 T caf\xc3\xa9\n"
					     "ffffffff81000010 T good\n"
					     "ffffffff81000020 T unfinished",
					     NULL);

	(void)state;
	assert_symbol(symbols, 0xffffffff81000010, "good", 0);
	assert_symbol(symbols, 0xffffffff8100000f, NULL, 0);
	assert_symbol(symbols, 0xffffffff81000020, "good", 0x10);
}

static void lines_are_not_cut_by_reads(void **state)
{
	FREE char *text = malloc(400000);
	uint64_t address = 0xffffffff81000000;
	char name[32];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 8000; i++, address += 16)
		length += (size_t)sprintf(text + length, "%llx t function_number_%d\n",
					  (unsigned long long)address, i * 7919);
	CLEANUP(symbols) struct symbols *symbols = symbols_of(text, NULL);
	for (int i = 0; i < 7999; i++) {
		snprintf(name, sizeof(name), "function_number_%d", i * 7919);
		assert_symbol(symbols, 0xffffffff81000000 + (uint64_t)i * 16 + 3, name, 3);
	}
}

static void a_line_without_end_is_no_trap(void **state)
{
	FREE char *text = malloc(200001);

	(void)state;
	memset(text, 'f', 200000);
	text[200000] = '\0';
	CLEANUP(symbols) struct symbols *symbols = symbols_of(text, NULL);
	assert_symbol(symbols, 0xffffffff81000000, NULL, 0);
	/* Too long a name is no name. */
	memcpy(text, "ffffffff81000000 T ", 19);
	text[1000] = '\n';
	text[1001] = '\0';
	CLEANUP(symbols) struct symbols *longer = symbols_of(text, NULL);
	assert_symbol(longer, 0xffffffff81000000, NULL, 0);
}

struct matches {
	struct {
		uint64_t start, end;
	} ranges[16];
	size_t count;
};

static void note(void *context, uint64_t start, uint64_t end)
{
	struct matches *matches = context;

	assert_true(matches->count < ARRAY_SIZE(matches->ranges));
	matches->ranges[matches->count].start = start;
	matches->ranges[matches->count++].end = end;
}

static void globs_give_ranges(void **state)
{
	CLEANUP(symbols) struct symbols *symbols = symbols_of(some, NULL);
	struct matches matches = { .count = 0 };

	(void)state;
	symbols_match(symbols, "second", note, &matches);
	assert_int_equal(matches.count, 1);
	assert_int_equal(matches.ranges[0].start, 0xffffffff81000100);
	assert_int_equal(matches.ranges[0].end, 0xffffffff810001ff);
	matches.count = 0;
	symbols_match(symbols, "first*", note, &matches);
	assert_int_equal(matches.count, 2);
	assert_int_equal(matches.ranges[1].start, 0xffffffff81000000);
	assert_int_equal(matches.ranges[1].end, 0xffffffff810000ff);
	matches.count = 0;
	symbols_match(symbols, "*", note, &matches);
	assert_int_equal(matches.count, 6);
	assert_int_equal(matches.ranges[3].end, 0xffffffff810002ff);
	matches.count = 0;
	symbols_match(symbols, "some_data", note, &matches);
	symbols_match(symbols, "", note, &matches);
	assert_int_equal(matches.count, 0);
}

/* What comes after the first reading is found by the next one; old names stay where they are. */
static void a_table_read_again_has_what_came(void **state)
{
	static const char more[] = "ffffffff81000000 T first\nffffffffd0000000 t late\t[module]\n";
	struct symbol_table *before = NULL, *after = NULL;
	struct name_pool pool = { 0 };
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	const char *name;
	uint32_t used;

	(void)state;
	assert_int_equal(write(fd, some, strlen(some)), strlen(some));
	assert_int_equal(symbol_table_read(fd, &pool, &before), 0);
	assert_int_equal(symbol_table_find(before, 0xffffffffd0000000), -1);
	name = name_pool_get(&pool, before->names[symbol_table_find(before, 0xffffffff81000000)]);
	used = pool.used[0];
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, more, strlen(more), 0), strlen(more));
	assert_int_equal(symbol_table_read(fd, &pool, &after), 0);
	assert_string_equal(
		name_pool_get(&pool, after->names[symbol_table_find(after, 0xffffffffd0000000)]),
		"late");
	assert_ptr_equal(name_pool_get(&pool,
				       after->names[symbol_table_find(after, 0xffffffff81000000)]),
			 name);
	assert_int_equal(pool.used[0], used + sizeof("late"));
	free(before);
	free(after);
	name_pool_fini(&pool);
	close(fd);
}

static void an_unknown_address_does_not_read_at_once_again(void **state)
{
	static const char more[] = "ffffffffd0000000 t late\n";
	int fd;
	CLEANUP(symbols) struct symbols *symbols = symbols_of(some, &fd);

	(void)state;
	assert_symbol(symbols, 0xffffffff81000000, "first", 0);
	assert_int_equal(write(fd, more, strlen(more)), strlen(more));
	/* The table is younger than a second. */
	assert_symbol(symbols, 0xffffffffd0000000, NULL, 0);
}

static void the_running_kernel_is_read(void **state)
{
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	FREE char *line = NULL;
	size_t size = 0, checked = 0;
	uint64_t address, offset;
	char type, name[256];
	FILE *file;

	(void)state;
	file = fopen("/proc/kallsyms", "re");
	if (fd < 0 || !file) {
		print_message("skipped: /proc/kallsyms cannot be opened\n");
		skip();
	}
	CLEANUP(symbols) struct symbols *symbols = symbols_new(fd);
	while (getline(&line, &size, file) > 0) {
		const char *found;

		if (sscanf(line, "%lx %c %255s", &address, &type, name) != 3 || !address ||
		    !strchr("tT", type) || !strncmp(name, "__pfx_", 6) ||
		    !strncmp(name, "__cfi_", 6) || ++checked % 97)
			continue;
		found = symbols_lookup(symbols, address, &offset);
		if (!found)
			fail_msg("%s is not found", name);
		assert_int_equal(offset, 0);
	}
	fclose(file);
	if (!checked) {
		print_message("skipped: addresses in /proc/kallsyms are hidden from this user\n");
		skip();
	}
}

static void what_is_kept_is_small(void **state)
{
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	struct symbol_table *table = NULL;
	struct name_pool pool = { 0 };
	size_t bytes = 0;

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(symbol_table_read(fd, &pool, &table), 0);
	for (size_t i = 0; i < NAME_CHUNKS && pool.chunks[i]; i++)
		bytes += NAME_CHUNK_SIZE;
	bytes += table->count * (sizeof(table->addresses[0]) + sizeof(table->names[0]));
	print_message("%zu symbols in %zu bytes\n", table->count, bytes);
	assert_true(bytes < 4000000);
	free(table);
	name_pool_fini(&pool);
	close(fd);
}

static void errors_have_names(void **state)
{
	static const struct {
		int number;
		const char *name;
	} cases[] = {
		{ EPERM, "EPERM" },
		{ ENOENT, "ENOENT" },
		{ EAGAIN, "EAGAIN" },
		{ EOPNOTSUPP, "EOPNOTSUPP" },
		{ ECONNREFUSED, "ECONNREFUSED" },
		{ EINPROGRESS, "EINPROGRESS" },
		{ EHWPOISON, "EHWPOISON" },
		{ 512, "ERESTARTSYS" },
		{ 513, "ERESTARTNOINTR" },
		{ 514, "ERESTARTNOHAND" },
		{ 515, "ENOIOCTLCMD" },
		{ 516, "ERESTART_RESTARTBLOCK" },
		{ 524, "ENOTSUPP" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(errno_name(cases[i].number), cases[i].name);
		assert_int_equal(errno_number(cases[i].name), cases[i].number);
	}
	/* The C library's own list is the measure for all of them. */
	for (int number = 1; number < 512; number++) {
		const char *theirs = strerrorname_np(number), *ours = errno_name(number);

		assert_int_equal(theirs != NULL, ours != NULL);
		if (theirs && strcmp(theirs, ours))
			assert_int_equal(errno_number(theirs), number); /* another name for it */
	}
	assert_null(errno_name(0));
	assert_null(errno_name(-1));
	assert_null(errno_name(134));
	assert_null(errno_name(ERRNO_LIMIT));
	assert_int_equal(errno_number("econnrefused"), ECONNREFUSED);
	assert_int_equal(errno_number("EWOULDBLOCK"), EAGAIN);
	assert_int_equal(errno_number("ENOTSUP"), EOPNOTSUPP);
	assert_int_equal(errno_number("EDEADLOCK"), EDEADLK);
	assert_int_equal(errno_number(""), 0);
	assert_int_equal(errno_number("ENOSUCHERROR"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_names),
		cmocka_unit_test(what_is_no_text_is_unknown),
		cmocka_unit_test(the_end_of_the_address_space_is_no_trap),
		cmocka_unit_test(hidden_addresses_are_no_symbols),
		cmocka_unit_test(without_a_file_nothing_is_known),
		cmocka_unit_test(broken_lines_are_passed_over),
		cmocka_unit_test(lines_are_not_cut_by_reads),
		cmocka_unit_test(a_line_without_end_is_no_trap),
		cmocka_unit_test(globs_give_ranges),
		cmocka_unit_test(a_table_read_again_has_what_came),
		cmocka_unit_test(an_unknown_address_does_not_read_at_once_again),
		cmocka_unit_test(the_running_kernel_is_read),
		cmocka_unit_test(what_is_kept_is_small),
		cmocka_unit_test(errors_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
