/* SPDX-License-Identifier: MIT */
/* loader/object.h: objects whose functions attach to network interfaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "loader/kernel_features.h"
#include "loader/object.h"

#define NAME "loader_interfaces"

static struct kernel_features kernel;
static void *bytes;
static size_t size;

static int open_object(void **state)
{
	CLOSE int fd = open(TEST_OBJECT_DIR "/" NAME ".bpf.o", O_RDONLY | O_CLOEXEC);
	struct stat status;

	(void)state;
	kernel_features_init(&kernel);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	size = (size_t)status.st_size;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	return bytes == MAP_FAILED ? -1 : 0;
}

static int close_object(void **state)
{
	(void)state;
	kernel_features_fini(&kernel);
	return munmap(bytes, size);
}

static int load(bool interfaces, struct object **ret_object, char *error, size_t error_size)
{
	const struct object_options options = { .kernel = &kernel, .interfaces = interfaces };

	return object_load(NAME, bytes, size, &options, ret_object, error, error_size);
}

static void test_none_is_named(void **state)
{
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";

	(void)state;
	assert_int_equal(load(false, &object, error, sizeof(error)), -ENODEV);
	assert_string_equal(error, "runs when an interface is named: --interface");
	assert_null(object);
}

static void assert_next(const struct object *object, enum interface_direction direction,
			unsigned int after, unsigned int expected_rank,
			enum interface_hook expected_hook)
{
	enum interface_hook hook;
	unsigned int rank;

	assert_true(object_interface_function(object, direction, after, &rank, &hook) >= 0);
	assert_int_equal(rank, expected_rank);
	assert_int_equal(hook, expected_hook);
}

/* Of each hook the best function that the kernel takes; they are attached by somebody else. */
static void test_alternatives_for_each(void **state)
{
	CLEANUP(object) struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	enum interface_hook hook;
	unsigned int rank;

	(void)state;
	if (kernel_check(error, sizeof(error)) < 0) {
		print_message("skipped: %s\n", error);
		skip();
	}
	if (load(true, &object, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	assert_true(object_needs_interfaces(object));
	assert_int_equal(object_attach(object, error, sizeof(error)), 0);
	assert_string_equal(object_hook(object), "");
	assert_non_null(strstr(object_fallback_reason(object), "xdp: refused by the verifier: "));
	assert_next(object, INTERFACE_INGRESS, 0, 2, INTERFACE_XDP);
	assert_next(object, INTERFACE_INGRESS, 2, 3, INTERFACE_TC_INGRESS);
	assert_int_equal(object_interface_function(object, INTERFACE_INGRESS, 3, &rank, &hook),
			 -ENOENT);
	assert_next(object, INTERFACE_EGRESS, 0, 1, INTERFACE_TC_EGRESS);
	assert_int_equal(object_interface_function(object, INTERFACE_EGRESS, 1, &rank, &hook),
			 -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_is_named),
		cmocka_unit_test(test_alternatives_for_each),
	};

	return cmocka_run_group_tests(tests, open_object, close_object);
}
