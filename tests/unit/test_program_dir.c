/* SPDX-License-Identifier: MIT */
/*
 * loader/program_file.h and loader/inspect.h: whose files are read, and that whatever stands in
 * them hurts a process that has nothing to lose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "loader/inspect.h"
#include "loader/message.h"
#include "loader/program_file.h"

#define NOBODY 65534
#define TIMEOUT_MS 20000
#define SHORT_TIMEOUT_MS 200
#define CUTS 60
#define MUTATIONS 120
#define CHANGES 24 /* bytes in each mutation */

static char error[MESSAGE_TEXT_SIZE];

/* ---- a directory for each test ---- */

struct place {
	char path[64];
	int fd;
};

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/ebpf-server-test-XXXXXX");
	assert_non_null(mkdtemp(place->path));
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(place->fd >= 0);
	error[0] = '\0';
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;
	DIR *directory = fdopendir(place->fd);
	const struct dirent *entry;

	assert_non_null(directory);
	rewinddir(directory);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(place->fd, entry->d_name, 0) < 0)
			assert_int_equal(unlinkat(place->fd, entry->d_name, AT_REMOVEDIR), 0);
	}
	closedir(directory);
	assert_int_equal(rmdir(place->path), 0);
	free(place);
	return 0;
}

#define NEEDS_ROOT                                                                                 \
	do {                                                                                       \
		if (geteuid() != 0) {                                                              \
			print_message("skipped: only root's files are read\n");                    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void put(const struct place *place, const char *name, const void *bytes, size_t size,
		mode_t mode)
{
	CLOSE int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
}

/* ---- the directory ---- */

static void expect_no_directory(const char *path, int number, const char *words)
{
	assert_int_equal(program_directory_open(path, error, sizeof(error)), -number);
	if (strncmp(error, path, strlen(path)) != 0 || !strstr(error, words))
		fail_msg("\"%s\" is not in: %s", words, error);
}

static void test_a_directory_of_roots(void **state)
{
	const struct place *place = *state;
	static const mode_t bad[] = { 0775, 0757, 0777, 01777 };
	char path[128];
	int fd;

	NEEDS_ROOT;
	fd = program_directory_open(place->path, error, sizeof(error));
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(fchmod(place->fd, bad[i]), 0);
		expect_no_directory(place->path, EPERM, "must not be writable by group or others");
	}
	assert_int_equal(fchmod(place->fd, 0755), 0);
	assert_int_equal(fchown(place->fd, NOBODY, NOBODY), 0);
	expect_no_directory(place->path, EPERM, "must be owned by root");
	assert_int_equal(fchown(place->fd, 0, 0), 0);

	snprintf(path, sizeof(path), "%s/missing", place->path);
	expect_no_directory(path, ENOENT, "there is no such directory");
	put(place, "file", "", 0, 0644);
	snprintf(path, sizeof(path), "%s/file", place->path);
	expect_no_directory(path, ENOTDIR, "is no directory");
	assert_int_equal(symlinkat(place->path, place->fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", place->path);
	expect_no_directory(path, ENOTDIR, "a symbolic link is not followed");
}

static void test_what_is_listed(void **state)
{
	const struct place *place = *state;
	static const char *const there[] = { "b.bpf.o", ".c.bpf.o", "a.o",	 "a.bpf.o~",
					     ".bpf.o",	"Z.bpf.o",  "a b.bpf.o", "a.bpf.o" };
	static const char *const expected[] = { "Z.bpf.o", "a b.bpf.o", "a.bpf.o", "b.bpf.o" };
	char **names = NULL;
	int count;

	assert_int_equal(program_directory_list(place->fd, &names), 0);
	free(names);
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		put(place, there[i], "", 0, 0644);
	count = program_directory_list(place->fd, &names);
	assert_int_equal(count, ARRAY_SIZE(expected));
	for (int i = 0; i < count; i++) {
		assert_string_equal(names[i], expected[i]);
		free(names[i]);
	}
	free(names);
	assert_int_equal(program_directory_list(-1, &names), -EBADF);
}

/* ---- a file ---- */

static void expect_refused(const struct place *place, const char *file, int number,
			   const char *line)
{
	uint8_t *bytes = NULL;
	size_t size = 0;

	assert_int_equal(program_file_read(place->fd, file, &bytes, &size, error, sizeof(error)),
			 -number);
	assert_string_equal(error, line);
	assert_null(bytes);
}

static void test_files_of_roots(void **state)
{
	const struct place *place = *state;
	FREE uint8_t *bytes = NULL, *none = NULL;
	size_t size = 0;

	NEEDS_ROOT;
	put(place, "good", "\0ELF\377", 5, 0600);
	assert_int_equal(program_file_read(place->fd, "good", &bytes, &size, error, sizeof(error)),
			 0);
	assert_int_equal(size, 5);
	assert_memory_equal(bytes, "\0ELF\377", 5);
	put(place, "empty", "", 0, 0644);
	assert_int_equal(program_file_read(place->fd, "empty", &none, &size, error, sizeof(error)),
			 0);
	assert_int_equal(size, 0);

	put(place, "group", "x", 1, 0664);
	expect_refused(place, "group", EPERM,
		       "group: must not be writable by group or others (chmod go-w)");
	put(place, "others", "x", 1, 0646);
	expect_refused(place, "others", EPERM,
		       "others: must not be writable by group or others (chmod go-w)");
	put(place, "strange", "x", 1, 0644);
	assert_int_equal(fchownat(place->fd, "strange", NOBODY, 0, 0), 0);
	expect_refused(place, "strange", EPERM, "strange: must be owned by root (chown root)");
}

static void test_files_that_are_none(void **state)
{
	const struct place *place = *state;

	put(place, "good", "x", 1, 0644);
	assert_int_equal(symlinkat("good", place->fd, "link"), 0);
	assert_int_equal(mkfifoat(place->fd, "pipe", 0600), 0);
	assert_int_equal(mkdirat(place->fd, "folder", 0700), 0);
	expect_refused(place, "link", ELOOP, "link: is a symbolic link, which is not followed");
	expect_refused(place, "pipe", EPERM, "pipe: is no regular file");
	expect_refused(place, "folder", EPERM, "folder: is no regular file");
	expect_refused(place, "missing", ENOENT, "missing: No such file or directory");
}

static void test_the_largest_file(void **state)
{
	const struct place *place = *state;
	FREE uint8_t *bytes = NULL;
	size_t size = 0;
	CLOSE int fd = openat(place->fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	NEEDS_ROOT;
	assert_int_equal(ftruncate(fd, PROGRAM_FILE_MAX_BYTES), 0);
	assert_int_equal(program_file_read(place->fd, "large", &bytes, &size, error, sizeof(error)),
			 0);
	assert_int_equal(size, PROGRAM_FILE_MAX_BYTES);
	assert_int_equal(ftruncate(fd, PROGRAM_FILE_MAX_BYTES + 1), 0);
	expect_refused(place, "large", EFBIG, "large: is larger than 16 MiB");
}

/* ---- the process apart ---- */

static int inspect(inspect_fn function, const void *bytes, size_t size, int timeout_ms)
{
	int r;

	error[0] = '\0';
	r = inspect_apart(function, "loader_plain", bytes, size, timeout_ms, error, sizeof(error));
	/* No process is left, whatever became of it. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return r;
}

static int accept_them(const char *name, const void *bytes, size_t size, char *line,
		       size_t line_size)
{
	bool same = !strcmp(name, "loader_plain") && size == 3 && !memcmp(bytes, "abc", 3);

	message_format(line, line_size, "not what was given");
	return same ? 0 : -EINVAL;
}

static int refuse_them(const char *name, const void *bytes, size_t size, char *line,
		       size_t line_size)
{
	(void)bytes;
	message_format(line, line_size, "%s has %zu bytes too many", name, size);
	return -ENOEXEC;
}

static void test_verdicts(void **state)
{
	(void)state;
	assert_int_equal(inspect(accept_them, "abc", 3, TIMEOUT_MS), 0);
	assert_string_equal(error, "");
	assert_int_equal(inspect(refuse_them, "abc", 3, TIMEOUT_MS), -EINVAL);
	assert_string_equal(error, "loader_plain has 3 bytes too many");
}

/* A refusal that names what it could do, though it should not. */
static int look_around(const char *name, const void *bytes, size_t size, char *line,
		       size_t line_size)
{
	const char *found = "nothing";

	(void)name, (void)bytes, (void)size;
	if (open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ||
	    open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
		found = "files";
	else if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0)
		found = "sockets";
	else if (syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, NULL, 0) == 0 || errno != EPERM)
		found = "bpf(2)";
	else if (geteuid() == 0 || setresuid(0, 0, 0) == 0)
		found = "root";
	message_format(line, line_size, "it may use %s", found);
	return -EINVAL;
}

static void test_it_can_do_nothing(void **state)
{
	(void)state;
	NEEDS_ROOT;
	assert_int_equal(inspect(look_around, "", 0, TIMEOUT_MS), -EINVAL);
	assert_string_equal(error, "it may use nothing");
}

static int die(const char *name, const void *bytes, size_t size, char *line, size_t line_size)
{
	(void)name, (void)bytes, (void)size, (void)line, (void)line_size;
	raise(SIGKILL);
	return 0;
}

static int leave(const char *name, const void *bytes, size_t size, char *line, size_t line_size)
{
	(void)name, (void)bytes, (void)size, (void)line, (void)line_size;
	_exit(77);
}

/* It has no pipe any more: the loader does not take that for the end. */
static int go_on(const char *name, const void *bytes, size_t size, char *line, size_t line_size)
{
	sigset_t none;

	(void)name, (void)bytes, (void)size, (void)line, (void)line_size;
	sigemptyset(&none);
	for (int fd = 3; fd < 1000; fd++)
		close(fd);
	for (;;)
		sigsuspend(&none);
	return 0;
}

static int eat(const char *name, const void *bytes, size_t size, char *line, size_t line_size)
{
	(void)name, (void)bytes, (void)size;
	for (int i = 0; i < 1024; i++) {
		if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0) == MAP_FAILED) {
			message_format(line, line_size, "%s", i < 600 ? "soon" : "late");
			return -ENOMEM;
		}
	}
	return 0;
}

static void test_it_may_end_badly(void **state)
{
	(void)state;
	assert_int_equal(inspect(die, "", 0, TIMEOUT_MS), -EINVAL);
	assert_string_equal(error, "cannot be read: the process that did was killed by signal 9, "
				   "Killed");
	assert_int_equal(inspect(leave, "", 0, TIMEOUT_MS), -EINVAL);
	assert_string_equal(error, "cannot be read: the process that did ended with status 77");
	assert_int_equal(inspect(go_on, "", 0, SHORT_TIMEOUT_MS), -ETIMEDOUT);
	assert_string_equal(error, "cannot be read: that took more than 200 ms");
	assert_int_equal(inspect(eat, "", 0, TIMEOUT_MS), -EINVAL);
	assert_string_equal(error, "soon");
}

/* ---- objects ---- */

struct object_bytes {
	uint8_t *bytes; /* may be written; the file is not */
	size_t size;
};

static struct object_bytes read_fixture(const char *name)
{
	struct object_bytes object;
	struct stat status;
	char path[512];
	CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/%s.bpf.o", TEST_OBJECT_DIR, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	object.size = (size_t)status.st_size;
	object.bytes = malloc(object.size);
	assert_non_null(object.bytes);
	assert_int_equal(read(fd, object.bytes, object.size), object.size);
	return object;
}

static void test_objects(void **state)
{
	struct object_bytes plain = read_fixture("loader_plain");
	struct object_bytes other = read_fixture("pipeline_beat");

	(void)state;
	assert_int_equal(inspect(inspect_object, plain.bytes, plain.size, TIMEOUT_MS), 0);
	assert_int_equal(inspect(inspect_object, other.bytes, other.size, TIMEOUT_MS), -EINVAL);
	assert_non_null(strstr(error, "must be named \"loader_plain\""));
	assert_int_equal(inspect(inspect_object, "text", 4, TIMEOUT_MS), -EINVAL);
	assert_non_null(strstr(error, "no eBPF object file"));
	free(plain.bytes);
	free(other.bytes);
}

/* Whatever it is, there is a verdict; and a refusal has its one line. */
static bool expect_verdict(const void *bytes, size_t size)
{
	int r = inspect(inspect_object, bytes, size, TIMEOUT_MS);

	if (r < 0)
		assert_true(*error && !strchr(error, '\n'));
	assert_true(r == 0 || r == -EINVAL);
	return r == 0;
}

static void test_truncated_objects(void **state)
{
	struct object_bytes plain = read_fixture("loader_plain");

	(void)state;
	for (size_t i = 0; i < CUTS; i++)
		assert_false(expect_verdict(plain.bytes, plain.size * i / CUTS));
	assert_false(expect_verdict(plain.bytes, plain.size - 1));
	assert_true(expect_verdict(plain.bytes, plain.size));
	free(plain.bytes);
}

/* xorshift: the same bytes at each run. */
static uint32_t next_random(uint32_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 17;
	*random ^= *random << 5;
	return *random;
}

static void test_mutated_objects(void **state)
{
	struct object_bytes plain = read_fixture("loader_plain");
	uint8_t *bytes = malloc(plain.size);
	uint32_t random = 20;
	size_t refused = 0;

	(void)state;
	assert_non_null(bytes);
	for (int i = 0; i < MUTATIONS; i++) {
		/* Every other time at the end, where the section headers are. */
		size_t reach = i % 2 ? plain.size : 1600;

		memcpy(bytes, plain.bytes, plain.size);
		for (int j = 0; j < CHANGES; j++)
			bytes[plain.size - 1 - next_random(&random) % reach] =
				(uint8_t)next_random(&random);
		refused += !expect_verdict(bytes, plain.size);
	}
	assert_true(refused > MUTATIONS / 4);
	free(bytes);
	free(plain.bytes);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_directory_of_roots),
		TEST(test_what_is_listed),
		TEST(test_files_of_roots),
		TEST(test_files_that_are_none),
		TEST(test_the_largest_file),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_it_can_do_nothing),
		cmocka_unit_test(test_it_may_end_badly),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_truncated_objects),
		cmocka_unit_test(test_mutated_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
