/* SPDX-License-Identifier: MIT */
/* loader/object.h on the running kernel: which of its functions run, and what gives way to what. */
#include "object_fixture.h"

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

/* Which of the functions of loader_choosy ran for CALLS calls, as "2 3". */
static void expect_functions(const struct object_setting *setting, uint32_t own_pid,
			     const char *hook, const uint64_t expected[8])
{
	struct fixture fixture = open_fixture("loader_choosy");
	const struct object_options options = { .kernel = &kernel,
						.settings = setting,
						.setting_count = setting ? 1 : 0,
						.own_pid = own_pid };
	struct object *object = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	int counts;

	assert_int_equal(object_load("loader_choosy", fixture.bytes, fixture.size, &options,
				     &object, error, sizeof(error)),
			 0);
	attach(object);
	counts = open_map(object, "counts");
	call_getpgid(CALLS);
	for (uint32_t key = 0; key < 8; key++) {
		uint64_t value = 99;

		assert_int_equal(bpf_map_lookup_elem(counts, &key, &value), 0);
		assert_int_equal(value, expected[key]);
	}
	assert_string_equal(object_hook(object), hook);
	assert_non_null(strstr(object_fallback_reason(object), "impossible"));
	close(counts);
	object_unload(object);
	assert_nothing_left();
	munmap(fixture.bytes, fixture.size);
}

#define ENTER "tracepoint/syscalls/sys_enter_getpgid"
#define EXIT ", tracepoint/syscalls/sys_exit_getpgid"

static void functions_run_with_their_parameters(void **state)
{
	const struct object_setting first = { "loader_first", (const uint8_t *)"\1", 1 };
	const struct object_setting second = { "loader_second", (const uint8_t *)"x\0\0\0\0\0\0",
					       8 };
	const struct object_setting off = { "loader_first", (const uint8_t *)"\0", 1 };
	uint32_t pid = (uint32_t)getpid();

	(void)state;
	expect_functions(NULL, pid, ENTER, (const uint64_t[8]){ [2] = CALLS });
	expect_functions(&off, pid, ENTER, (const uint64_t[8]){ [2] = CALLS });
	expect_functions(&first, pid, ENTER EXIT EXIT,
			 (const uint64_t[8]){ [2] = CALLS, [3] = CALLS, [4] = CALLS });
	expect_functions(&second, pid, ENTER EXIT, (const uint64_t[8]){ [2] = CALLS, [4] = CALLS });
	expect_load_error("loader_wrong_parameter", NULL, -ENOENT,
			  "\"with:nothing\" names no parameter");
}

static void programs_know_their_loader(void **state)
{
	(void)state;
	/* A child of it is its own too; anybody else is not. */
	expect_functions(NULL, (uint32_t)getppid(), ENTER, (const uint64_t[8]){ [2] = CALLS });
	expect_functions(NULL, 1u << 30, ENTER, (const uint64_t[8]){ 0 });
	expect_functions(NULL, 0, ENTER, (const uint64_t[8]){ 0 });
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_KERNEL(the_first_rank_that_works_is_used),
		ON_KERNEL(a_group_without_any_hook_says_what_it_tried),
		ON_KERNEL(a_needed_function_that_is_refused_is_named),
		ON_KERNEL(functions_run_with_their_parameters),
		ON_KERNEL(programs_know_their_loader),
		ON_KERNEL(nothing_stays_attached_when_one_function_cannot_be),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
