/* SPDX-License-Identifier: MIT */
/* lists/list_file.h: what is written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "lists/list_file.h"
#include "lists_fixture.h"

static void add_text(struct entry_set *set, const char *text)
{
	uint8_t entry[ENTRY_SIZE_MAX];

	if (*text == '#')
		ip_entry_from_number((uint32_t)strtoul(text + 1, NULL, 10), entry);
	else
		assert_int_equal(ip_entry_parse(text, entry), 0);
	assert_int_equal(entry_set_add(set, entry), 1);
}

static void files_hold_what_was_given(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	ENTRY_SET read = { .list = SHARED_IPS };
	uint32_t option = 0;
	char text[512], error[200] = "";

	(void)state;
	add_text(&set, "#1");
	add_text(&set, "10.0.0.0/8");
	add_text(&set, "2001:db8::1");
	add_text(&set, "#4294967295");
	assert_int_equal(list_file_prepare(directory, &set, 0), 0);
	assert_false(is_there("ip_list"));
	assert_int_equal(list_file_commit(directory, SHARED_IPS), 0);
	assert_false(is_there("ip_list.new"));
	get_text("ip_list", text, sizeof(text));
	assert_string_equal(text, "ebpf-server ip_list 1\n1\n10.0.0.0/8\n2001:db8::1\n4294967295\n"
				  "end 4 9e51790c\n");
	assert_int_equal(list_file_read(directory, &read, &option, error, sizeof(error)), 0);
	assert_int_equal(read.count, 4);
	assert_memory_equal(read.entries, set.entries, 4 * shared_list_entry_size(SHARED_IPS));
}

static void files_of_processes(void **state)
{
	ENTRY_SET set = { .list = SHARED_PROCESSES };
	ENTRY_SET read = { .list = SHARED_PROCESSES };
	uint8_t entry[ENTRY_SIZE_MAX];
	uint32_t option = 0;
	char error[200] = "";

	(void)state;
	for (int64_t pid = 1; pid <= SHARED_PROCESSES_MAX; pid++) {
		assert_int_equal(process_entry_make(pid * 409, entry), 0);
		assert_int_equal(entry_set_add(&set, entry), 1);
	}
	assert_int_equal(list_file_prepare(directory, &set, 1), 0);
	assert_int_equal(list_file_commit(directory, SHARED_PROCESSES), 0);
	assert_int_equal(list_file_read(directory, &read, &option, error, sizeof(error)), 0);
	assert_int_equal(option, 1);
	assert_int_equal(read.count, SHARED_PROCESSES_MAX);
	assert_memory_equal(read.entries, set.entries,
			    read.count * shared_list_entry_size(SHARED_PROCESSES));
}

static void a_full_file(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	ENTRY_SET read = { .list = SHARED_IPS };
	uint32_t option = 0;
	char error[200] = "";

	(void)state;
	for (unsigned int i = 0; i < SHARED_IPS_MAX; i++) {
		uint8_t entry[ENTRY_SIZE_MAX];
		char text[80];

		snprintf(text, sizeof(text), "ffff:ffff:ffff:ffff:ffff:ffff:%x:fffe/127",
			 (i + 1) & 0xffff);
		assert_int_equal(ip_entry_parse(text, entry), 0);
		assert_int_equal(entry_set_add(&set, entry), 1);
	}
	assert_int_equal(list_file_prepare(directory, &set, 0), 0);
	assert_int_equal(list_file_commit(directory, SHARED_IPS), 0);
	assert_int_equal(list_file_read(directory, &read, &option, error, sizeof(error)), 0);
	assert_int_equal(read.count, SHARED_IPS_MAX);
}

static int read_text(enum shared_list list, const char *text, char *error, size_t error_size)
{
	ENTRY_SET set = { .list = list };
	uint32_t option = 0;
	int r;

	error[0] = '\0';
	put_text(shared_list_kinds[list].map, text);
	r = list_file_read(directory, &set, &option, error, error_size);
	assert_true(r == 0 || set.count == 0);
	return r;
}

static void files_that_cannot_be_read(void **state)
{
	static const char good[] = "ebpf-server ip_list 1\n1\n10.0.0.0/8\n2001:db8::1\n4294967295\n"
				   "end 4 9e51790c\n";
	char text[sizeof(good)], error[200];

	(void)state;
	assert_int_equal(read_text(SHARED_IPS, good, error, sizeof(error)), 0);
	/* Cut anywhere, or with any byte changed. */
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		memcpy(text, good, sizeof(good));
		text[i] = '\0';
		if (read_text(SHARED_IPS, text, error, sizeof(error)) != -EBADMSG || !*error)
			fail_msg("cut after %zu bytes it was taken", i);
		memcpy(text, good, sizeof(good));
		text[i] ^= 1;
		if (read_text(SHARED_IPS, text, error, sizeof(error)) != -EBADMSG || !*error)
			fail_msg("it was taken with byte %zu changed", i);
	}
	/* Of another list or version, whole as they are. */
	assert_int_equal(read_text(SHARED_PROCESSES, good, error, sizeof(error)), -EBADMSG);
	assert_int_equal(read_text(SHARED_IPS, "ebpf-server ip_list 2\nend 0 79eeafb8\n", error,
				   sizeof(error)),
			 -EBADMSG);
	assert_int_equal(read_text(SHARED_IPS, "end 0 00000000\n", error, sizeof(error)), -EBADMSG);
	assert_int_equal(read_text(SHARED_IPS, "\n", error, sizeof(error)), -EBADMSG);
	assert_int_equal(read_text(SHARED_IPS, "", error, sizeof(error)), -EBADMSG);
}

/* CRC-32 of IEEE 802.3, bit by bit: not the library's. */
static void with_end(char *out, size_t size, const char *body, unsigned int count)
{
	uint32_t sum = 0xffffffff;

	for (const char *byte = body; *byte; byte++) {
		sum ^= (uint8_t)*byte;
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	snprintf(out, size, "%send %u %08x\n", body, count, ~sum);
}

static void files_with_other_lines(void **state)
{
	static const char *const bodies[] = {
		"ebpf-server ip_list 1\n10.0.0.1\n10.0.0.1\n",	 /* twice */
		"ebpf-server ip_list 1\n10.0.0.1\n1\n#\n",	 /* one too many */
		"ebpf-server ip_list 1\n10.0.0.1\n10.0.0.256\n", /* no address */
		"ebpf-server ip_list 1\n10.0.0.1\n",		 /* one too few */
		"ebpf-server ip_list 1\n10.0.0.1\n\n",
		"ebpf-server ip_list 1\n10.0.0.1\n4294967296\n",
		"ebpf-server ip_list 1\n10.0.0.1\n-1\n",
	};
	char text[300], error[200];

	(void)state;
	with_end(text, sizeof(text), "ebpf-server ip_list 1\n10.0.0.1\n1\n", 2);
	assert_int_equal(read_text(SHARED_IPS, text, error, sizeof(error)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		with_end(text, sizeof(text), bodies[i], 2);
		if (read_text(SHARED_IPS, text, error, sizeof(error)) != -EBADMSG)
			fail_msg("taken:\n%s", text);
	}
	with_end(text, sizeof(text), "ebpf-server process_list 1\nboot 1\noption 0\n1\n", 1);
	assert_int_equal(read_text(SHARED_PROCESSES, text, error, sizeof(error)), -ESTALE);
	with_end(text, sizeof(text), "ebpf-server process_list 1\nboot x\noption 0\n1\n", 1);
	assert_int_equal(read_text(SHARED_PROCESSES, text, error, sizeof(error)), -EBADMSG);
	with_end(text, sizeof(text), "ebpf-server process_list 1\nboot 1\n1\n", 1);
	assert_int_equal(read_text(SHARED_PROCESSES, text, error, sizeof(error)), -EBADMSG);
}

static void files_that_are_none(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	uint32_t option = 0;
	char error[200] = "";

	(void)state;
	assert_int_equal(list_file_read(directory, &set, &option, error, sizeof(error)), -ENOENT);
	assert_int_equal(mkdirat(directory, "ip_list", 0700), 0);
	assert_int_equal(list_file_read(directory, &set, &option, error, sizeof(error)), -EBADMSG);
	assert_int_equal(unlinkat(directory, "ip_list", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/dev/zero", directory, "ip_list"), 0);
	assert_int_equal(list_file_read(directory, &set, &option, error, sizeof(error)), -ELOOP);
	assert_int_equal(unlinkat(directory, "ip_list", 0), 0);
	assert_int_equal(mknodat(directory, "ip_list", S_IFIFO | 0600, 0), 0);
	assert_int_equal(list_file_read(directory, &set, &option, error, sizeof(error)), -EBADMSG);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(files_hold_what_was_given),
		WITH_DIRECTORY(files_of_processes),
		WITH_DIRECTORY(a_full_file),
		WITH_DIRECTORY(files_that_cannot_be_read),
		WITH_DIRECTORY(files_with_other_lines),
		WITH_DIRECTORY(files_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
