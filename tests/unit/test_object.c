/* SPDX-License-Identifier: MIT */
/* loader/object.h on the running kernel: what loads, what gives way to what, and that nothing
 * stays. */
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

/* ---- what is in the kernel ---- */

static bool program_exists(const char *prefix)
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

static bool map_exists(const char *prefix)
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
static void assert_nothing_left(void)
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

static int find_map(void *context, const char *name, int fd)
{
	struct found_map *wanted = context;

	if (strcmp(name, wanted->name))
		return 0;
	wanted->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 1;
}

static int open_map(const struct object *object, const char *name)
{
	struct found_map wanted = { .name = name, .fd = -1 };

	assert_int_equal(object_each_map(object, find_map, &wanted), 1);
	assert_true(wanted.fd >= 0);
	return wanted.fd;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

static void call_getpgid(unsigned int times)
{
	while (times--)
		assert_true(syscall(SYS_getpgid, 0) >= 0);
}

/* ---- one function, its parameters, its stream ---- */

struct plain_event {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
	uint64_t mark;
	uint32_t wakeup_bytes;
	char word[8];
};

struct seen {
	unsigned int count;
	struct plain_event last;
};

static int see(void *context, void *data, size_t size)
{
	struct seen *seen = context;

	assert_true(size >= sizeof(seen->last));
	memcpy(&seen->last, data, sizeof(seen->last));
	seen->count++;
	return 0;
}

static struct seen drain(const struct object *object)
{
	CLOSE int fd = open_map(object, "loader_plain");
	struct seen seen = { .count = 0 };
	struct ring_buffer *ring = ring_buffer__new(fd, see, &seen, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
	return seen;
}

static struct object *load_plain(const struct fixture *fixture, uint64_t mark, uint32_t ring_bytes,
				 const struct object *replaces)
{
	uint32_t pid = (uint32_t)getpid();
	const struct object_setting settings[] = {
		{ "loader_pid", (const uint8_t *)&pid, sizeof(pid) },
		{ "loader_mark", (const uint8_t *)&mark, sizeof(mark) },
		{ "loader_word", (const uint8_t *)"seven\0\0", 8 },
	};
	const struct object_options options = { .kernel = &kernel,
						.settings = settings,
						.setting_count = ARRAY_SIZE(settings),
						.ring_bytes = ring_bytes,
						.replaces = replaces };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = object_load("loader_plain", fixture->bytes, fixture->size, &options, &object, error,
			    sizeof(error));

	assert_string_equal(error, "");
	assert_int_equal(r, 0);
	return object;
}

static void attach(struct object *object)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = object_attach(object, error, sizeof(error));

	assert_string_equal(error, "");
	assert_int_equal(r, 0);
}

static void parameters_and_ring_size_reach_the_program(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	struct object *object = load_plain(&fixture, 0x123456789abcdefULL, 70000, NULL);
	uint64_t ledger[4] = { 0 };
	struct seen seen;

	(void)state;
	call_getpgid(3); /* loaded, not attached: not seen */
	attach(object);
	call_getpgid(CALLS);
	seen = drain(object);
	assert_int_equal(seen.count, CALLS);
	assert_int_equal(seen.last.pid, getpid());
	assert_true(seen.last.mark == 0x123456789abcdefULL);
	assert_string_equal(seen.last.word, "seven");
	/* 70,000 bytes become 128 KiB; the reader is called at a sixteenth. */
	assert_int_equal(seen.last.wakeup_bytes, 8192);
	assert_int_equal(object_sum_per_cpu(object, "loader_plain_ledger", ledger, 4), 0);
	assert_int_equal(ledger[0], CALLS);
	assert_int_equal(ledger[3], 0);
	assert_string_equal(object_hook(object), "tracepoint/syscalls/sys_enter_getpgid");
	assert_string_equal(object_fallback_reason(object), "");
	object_unload(object);
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

static void defaults_hold_where_nothing_is_set(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	uint32_t pid = (uint32_t)getpid();
	const struct object_setting only_pid = { "loader_pid", (const uint8_t *)&pid, sizeof(pid) };
	const struct object_options options = { .kernel = &kernel,
						.settings = &only_pid,
						.setting_count = 1 };
	CLEANUP(object) struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE];
	struct seen seen;

	(void)state;
	assert_int_equal(object_load("loader_plain", fixture.bytes, fixture.size, &options, &object,
				     error, sizeof(error)),
			 0);
	attach(object);
	call_getpgid(1);
	seen = drain(object);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.mark, 11);
	assert_string_equal(seen.last.word, "none");
	assert_int_equal(seen.last.wakeup_bytes, 4 * 1024 * 1024 / 16);
	munmap(fixture.bytes, fixture.size);
}

static void expect_load_error(const char *fixture_name, const struct object_setting *setting,
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

static void settings_that_do_not_fit_are_refused(void **state)
{
	const struct object_setting unknown = { "loader_nothing", (const uint8_t *)"1234", 4 };
	const struct object_setting wide = { "loader_pid", (const uint8_t *)"12345678", 8 };

	(void)state;
	expect_load_error("loader_plain", &unknown, -ENOENT, "no parameter loader_nothing");
	expect_load_error("loader_plain", &wide, -EINVAL, "loader_pid holds 4 bytes, not 8");
}

static void maps_are_handed_out_with_no_more_rights_than_needed(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	struct object *object = load_plain(&fixture, 1, 0, NULL);
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc((size_t)cpus * 4, sizeof(*values));
	int ledger = open_map(object, "loader_plain_ledger");
	struct found_map constants = { .name = ".rodata", .fd = -1 };
	uint32_t zero = 0;

	(void)state;
	assert_non_null(values);
	assert_int_equal(bpf_map_lookup_elem(ledger, &zero, values), 0);
	assert_int_equal(bpf_map_update_elem(ledger, &zero, values, BPF_ANY), -EPERM);
	assert_int_equal(object_each_map(object, find_map, &constants), 0);
	assert_int_equal(object_sum_per_cpu(object, "nothing", values, 4), -ENOENT);
	assert_int_equal(object_sum_per_cpu(object, "loader_plain", values, 4), -EINVAL);
	assert_int_equal(object_sum_per_cpu(object, "loader_plain_ledger", values, 3), -EINVAL);
	free(values);
	close(ledger);
	object_unload(object);
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

static void a_replacement_goes_on_with_the_same_maps(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	struct object *old = load_plain(&fixture, 1, 0, NULL), *new;
	CLOSE int map = open_map(old, "loader_plain");
	CLOSE int new_map = -1;
	uint64_t ledger[4] = { 0 };
	struct seen seen;

	(void)state;
	attach(old);
	call_getpgid(2);
	new = load_plain(&fixture, 2, 0, old);
	call_getpgid(3); /* the old one runs while the new one is loaded */
	attach(new);
	object_unload(old);
	call_getpgid(CALLS);
	new_map = open_map(new, "loader_plain");
	assert_int_equal(map_id(map), map_id(new_map));
	seen = drain(new);
	assert_int_equal(seen.count, 2 + 3 + CALLS);
	assert_int_equal(seen.last.mark, 2);
	assert_int_equal(object_sum_per_cpu(new, "loader_plain_ledger", ledger, 4), 0);
	assert_int_equal(ledger[0], 2 + 3 + CALLS);
	object_unload(new);
	munmap(fixture.bytes, fixture.size);
}

static void what_was_detached_can_be_attached_again(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	struct object *object = load_plain(&fixture, 1, 0, NULL);

	(void)state;
	attach(object);
	object_detach(object);
	object_detach(object);
	call_getpgid(3);
	assert_int_equal(drain(object).count, 0);
	attach(object);
	call_getpgid(CALLS);
	assert_int_equal(drain(object).count, CALLS);
	object_unload(object);
	munmap(fixture.bytes, fixture.size);
}

static void runs_are_counted_where_the_kernel_measures(void **state)
{
	struct fixture fixture = open_fixture("loader_plain");
	struct object *object = load_plain(&fixture, 1, 0, NULL);
	CLOSE int on = bpf_enable_stats(BPF_STATS_RUN_TIME);
	uint64_t count = 99, time = 99;
	bool measured = false;

	(void)state;
	assert_true(on >= 0);
	assert_int_equal(object_statistics(object, &count, &time, &measured), 0);
	assert_int_equal(count, 0);
	attach(object);
	call_getpgid(CALLS);
	assert_int_equal(object_statistics(object, &count, &time, &measured), 0);
	assert_true(count >= CALLS); /* others may call getpgid(2) too */
	assert_true(time > 0);
	assert_true(measured);
	object_unload(object);
	munmap(fixture.bytes, fixture.size);
}

/* ---- ranks ---- */

static void the_first_rank_that_works_is_used(void **state)
{
	struct fixture fixture = open_fixture("loader_ranked");
	uint32_t pid = (uint32_t)getpid();
	const struct object_setting setting = { "loader_pid", (const uint8_t *)&pid, sizeof(pid) };
	const struct object_options options = { .kernel = &kernel,
						.settings = &setting,
						.setting_count = 1 };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	uint64_t expected[8] = { [4] = CALLS, [5] = CALLS };
	const char *reason;
	int before, counts;

	(void)state;
	assert_int_equal(object_load("loader_ranked", fixture.bytes, fixture.size, &options,
				     &object, error, sizeof(error)),
			 0);
	before = open_map(object, "counts");
	attach(object);
	counts = open_map(object, "counts");
	/* Loaded anew for the attach, but the map that was handed out is the one in use. */
	assert_int_equal(map_id(before), map_id(counts));
	call_getpgid(CALLS);
	for (uint32_t key = 0; key < 8; key++) {
		uint64_t value = 99;

		assert_int_equal(bpf_map_lookup_elem(before, &key, &value), 0);
		assert_int_equal(value, expected[key]);
	}
	assert_string_equal(object_hook(object),
			    "tracepoint/syscalls/sys_enter_getpgid, "
			    "tracepoint/syscalls/sys_exit_getpgid, raw_tp/sched_process_exit");
	reason = object_fallback_reason(object);
	assert_non_null(
		strstr(reason, "tp_btf/loader_no_such_tracepoint: not in this kernel's BTF; "));
	assert_non_null(strstr(reason, "refused by the verifier: "));
	assert_non_null(strstr(reason, "cannot be attached: Permission denied"));
	close(before);
	close(counts);
	object_unload(object);
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

static void a_group_without_any_hook_says_what_it_tried(void **state)
{
	(void)state;
	expect_load_error("loader_hopeless", NULL, -EOPNOTSUPP,
			  "tp_btf/loader_no_such_tracepoint: not in this kernel's BTF");
	expect_load_error(
		"loader_hopeless", NULL, -EOPNOTSUPP,
		"tracepoint/syscalls/sys_enter_loader_no_such_call: does not exist in this "
		"kernel (CONFIG_FTRACE_SYSCALLS)");
}

static void a_needed_function_that_is_refused_is_named(void **state)
{
	(void)state;
	expect_load_error("loader_broken", NULL, 0,
			  "tracepoint/syscalls/sys_exit_getpgid: refused by the verifier: ");
}

static void nothing_stays_attached_when_one_function_cannot_be(void **state)
{
	struct fixture fixture = open_fixture("loader_unattachable");
	const struct object_options options = { .kernel = &kernel };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";

	(void)state;
	assert_int_equal(object_load("loader_unattachable", fixture.bytes, fixture.size, &options,
				     &object, error, sizeof(error)),
			 0);
	assert_int_equal(object_attach(object, error, sizeof(error)), -EACCES);
	assert_non_null(strstr(
		error,
		"tracepoint/syscalls/sys_exit_getpgid: cannot be attached: Permission denied"));
	object_unload(object);
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

/* ---- what needs no kernel ---- */

static void bytes_that_are_no_object_are_refused(void **state)
{
	static const char text[] =
		"this is no ELF file at all, and yet it is long enough to be one";
	const struct object_options options = { .kernel = &kernel };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";

	(void)state;
	assert_true(object_load("text", text, sizeof(text), &options, &object, error,
				sizeof(error)) < 0);
	assert_null(object);
	assert_non_null(strstr(error, "not a usable eBPF object"));
}

static void names_of_the_kernel_are_found_whole(void **state)
{
	(void)state;
	assert_true(kernel_has_btf_name(&kernel, "task_struct"));
	assert_true(kernel_has_btf_name(&kernel, "btf_trace_sched_switch"));
	assert_false(kernel_has_btf_name(&kernel, "ask_struct_that_is_not_there"));
	assert_false(kernel_has_btf_name(&kernel, "btf_trace_sched_switc"));
	assert_false(kernel_has_btf_name(&kernel, "tf_trace_sched_switch"));
	assert_true(kernel_has_tracepoint(&kernel, "sched/sched_switch"));
	assert_false(kernel_has_tracepoint(&kernel, "sched/no_such"));
}

static int begin(void **state)
{
	(void)state;
	kernel_features_init(&kernel);
	return 0;
}

static int end(void **state)
{
	(void)state;
	kernel_features_fini(&kernel);
	return 0;
}

#define ON_KERNEL(test)                                                                            \
	{                                                                                          \
		.name = #test, .test_func = on_kernel, .initial_state = (void *)(test)             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_KERNEL(parameters_and_ring_size_reach_the_program),
		ON_KERNEL(defaults_hold_where_nothing_is_set),
		ON_KERNEL(settings_that_do_not_fit_are_refused),
		ON_KERNEL(maps_are_handed_out_with_no_more_rights_than_needed),
		ON_KERNEL(a_replacement_goes_on_with_the_same_maps),
		ON_KERNEL(what_was_detached_can_be_attached_again),
		ON_KERNEL(runs_are_counted_where_the_kernel_measures),
		ON_KERNEL(the_first_rank_that_works_is_used),
		ON_KERNEL(a_group_without_any_hook_says_what_it_tried),
		ON_KERNEL(a_needed_function_that_is_refused_is_named),
		ON_KERNEL(nothing_stays_attached_when_one_function_cannot_be),
		ON_KERNEL(names_of_the_kernel_are_found_whole),
		cmocka_unit_test(bytes_that_are_no_object_are_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
