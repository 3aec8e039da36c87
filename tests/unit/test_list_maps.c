/* SPDX-License-Identifier: MIT */
/* loader/shared_maps.h and loader/list_maps.h on the running kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lists/entries.h"
#include "loader/kernel_features.h"
#include "loader/list_maps.h"
#include "loader/message.h"
#include "loader/object.h"

static struct kernel_features kernel;
static struct shared_maps *maps;
static struct list_maps *lists;
static struct object *object;

struct note {
	uint32_t calls, verdict, listed, wanted;
};

/* ---- objects ---- */

struct fixture {
	void *bytes;
	size_t size;
};

static struct fixture open_fixture(const char *name)
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

static int load(const char *name, struct object **ret_object, char error[MESSAGE_TEXT_SIZE])
{
	struct fixture fixture = open_fixture(name);
	uint32_t pid = (uint32_t)getpid();
	const struct object_setting setting = { "loader_pid", (const uint8_t *)&pid, sizeof(pid) };
	const struct object_options options = {
		.kernel = &kernel,
		.settings = &setting,
		.setting_count = strcmp(name, "loader_shared_one") == 0,
		.shared = maps,
	};

	error[0] = '\0';
	/* The bytes live on: objects keep no copy. */
	return object_load(name, fixture.bytes, fixture.size, &options, ret_object, error,
			   MESSAGE_TEXT_SIZE);
}

static struct object *load_good(const char *name)
{
	char error[MESSAGE_TEXT_SIZE];
	struct object *loaded = NULL;
	int r = load(name, &loaded, error);

	assert_string_equal(error, "");
	assert_int_equal(r, 0);
	return loaded;
}

static int setup(void **state)
{
	(void)state;
	maps = shared_maps_new(list_map_forms);
	assert_non_null(maps);
	lists = list_maps_new(maps);
	assert_non_null(lists);
	object = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	object_unload(TAKE(object));
	list_maps_free(lists);
	shared_maps_free(maps);
	return 0;
}

/* Runs the test that is its state. (cmocka takes a skip in a setup function for a failure.) */
static void on_kernel(void **state)
{
	char error[MESSAGE_TEXT_SIZE];

	if (kernel_check(error, sizeof(error)) < 0) {
		print_message("skipped: %s\n", error);
		skip();
	}
	((CMUnitTestFunction)*state)(state);
}

static void start_program(void)
{
	char error[MESSAGE_TEXT_SIZE] = "";

	object = load_good("loader_shared_one");
	assert_int_equal(list_maps_fill(lists), 0);
	assert_int_equal(object_attach(object, error, sizeof(error)), 0);
}

/* What the program makes of 10.0.0.0 + `byte` and this process. */
static struct note ask(uint32_t byte)
{
	struct note note;
	uint32_t zero = 0;

	syscall(SYS_getpgid, byte);
	assert_int_equal(bpf_map_lookup_elem(shared_maps_find(maps, "loader_note"), &zero, &note),
			 0);
	return note;
}

/* ---- lists ---- */

/* Entries by their texts ("#7": given as a number), the last one NULL. */
static struct shared_list_image image_of(const char *const *texts)
{
	uint8_t entries[32 * ENTRY_SIZE_MAX], *at = entries;
	struct shared_list_image image = { .fd = -1 };

	for (; texts[image.count]; image.count++) {
		const char *text = texts[image.count];

		if (*text == '#')
			ip_entry_from_number((uint32_t)atoi(text + 1), at);
		else
			assert_int_equal(ip_entry_parse(text, at), 0);
		at += shared_list_entry_size(SHARED_IPS);
	}
	image.fd = shared_list_image_make(SHARED_IPS, entries, image.count);
	assert_true(image.fd >= 0);
	return image;
}

static int set_with(uint32_t option, const char *const *texts)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	struct shared_list_image image = image_of(texts);
	int r;

	image.option = option;
	r = list_maps_set(lists, SHARED_IPS, &image, error, sizeof(error));
	assert_int_equal(error[0] != '\0', r < 0);
	close(image.fd);
	return r;
}
#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SET(...) assert_int_equal(set_with(0, TEXTS(__VA_ARGS__)), 0)

static uint32_t count_in_kernel(void)
{
	int fd = shared_maps_find(maps, "ip_list");
	uint8_t key[20], next[20];
	uint32_t count = 0;

	for (void *at = NULL; bpf_map_get_next_key(fd, at, next) == 0; at = key) {
		memcpy(key, next, sizeof(key));
		count++;
	}
	return count;
}

static void state_in_kernel(const char *list, uint32_t count, uint32_t option)
{
	uint32_t values[2], zero = 0;
	char name[MESSAGE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s_state", list);
	assert_int_equal(bpf_map_lookup_elem(shared_maps_find(maps, name), &zero, values), 0);
	assert_int_equal(values[0], count);
	assert_int_equal(values[1], option);
}

/* ---- sharing ---- */

static int look_up(void *context, const char *name, int fd)
{
	uint32_t zero = 0;

	if (!strcmp(name, "loader_other"))
		assert_int_equal(bpf_map_lookup_elem(fd, &zero, context), 0);
	return 0;
}

static void one_map_for_all(void **state)
{
	CLEANUP(object) struct object *other = NULL;
	struct note note = { .calls = 41 };
	uint32_t zero = 0, seen = 0;
	char error[MESSAGE_TEXT_SIZE];
	int fd;

	(void)state;
	assert_int_equal(shared_maps_find(maps, "loader_note"), -1);
	other = load_good("loader_shared_other");
	fd = shared_maps_find(maps, "loader_note");
	assert_true(fd >= 0);
	assert_int_equal(shared_maps_find(maps, "loader_other"), -1);
	start_program();
	assert_int_equal(shared_maps_find(maps, "loader_note"), fd);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &note, BPF_ANY), 0);
	/* The one writes to it, and it outlives both. */
	assert_int_equal(ask(1).calls, 42);
	object_unload(TAKE(object));
	object_unload(TAKE(other));
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &note), 0);
	assert_int_equal(note.calls, 42);
	start_program();
	assert_int_equal(ask(1).calls, 43);
	/* The other one reads it. */
	other = load_good("loader_shared_other");
	assert_int_equal(object_attach(other, error, sizeof(error)), 0);
	ask(1);
	assert_int_equal(object_each_map(other, look_up, &seen), 0);
	assert_in_range(seen, 43, 44); /* which of both runs first is the kernel's choice */
}

static void other_forms_are_refused(void **state)
{
	struct object *none = NULL;
	char error[MESSAGE_TEXT_SIZE];

	(void)state;
	object = load_good("loader_shared_one");
	assert_int_equal(load("loader_shared_refused", &none, error), -EINVAL);
	assert_non_null(strstr(error, "map loader_note: it is shared with other programs"));
	assert_non_null(strstr(error, "value of 16 bytes"));
	assert_non_null(strstr(error, "value of 8,"));
	assert_null(none);
	/* The map was not touched by that. */
	assert_int_equal(list_maps_fill(lists), 0);
	assert_int_equal(object_attach(object, error, sizeof(error)), 0);
	assert_int_equal(ask(1).calls, 1);
}

static void lists_have_one_form(void **state)
{
	struct object *none = NULL;
	char error[MESSAGE_TEXT_SIZE];

	(void)state;
	assert_int_equal(load("loader_shared_list", &none, error), -EINVAL);
	assert_non_null(strstr(error, "map process_list:"));
	assert_non_null(strstr(error, "10240 entries; here"));
	assert_int_equal(shared_maps_find(maps, "process_list"), -1);
}

/* ---- lists ---- */

enum { WATCHED = 1, UNWANTED = 2, DROP = 4 };

static void programs_see_the_list(void **state)
{
	(void)state;
	start_program();
	assert_int_equal(ask(1).verdict, 0);
	SET("10.0.0.1");
	state_in_kernel("ip_list", 1, 0);
	assert_int_equal(ask(1).verdict, WATCHED);
	assert_int_equal(ask(1).listed, 1);
	assert_int_equal(ask(2).verdict, 0);
	assert_int_equal(ask(2).listed, 0);
	/* The second address counts too: 192.0.2.1. */
	SET("10.0.0.1", "192.0.2.0/24");
	assert_int_equal(ask(2).verdict, WATCHED);
	assert_int_equal(ask(2).listed, 0);
	SET("10.0.0.2/31");
	assert_int_equal(ask(1).verdict, 0);
	assert_int_equal(ask(2).verdict, WATCHED);
	assert_int_equal(ask(3).verdict, WATCHED);
	assert_int_equal(ask(4).verdict, 0);
	SET("10.0.0.0/8", "10.0.0.7");
	assert_int_equal(ask(200).verdict, WATCHED);
	SET("::/0");
	assert_int_equal(ask(200).verdict, WATCHED);
	SET("::/1", "2001:db8::/32");
	assert_int_equal(ask(200).verdict, WATCHED); /* ::ffff:… begins with a 0 */
	SET("8000::/1");
	assert_int_equal(ask(200).verdict, 0);
	SET("0.0.0.0/0");
	assert_int_equal(ask(200).verdict, WATCHED);
	SET("#167772163"); /* 10.0.0.3 */
	assert_int_equal(ask(3).verdict, WATCHED);
	assert_int_equal(count_in_kernel(), 1);
}

static void modes_and_empty_lists(void **state)
{
	struct shared_list_image empty = { .fd = -1, .option = 1 };
	char error[MESSAGE_TEXT_SIZE];

	(void)state;
	start_program();
	assert_int_equal(set_with(1, TEXTS("10.0.0.1")), 0);
	assert_int_equal(ask(1).verdict, WATCHED);
	assert_int_equal(ask(2).verdict, UNWANTED);
	assert_int_equal(list_maps_set_option(lists, SHARED_IPS, 2), 0);
	state_in_kernel("ip_list", 1, 2);
	assert_int_equal(ask(1).verdict, WATCHED | DROP);
	assert_int_equal(ask(2).verdict, 0);
	assert_int_equal(list_maps_image(lists, SHARED_IPS).option, 2);
	/* An empty list is none, whatever the mode. */
	assert_int_equal(list_maps_set(lists, SHARED_IPS, &empty, error, sizeof(error)), 0);
	state_in_kernel("ip_list", 0, 1);
	assert_int_equal(ask(1).verdict, 0);
	assert_int_equal(count_in_kernel(), 0);
	assert_int_equal(list_maps_image(lists, SHARED_IPS).fd, -1);
}

static void set_processes(const uint32_t *pids, uint32_t count, uint32_t option)
{
	uint8_t entries[8 * ENTRY_SIZE_MAX];
	char error[MESSAGE_TEXT_SIZE] = "";
	struct shared_list_image image = { .count = count, .option = option };

	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(
			process_entry_make(pids[i],
					   entries + i * shared_list_entry_size(SHARED_PROCESSES)),
			0);
	image.fd = shared_list_image_make(SHARED_PROCESSES, entries, count);
	assert_int_equal(list_maps_set(lists, SHARED_PROCESSES, &image, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	close(image.fd);
}

static void processes(void **state)
{
	uint32_t own = (uint32_t)getpid();

	(void)state;
	start_program();
	assert_int_equal(ask(1).wanted, 1);
	set_processes((const uint32_t[]){ own + 1, own + 2 }, 2, 0);
	assert_int_equal(ask(1).wanted, 0);
	state_in_kernel("process_list", 2, 0);
	set_processes((const uint32_t[]){ own + 1, own + 2 }, 2, 1);
	assert_int_equal(ask(1).wanted, 1);
	set_processes((const uint32_t[]){ own + 1, own }, 2, 0);
	assert_int_equal(ask(1).wanted, 1);
	set_processes(NULL, 0, 0);
	assert_int_equal(ask(1).wanted, 1);
	state_in_kernel("process_list", 0, 0);
}

static void a_list_waits_for_its_map(void **state)
{
	(void)state;
	assert_int_equal(set_with(1, TEXTS("10.0.0.1", "10.0.0.3")), 0);
	start_program();
	assert_int_equal(count_in_kernel(), 2);
	state_in_kernel("ip_list", 2, 1);
	assert_int_equal(ask(3).verdict, WATCHED);
	/* And again: nothing is there twice, or gone. */
	assert_int_equal(list_maps_fill(lists), 0);
	assert_int_equal(count_in_kernel(), 2);
	object_unload(TAKE(object));
	SET("10.0.0.5");
	start_program();
	assert_int_equal(ask(3).verdict, 0);
	assert_int_equal(ask(5).verdict, WATCHED);
}

/* ---- at an interface ---- */

enum { XDP_ACTION_DROP = 1, XDP_ACTION_PASS = 2 };

static uint32_t run_xdp(int program, uint32_t source, uint32_t destination)
{
	uint8_t frame[64] = { [12] = 8, [14] = 0x45 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);

	source = htonl(source);
	destination = htonl(destination);
	memcpy(frame + 26, &source, sizeof(source));
	memcpy(frame + 30, &destination, sizeof(destination));
	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	return options.retval;
}

/* The verifier takes the list there too; and each mode does what it says, by either address. */
static void packets_of_listed_addresses(void **state)
{
	struct fixture fixture = open_fixture("loader_shared_xdp");
	struct bpf_object *bpf = bpf_object__open_mem(fixture.bytes, fixture.size, NULL);
	char error[MESSAGE_TEXT_SIZE] = "";
	int program;

	(void)state;
	assert_non_null(bpf);
	assert_int_equal(shared_maps_give(maps, bpf, error, sizeof(error)), 0);
	assert_int_equal(bpf_object__load(bpf), 0);
	assert_int_equal(shared_maps_keep(maps, bpf, error, sizeof(error)), 0);
	assert_int_equal(list_maps_fill(lists), 0);
	program = bpf_program__fd(bpf_object__find_program_by_name(bpf, "loader_shared_xdp"));
	for (uint32_t mode = 0; mode < 3; mode++) {
		uint32_t action = mode == 2 ? XDP_ACTION_DROP : XDP_ACTION_PASS;

		assert_int_equal(set_with(mode, TEXTS("10.1.0.0/16", "192.0.2.7")), 0);
		assert_int_equal(run_xdp(program, 0x0a010203, 0x01020304), action);
		assert_int_equal(run_xdp(program, 0x01020304, 0x0a010203), action);
		assert_int_equal(run_xdp(program, 0xc0000207, 0x0a010203), action);
		assert_int_equal(run_xdp(program, 0xc0000208, 0x0a020203), XDP_ACTION_PASS);
	}
	bpf_object__close(bpf);
}

/* ---- what is refused ---- */

static void nothing_changes_when_the_kernel_refuses(void **state)
{
	uint8_t bad[3 * ENTRY_SIZE_MAX], value = 0;
	struct shared_list_image image = { .count = 3 };
	char error[MESSAGE_TEXT_SIZE] = "";
	uint32_t prefix = 129;

	(void)state;
	start_program();
	SET("10.0.0.1", "#167772162"); /* 10.0.0.2 */
	/* The second has another value now; the third is what the kernel refuses: its prefix. In
	 * the order of keys it comes last. */
	assert_int_equal(ip_entry_parse("10.0.0.9", bad), 0);
	assert_int_equal(ip_entry_parse("10.0.0.2", bad + ENTRY_SIZE_MAX), 0);
	assert_int_equal(ip_entry_parse("10.0.0.3", bad + 2 * ENTRY_SIZE_MAX), 0);
	memcpy(bad + 2 * ENTRY_SIZE_MAX, &prefix, sizeof(prefix));
	image.fd = shared_list_image_make(SHARED_IPS, bad, 3);
	assert_int_equal(list_maps_set(lists, SHARED_IPS, &image, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "the kernel does not take the list"));
	close(image.fd);
	state_in_kernel("ip_list", 2, 0);
	assert_int_equal(count_in_kernel(), 2);
	assert_int_equal(ask(1).verdict, WATCHED);
	assert_int_equal(ask(2).verdict, WATCHED);
	assert_int_equal(ask(9).verdict, 0);
	/* The value of the second is what it was. */
	assert_int_equal(bpf_map_lookup_elem(shared_maps_find(maps, "ip_list"),
					     bad + ENTRY_SIZE_MAX, &value),
			 0);
	assert_int_equal(value, 1);
	assert_int_equal(list_maps_image(lists, SHARED_IPS).count, 2);
}

static void expect_no_image(struct shared_list_image image, int expected)
{
	char error[MESSAGE_TEXT_SIZE] = "";

	assert_int_equal(list_maps_set(lists, SHARED_IPS, &image, error, sizeof(error)), expected);
	assert_string_not_equal(error, "");
	state_in_kernel("ip_list", 1, 0);
	assert_int_equal(count_in_kernel(), 1);
}

static void images_are_not_trusted(void **state)
{
	struct shared_list_image image = image_of(TEXTS("10.0.0.1", "10.0.0.2", "10.0.0.1"));
	uint8_t entries[2 * ENTRY_SIZE_MAX] = { 0 };
	CLOSE int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];

	(void)state;
	start_program();
	SET("10.0.0.4");
	expect_no_image(image, -EINVAL); /* an entry twice */
	image.count = 2;
	expect_no_image(image, -EINVAL); /* longer than it says */
	image.count = 4;
	expect_no_image(image, -EINVAL);
	image.count = UINT32_MAX;
	expect_no_image(image, -E2BIG);
	image.count = SHARED_IPS_MAX + 1;
	expect_no_image(image, -E2BIG);
	close(image.fd);
	assert_int_equal(write(unsealed, entries, sizeof(entries)), sizeof(entries));
	expect_no_image((struct shared_list_image){ .fd = unsealed, .count = 2 }, -EINVAL);
	assert_int_equal(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	expect_no_image((struct shared_list_image){ .fd = unsealed, .count = 2 }, -EINVAL);
	expect_no_image((struct shared_list_image){ .fd = null, .count = 2 }, -EINVAL);
	expect_no_image((struct shared_list_image){ .fd = -1, .count = 2 }, -EINVAL);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	expect_no_image((struct shared_list_image){ .fd = ends[0], .count = 2 }, -EINVAL);
	close(ends[0]);
	close(ends[1]);
}

/* ---- full ones ---- */

static uint8_t *many(uint32_t first, uint32_t count)
{
	size_t size = shared_list_entry_size(SHARED_IPS);
	uint8_t *entries = malloc(count * size);

	assert_non_null(entries);
	for (uint32_t i = 0; i < count; i++)
		ip_entry_from_number(first + i, entries + i * size);
	return entries;
}

static void set_many(uint32_t first, uint32_t count)
{
	FREE uint8_t *entries = many(first, count);
	struct shared_list_image image = { .count = count };
	char error[MESSAGE_TEXT_SIZE] = "";

	image.fd = shared_list_image_make(SHARED_IPS, entries, count);
	assert_int_equal(list_maps_set(lists, SHARED_IPS, &image, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	close(image.fd);
}

static void a_full_list_is_replaced(void **state)
{
	(void)state;
	start_program();
	set_many(0x0a000000, SHARED_IPS_MAX);
	assert_int_equal(count_in_kernel(), SHARED_IPS_MAX);
	assert_int_equal(ask(0).verdict, WATCHED);
	assert_int_equal(ask(65535).verdict, WATCHED);
	assert_int_equal(ask(65536).verdict, 0);
	/* All others: both have no room in the map at once. */
	set_many(0x0a010000, SHARED_IPS_MAX);
	assert_int_equal(count_in_kernel(), SHARED_IPS_MAX);
	assert_int_equal(ask(65535).verdict, 0);
	assert_int_equal(ask(65536).verdict, WATCHED);
	SET("10.0.0.1");
	assert_int_equal(count_in_kernel(), 1);
}

static int forget_kernel(void **state)
{
	(void)state;
	kernel_features_fini(&kernel);
	return 0;
}

#define ON_KERNEL(function)                                                                        \
	{                                                                                          \
		.name = #function, .test_func = on_kernel, .setup_func = setup,                    \
		.teardown_func = teardown, .initial_state = (void *)(function)                     \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_KERNEL(one_map_for_all),
		ON_KERNEL(other_forms_are_refused),
		ON_KERNEL(lists_have_one_form),
		ON_KERNEL(programs_see_the_list),
		ON_KERNEL(modes_and_empty_lists),
		ON_KERNEL(processes),
		ON_KERNEL(a_list_waits_for_its_map),
		ON_KERNEL(packets_of_listed_addresses),
		ON_KERNEL(nothing_changes_when_the_kernel_refuses),
		ON_KERNEL(images_are_not_trusted),
		ON_KERNEL(a_full_list_is_replaced),
	};

	kernel_features_init(&kernel);
	return cmocka_run_group_tests(tests, NULL, forget_kernel);
}
