/* SPDX-License-Identifier: MIT */
/*
 * loader/confine.h, seen from inside: a child confines itself and tells what it still can do.
 * /proc is not to be seen any more by then, so its descriptor of /proc/self/status is opened
 * before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "loader/confine.h"
#include "loader/data_dir.h"

#define DEADLINE_MS 10000

struct findings {
	int confined;
	char error[160];
	char status[4096]; /* /proc/self/status */
	/* A directory that was left to it: a file in it, one beside it, a new file in it. */
	int open_within, open_beside, make_within;
	char path[64];
	int open_bpffs, open_passwd, open_shadow, open_root_for_writing, make_file, mount, to_root;
	int bpf, groups;
	int dumpable, death_signal;
	uid_t user, effective;
	struct rlimit core;
};

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	print_message("skipped: only root has privileges to give up\n");
	return false;
}
#define NEEDS_ROOT                                                                                 \
	do {                                                                                       \
		if (!is_root())                                                                    \
			skip();                                                                    \
	} while (0)

/* 0, or the error of a call that should be refused. */
static int refused(long result)
{
	return result < 0 ? errno : 0;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int error = refused(fd);

	if (fd >= 0)
		close(fd);
	return error;
}

static void look_around(struct findings *found, int status)
{
	found->open_bpffs = try_open("/sys/fs/bpf", O_RDONLY | O_DIRECTORY);
	found->open_passwd = try_open("/etc/passwd", O_RDONLY);
	found->open_shadow = try_open("/etc/shadow", O_RDONLY);
	found->open_root_for_writing = try_open("/", O_RDWR | O_TMPFILE);
	found->make_file = try_open("/new", O_WRONLY | O_CREAT);
	found->mount = refused(mount("tmpfs", "/", "tmpfs", 0, NULL));
	found->to_root = refused(setresuid(0, 0, 0));
	found->bpf = refused(syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, NULL, 0));
	found->groups = (int)syscall(SYS_getgroups, 0, NULL);
	found->dumpable = prctl(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
	prctl(PR_GET_PDEATHSIG, (unsigned long)&found->death_signal, 0UL, 0UL, 0UL);
	found->user = getuid();
	found->effective = geteuid();
	getrlimit(RLIMIT_CORE, &found->core);
	if (pread(status, found->status, sizeof(found->status) - 1, 0) < 0)
		found->status[0] = '\0';
}

static struct findings *share_findings(void)
{
	struct findings *found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(found, MAP_FAILED);
	return found;
}

/* Without it there are no mount namespaces. */
static void drop_sys_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, sets) < 0)
		_exit(1);
	sets[0].effective &= ~(1u << CAP_SYS_ADMIN);
	sets[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &header, sets) < 0)
		_exit(1);
}

static void look_into(struct findings *found, const struct confine_directory *directory)
{
	snprintf(found->path, sizeof(found->path), "%s", directory->path);
	found->open_within = refused(openat(directory->fd, "kept", O_RDONLY | O_CLOEXEC));
	found->open_beside = refused(openat(directory->fd, "../beside", O_RDONLY | O_CLOEXEC));
	found->make_within =
		refused(openat(directory->fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void run_child_with(struct findings *found, pid_t said_parent, bool may_mount,
			   struct confine_directory *directory)
{
	pid_t child = fork();
	int result;

	assert_true(child >= 0);
	if (child == 0) {
		int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

		if (!may_mount)
			drop_sys_admin();
		found->confined =
			confine(said_parent, directory, found->error, sizeof(found->error));
		look_around(found, status);
		if (directory)
			look_into(found, directory);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

static void run_child(struct findings *found, pid_t said_parent, bool may_mount)
{
	run_child_with(found, said_parent, may_mount, NULL);
}

static void assert_status(const struct findings *found, const char *name, const char *value)
{
	const char *line = strstr(found->status, name);
	char got[64] = "";

	assert_non_null(line);
	sscanf(line + strlen(name), " %63s", got);
	assert_string_equal(got, value);
}

/* `error`: of opening what is there outside. */
static void assert_confined(const struct findings *found, int error)
{
	assert_string_equal(found->error, "");
	assert_int_equal(found->confined, 0);

	assert_int_not_equal(found->user, 0);
	assert_int_not_equal(found->effective, 0);
	assert_int_equal(found->groups, 0);
	assert_status(found, "\nCapInh:", "0000000000000000");
	assert_status(found, "\nCapPrm:", "0000000000000000");
	assert_status(found, "\nCapEff:", "0000000000000000");
	assert_status(found, "\nCapBnd:", "0000000000000000");
	assert_status(found, "\nCapAmb:", "0000000000000000");
	assert_status(found, "\nNoNewPrivs:", "1");
	assert_int_equal(found->to_root, EPERM);
	assert_int_equal(found->bpf, EPERM);
	assert_int_equal(found->mount, EPERM);

	assert_int_equal(found->open_bpffs, error);
	assert_int_equal(found->open_passwd, error);
	assert_int_equal(found->open_shadow, error);
	assert_int_not_equal(found->open_root_for_writing, 0);
	assert_int_not_equal(found->make_file, 0);

	assert_int_equal(found->dumpable, 0);
	assert_int_equal(found->core.rlim_max, 0);
	assert_int_equal(found->death_signal, SIGTERM);
}

static void nothing_is_left_to_a_confined_process(void **state)
{
	struct findings *found;

	(void)state;
	NEEDS_ROOT;
	found = share_findings();
	run_child(found, getpid(), true);
	assert_confined(found, ENOENT);
	munmap(found, sizeof(*found));
}

static void landlock_serves_where_mounts_are_refused(void **state)
{
	struct findings *found;

	(void)state;
	NEEDS_ROOT;
	if (syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* version */) < 0) {
		print_message("skipped: this kernel has no Landlock\n");
		skip();
	}
	found = share_findings();
	run_child(found, getpid(), false);
	assert_confined(found, EACCES);
	munmap(found, sizeof(*found));
}

/* A directory with a file in it, as the server's data directory, and a file beside it. */
static char *make_directory(struct confine_directory *ret_directory)
{
	char *parent = strdup("/tmp/test-confine-XXXXXX");
	struct confine_identity owner = confine_identity();
	static char path[64];
	char beside[64], error[160];
	int fd;

	assert_non_null(mkdtemp(parent));
	assert_int_equal(chmod(parent, 0755), 0);
	snprintf(path, sizeof(path), "%s/data", parent);
	snprintf(beside, sizeof(beside), "%s/beside", parent);
	fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	close(fd);
	*ret_directory = (struct confine_directory){
		.fd = data_directory_open(path, owner, error, sizeof(error)),
		.path = path,
	};
	assert_true(ret_directory->fd >= 0);
	fd = openat(ret_directory->fd, "kept", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, owner.user, owner.group), 0);
	close(fd);
	return parent;
}

static void remove_directory(char *parent)
{
	static const char *const names[] = { "data/kept", "data/new", "data", "beside", "" };
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", parent, names[i]);
		assert_int_equal(remove(path), 0);
	}
	free(parent);
}

static void one_directory_may_be_left(bool may_mount, int error, const char *path)
{
	struct findings *found = share_findings();
	struct confine_directory directory;
	char *parent = make_directory(&directory);

	run_child_with(found, getpid(), may_mount, &directory);
	close(directory.fd);
	remove_directory(parent);
	assert_confined(found, error);
	assert_int_equal(found->open_within, 0);
	assert_int_equal(found->make_within, 0);
	assert_int_equal(found->open_beside, error);
	assert_string_equal(found->path, path ? path : directory.path);
	munmap(found, sizeof(*found));
}

static void one_directory_is_left_in_an_empty_root(void **state)
{
	(void)state;
	NEEDS_ROOT;
	one_directory_may_be_left(true, ENOENT, CONFINE_DIRECTORY_PATH);
}

static void one_directory_is_left_by_landlock(void **state)
{
	(void)state;
	NEEDS_ROOT;
	if (syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* version */) < 0) {
		print_message("skipped: this kernel has no Landlock\n");
		skip();
	}
	one_directory_may_be_left(false, EACCES, NULL);
}

static int try_data_directory(const char *path, char *error, size_t size)
{
	int fd = data_directory_open(path, confine_identity(), error, size);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void a_directory_of_somebody_elses_is_not_taken(void **state)
{
	char parent[] = "/tmp/test-confine-XXXXXX", link[64], error[160] = "";
	struct stat status;

	(void)state;
	NEEDS_ROOT;
	assert_non_null(mkdtemp(parent));
	snprintf(link, sizeof(link), "%s.link", parent);
	/* Not empty: it serves something else. */
	assert_int_equal(try_data_directory("/etc", error, sizeof(error)), -EPERM);
	assert_non_null(strstr(error, "/etc: has to be empty"));
	assert_int_equal(stat("/etc", &status), 0);
	assert_int_equal(status.st_uid, 0);
	/* Others can write to it. */
	assert_int_equal(chmod(parent, 0777), 0);
	assert_int_equal(try_data_directory(parent, error, sizeof(error)), -EPERM);
	/* Another user's. */
	assert_int_equal(chmod(parent, 0700), 0);
	assert_int_equal(chown(parent, 12345, 0), 0);
	assert_int_equal(try_data_directory(parent, error, sizeof(error)), -EPERM);
	assert_int_equal(chown(parent, 0, 0), 0);
	assert_int_equal(symlink(parent, link), 0);
	assert_int_not_equal(try_data_directory(link, error, sizeof(error)), 0);
	assert_non_null(strstr(error, "symbolic link"));
	assert_int_equal(try_data_directory(parent, error, sizeof(error)), 0);
	assert_int_equal(stat(parent, &status), 0);
	assert_int_equal(status.st_uid, confine_identity().user);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(parent), 0);
}

static void the_machine_does_not_see_its_mounts(void **state)
{
	static char before[65536], after[65536];
	struct findings *found;
	ssize_t a, b;
	CLOSE int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	(void)state;
	NEEDS_ROOT;
	found = share_findings();
	a = pread(mounts, before, sizeof(before), 0);
	run_child(found, getpid(), true);
	b = pread(mounts, after, sizeof(after), 0);
	assert_true(a > 0);
	assert_int_equal(a, b);
	assert_memory_equal(before, after, (size_t)a);
	munmap(found, sizeof(*found));
}

static void a_child_whose_loader_is_gone_does_not_go_on(void **state)
{
	struct findings *found;

	(void)state;
	NEEDS_ROOT;
	found = share_findings();
	run_child(found, 1 << 22, true); /* nobody's: pids end before it */
	assert_int_equal(found->confined, -ESRCH);
	assert_non_null(strstr(found->error, "the loader"));
	munmap(found, sizeof(*found));
}

/* A confined process that waits for ever: the socket it holds ends with it. */
static void be_a_server(int socket, pid_t loader)
{
	char error[160], ready = 'r';
	sigset_t none;

	if (confine(loader, NULL, error, sizeof(error)) < 0)
		_exit(1);
	if (write(socket, &ready, 1) != 1)
		_exit(1);
	sigemptyset(&none);
	for (;;)
		sigsuspend(&none);
}

static void a_confined_process_dies_with_its_parent(void **state)
{
	struct pollfd entry = { .events = POLLIN };
	int sockets[2], result;
	pid_t loader;
	char byte;

	(void)state;
	NEEDS_ROOT;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	loader = fork();
	assert_true(loader >= 0);
	if (loader == 0) {
		pid_t own = getpid();

		close(sockets[0]);
		if (fork() == 0)
			be_a_server(sockets[1], own);
		close(sockets[1]);
		for (;;)
			pause();
	}
	close(sockets[1]);
	assert_int_equal(read(sockets[0], &byte, 1), 1);
	assert_int_equal(byte, 'r');
	assert_int_equal(kill(loader, SIGKILL), 0);
	assert_int_equal(waitpid(loader, &result, 0), loader);
	entry.fd = sockets[0];
	assert_int_equal(poll(&entry, 1, DEADLINE_MS), 1);
	assert_int_equal(read(sockets[0], &byte, 1), 0);
	close(sockets[0]);
}

static void only_the_kept_descriptors_stay_open(void **state)
{
	pid_t child = fork();
	int result;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		int first = dup2(STDERR_FILENO, 5), second = dup2(STDERR_FILENO, 17);
		int far = dup2(STDERR_FILENO, 400);
		int r;

		r = first == 5 && second == 17 && far == 400 && dup2(STDERR_FILENO, 3) == 3 &&
				    dup2(STDERR_FILENO, 6) == 6 && dup2(STDERR_FILENO, 401) == 401
			    ? 0
			    : 1;
		r = r ?: confine_descriptors((const int[]){ far, -1, first, second, first }, 5);
		for (int fd = 0; fd < 1024 && !r; fd++) {
			bool kept = fd <= 2 || fd == 5 || fd == 17 || fd == 400;

			if ((fcntl(fd, F_GETFD) >= 0) != kept)
				r = 2;
		}
		_exit(r ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

static void a_kept_descriptor_that_is_not_open_is_an_error(void **state)
{
	pid_t child = fork();
	int result;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(confine_descriptors((const int[]){ 777 }, 1) == -EBADF ? 0 : 1);
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_left_to_a_confined_process),
		cmocka_unit_test(landlock_serves_where_mounts_are_refused),
		cmocka_unit_test(one_directory_is_left_in_an_empty_root),
		cmocka_unit_test(one_directory_is_left_by_landlock),
		cmocka_unit_test(a_directory_of_somebody_elses_is_not_taken),
		cmocka_unit_test(the_machine_does_not_see_its_mounts),
		cmocka_unit_test(a_child_whose_loader_is_gone_does_not_go_on),
		cmocka_unit_test(a_confined_process_dies_with_its_parent),
		cmocka_unit_test(only_the_kept_descriptors_stay_open),
		cmocka_unit_test(a_kept_descriptor_that_is_not_open_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
