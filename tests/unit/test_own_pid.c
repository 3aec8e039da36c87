/* SPDX-License-Identifier: MIT */
/* loader/own_pid.h: the number that programs see, also in another PID namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/kernel_features.h"
#include "loader/message.h"
#include "loader/own_pid.h"

static bool kernel_is_fit(void)
{
	char error[MESSAGE_TEXT_SIZE];

	if (kernel_check(error, sizeof(error)) == 0)
		return true;
	print_message("skipped: %s\n", error);
	return false;
}

static void it_is_the_process_id(void **state)
{
	uint32_t pid = 0;

	(void)state;
	if (!kernel_is_fit())
		skip();
	assert_int_equal(own_pid_read(&pid), 0);
	assert_int_equal(pid, getpid());
}

/* In the namespace that was made for it: what it is told, to the pipe. */
static void ask_inside(int out)
{
	uint32_t pid = 0;

	if (getpid() != 1 || own_pid_read(&pid) < 0)
		_exit(EXIT_FAILURE);
	_exit(write(out, &pid, sizeof(pid)) == sizeof(pid) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* The child's children are in another namespace. It says which number one of them has here. */
static void make_namespace(int out)
{
	pid_t inside;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(errno);
	inside = fork();
	if (inside == 0)
		ask_inside(out);
	if (inside < 0 || waitpid(inside, &status, 0) != inside || status != 0)
		_exit(ESRCH);
	_exit(write(out, &inside, sizeof(inside)) == sizeof(inside) ? 0 : EIO);
}

static void a_namespace_does_not_change_it(void **state)
{
	uint32_t told = 0;
	pid_t child, seen = 0;
	int ends[2], status;

	(void)state;
	if (!kernel_is_fit())
		skip();
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0)
		make_namespace(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == EPERM || WEXITSTATUS(status) == EINVAL)) {
		print_message("skipped: no PID namespaces here\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
	assert_int_equal(read(ends[0], &seen, sizeof(seen)), sizeof(seen));
	assert_int_equal(told, seen);
	assert_int_not_equal(told, 1);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_process_id),
		cmocka_unit_test(a_namespace_does_not_change_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
