/* SPDX-License-Identifier: MIT */
/* For tests of loader/object.h on the running kernel: fixtures, and what is left of them. */
#ifndef TESTS_OBJECT_FIXTURE_H
#define TESTS_OBJECT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loader/kernel_features.h"
#include "loader/object.h"

#define FIXTURE_PREFIX                                                                             \
	"loader_" /* of every function of every fixture, and so of their maps of constants */
#define CALLS 7
#define DEADLINE_MS 5000

static struct kernel_features kernel;

struct fixture {
	void *bytes;
	size_t size;
};

/* Lives until the test ends: objects keep no copy. */
static inline struct fixture open_fixture(const char *name)
{
	struct fixture fixture;
	char path[512];
	struct stat status;
	CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/%s.bpf.o", TEST_OBJECT_DIR, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	fixture.size = (size_t)status.st_size;
	fixture.bytes = mmap(NULL, fixture.size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(fixture.bytes, MAP_FAILED);
	return fixture;
}

/* Runs the test that is its state. (cmocka takes a skip in a setup function for a failure.) */
static inline void on_kernel(void **state)
{
	char error[MESSAGE_TEXT_SIZE];

	if (kernel_check(error, sizeof(error)) < 0) {
		print_message("skipped: %s\n", error);
		skip();
	}
	((CMUnitTestFunction)*state)(state);
}

/* ---- what is in the kernel ---- */

static inline bool program_exists(const char *prefix)
{
	uint32_t id = 0;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = { .id = 0 };
		uint32_t size = sizeof(info);
		CLOSE int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    !strncmp(info.name, prefix, strlen(prefix)))
			return true;
	}
	return false;
}

static inline bool map_exists(const char *prefix)
{
	uint32_t id = 0;

	while (bpf_map_get_next_id(id, &id) == 0) {
		struct bpf_map_info info = { .id = 0 };
		uint32_t size = sizeof(info);
		CLOSE int fd = bpf_map_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    !strncmp(info.name, prefix, strlen(prefix)))
			return true;
	}
	return false;
}

/* The kernel frees a little after the last descriptor is closed. */
static inline void assert_nothing_left(void)
{
	uint64_t end = clock_boot_ns() + DEADLINE_MS * NS_PER_MS;

	while (program_exists(FIXTURE_PREFIX) || map_exists(FIXTURE_PREFIX)) {
		if (clock_boot_ns() > end)
			fail_msg("programs or maps of a fixture are still in the kernel");
		poll(NULL, 0, 1);
	}
}

struct found_map {
	const char *name;
	int fd;
};

static inline int find_map(void *context, const char *name, int fd)
{
	struct found_map *wanted = context;

	if (strcmp(name, wanted->name))
		return 0;
	wanted->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 1;
}

static inline int open_map(const struct object *object, const char *name)
{
	struct found_map wanted = { .name = name, .fd = -1 };

	assert_int_equal(object_each_map(object, find_map, &wanted), 1);
	assert_true(wanted.fd >= 0);
	return wanted.fd;
}

static inline uint32_t map_id(int fd)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

static inline void call_getpgid(unsigned int times)
{
	while (times--)
		assert_true(syscall(SYS_getpgid, 0) >= 0);
}

static inline void attach(struct object *object)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = object_attach(object, error, sizeof(error));

	assert_string_equal(error, "");
	assert_int_equal(r, 0);
}

static inline void expect_load_error(const char *fixture_name, const struct object_setting *setting,
				     int expected, const char *words)
{
	struct fixture fixture = open_fixture(fixture_name);
	const struct object_options options = { .kernel = &kernel,
						.settings = setting,
						.setting_count = setting ? 1 : 0 };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = object_load(fixture_name, fixture.bytes, fixture.size, &options, &object, error,
			    sizeof(error));

	assert_true(expected ? r == expected : r < 0);
	assert_null(object);
	if (!strstr(error, words))
		fail_msg("\"%s\" does not say \"%s\"", error, words);
	assert_null(strchr(error, '\n'));
	assert_null(strstr(error, "libbpf"));
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

static inline int begin(void **state)
{
	(void)state;
	kernel_features_init(&kernel);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	kernel_features_fini(&kernel);
	return 0;
}

#define ON_KERNEL(test)                                                                            \
	{                                                                                          \
		.name = #test, .test_func = on_kernel, .initial_state = (void *)(test)             \
	}

#endif
