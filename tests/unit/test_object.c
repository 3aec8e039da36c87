/* SPDX-License-Identifier: MIT */
/* loader/object.h on the running kernel: parameters, maps, attaching, and that nothing stays. */
#include "object_fixture.h"

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
		ON_KERNEL(names_of_the_kernel_are_found_whole),
		cmocka_unit_test(bytes_that_are_no_object_are_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
