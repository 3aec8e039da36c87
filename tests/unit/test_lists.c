/* SPDX-License-Identifier: MIT */
/* lists/lists.h with the test as loader: memory, file and kernel agree whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "lists/list_file.h"
#include "lists/lists.h"
#include "lists_fixture.h"
#include "pipeline/control.h"

/* ---- calls that fail when told to: these take the place of the C library's ---- */

enum call { CALL_OPEN, CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALLS };
static const char *const call_names[CALLS] = { "openat", "write", "fsync", "renameat" };

static atomic_bool failing; /* counts, and lets one fail */
static atomic_int calls_made, call_to_fail;
static enum call failed_call;

static bool fails(enum call call)
{
	if (!atomic_load(&failing) ||
	    atomic_fetch_add(&calls_made, 1) != atomic_load(&call_to_fail))
		return false;
	failed_call = call;
	errno = call == CALL_WRITE ? ENOSPC : EIO;
	return true;
}

int openat(int from, const char *path, int flags, ...)
{
	unsigned int mode = 0;

	if (flags & O_CREAT) {
		va_list arguments;

		va_start(arguments, flags);
		mode = va_arg(arguments, unsigned int);
		va_end(arguments);
	}
	if (flags & O_CREAT && fails(CALL_OPEN))
		return -1;
	return (int)syscall(SYS_openat, from, path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	/* In two parts where there is something to part. */
	if (atomic_load(&failing) && size > 20)
		size = 17;
	return fails(CALL_WRITE) ? -1 : syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd)
{
	return fails(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	return fails(CALL_RENAME)
		       ? -1
		       : (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}

/* ---- the whole: the test is the loader ---- */

#define PATIENCE_NS (10 * NS_PER_SECOND)

static int loader_end, server_end, stop;
static pthread_t loader_thread, hearing_thread;
static struct stream_account *accounts;
static struct store *store;
static struct pipeline *pipeline;
static struct control *control;
static struct lists *lists;

static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_list_image in_force[SHARED_LISTS]; /* by what the loader was told */
static uint8_t *entries_in_force[SHARED_LISTS];
static int next_result;
static unsigned int told;

static void take_list(const struct message *message, int fd)
{
	enum shared_list list = (enum shared_list)message->numbers[0];
	struct shared_list_image image = { .fd = -1,
					   .count = (uint32_t)message->numbers[1],
					   .option = (uint32_t)message->numbers[2] };
	uint8_t *entries = NULL;

	assert_true(list < SHARED_LISTS);
	assert_int_equal(image.count > 0, fd >= 0);
	if (image.count) {
		assert_int_equal(shared_list_image_read(list, fd, image.count, &entries), 0);
		image.fd = dup(fd);
	}
	memory_close_fd(&in_force[list].fd);
	free(entries_in_force[list]);
	in_force[list] = image;
	entries_in_force[list] = entries;
}

static void *play_loader(void *context)
{
	struct message message;
	int fd;

	while (message_receive(loader_end, &message, &fd) == 0) {
		struct message answer = { .type = MESSAGE_RESULT, .request = message.request };

		assert_int_equal(message.type, MESSAGE_SET_LIST);
		pthread_mutex_lock(&loader_lock);
		told++;
		answer.result = message.request ? next_result : 0;
		message_set_text(answer.text, "%s", answer.result ? "not today" : "");
		if (!answer.result)
			take_list(&message, fd);
		pthread_mutex_unlock(&loader_lock);
		memory_close_fd(&fd);
		message_send(loader_end, &answer, -1);
	}
	return context;
}

static void *hear(void *context)
{
	control_run(control, stop, NULL, NULL);
	return context;
}

/* A server begins; what is in force stays from the one before. */
static void begin_server(int data_dir)
{
	struct shared_list_image before[SHARED_LISTS];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	loader_end = ends[0];
	server_end = ends[1];
	stop = eventfd(0, EFD_CLOEXEC);
	accounts = calloc(STREAM_ACCOUNTS, sizeof(*accounts));
	store = store_new(STORE_MIN_MEMORY);
	pipeline = pipeline_new(store, accounts, 1);
	memcpy(before, in_force, sizeof(before));
	for (size_t i = 0; i < SHARED_LISTS; i++)
		before[i].fd = in_force[i].fd < 0 ? -1 : dup(in_force[i].fd);
	lists = lists_new(&(struct lists_options){
		.socket = server_end, .data_dir = data_dir, .in_force = before });
	assert_non_null(lists);
	for (size_t i = 0; i < SHARED_LISTS; i++)
		memory_close_fd(&before[i].fd);
	control = control_new(server_end, pipeline, -1);
	assert_non_null(control);
	assert_int_equal(pthread_create(&loader_thread, NULL, play_loader, NULL), 0);
	assert_int_equal(pthread_create(&hearing_thread, NULL, hear, NULL), 0);
	lists_connect(lists, control);
}

static void end_server(void)
{
	assert_int_equal(eventfd_write(stop, 1), 0);
	pthread_join(hearing_thread, NULL);
	shutdown(server_end, SHUT_RDWR);
	pthread_join(loader_thread, NULL);
	lists_free(lists);
	control_free(control);
	pipeline_free(pipeline);
	store_free(store);
	free(accounts);
	close(loader_end);
	close(server_end);
	close(stop);
}

static int setup_server(void **state)
{
	make_directory(state);
	for (size_t i = 0; i < SHARED_LISTS; i++)
		in_force[i] = (struct shared_list_image){ .fd = -1 };
	next_result = 0;
	begin_server(directory);
	return 0;
}

static void forget_in_force(void)
{
	for (size_t i = 0; i < SHARED_LISTS; i++) {
		memory_close_fd(&in_force[i].fd);
		free(TAKE(entries_in_force[i]));
		in_force[i] = (struct shared_list_image){ .fd = -1 };
	}
}

static int teardown_server(void **state)
{
	end_server();
	forget_in_force();
	return remove_directory(state);
}

static int add(const char *first, const char *second, char *error, size_t error_size)
{
	uint8_t entries[2 * ENTRY_SIZE_MAX];
	uint32_t total = 0, count = second ? 2 : 1;
	int r;

	assert_int_equal(ip_entry_parse(first, entries), 0);
	if (second)
		assert_int_equal(
			ip_entry_parse(second, entries + shared_list_entry_size(SHARED_IPS)), 0);
	error[0] = '\0';
	r = lists_add(lists, SHARED_IPS, entries, count, &total, error, error_size);
	if (!r)
		assert_int_equal(total, lists_count(lists, SHARED_IPS));
	return r;
}

/* What is taken back is not waited for by who asked. */
static void await_in_force(const struct entry_set *set)
{
	uint64_t deadline = clock_boot_ns() + PATIENCE_NS;
	bool same = false;

	while (!same && clock_boot_ns() < deadline) {
		pthread_mutex_lock(&loader_lock);
		same = in_force[SHARED_IPS].count == set->count &&
		       (!set->count || !memcmp(entries_in_force[SHARED_IPS], set->entries,
					       set->count * shared_list_entry_size(SHARED_IPS)));
		pthread_mutex_unlock(&loader_lock);
		sched_yield();
	}
	assert_true(same);
}

/* The three places hold the same addresses, in this order; the last one is NULL. */
static void expect_everywhere(const char *const *texts)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	ENTRY_SET file = { .list = SHARED_IPS };
	uint32_t option, count = 0;
	char error[200];

	assert_int_equal(lists_read(lists, SHARED_IPS, &set, &option), 0);
	for (; texts[count]; count++) {
		char text[IP_ENTRY_TEXT_SIZE];

		assert_true(count < set.count);
		ip_entry_text(entry_set_at(&set, count), text);
		assert_string_equal(text, texts[count]);
	}
	assert_int_equal(set.count, count);
	/* A list that never was has no file. */
	if (list_file_read(directory, &file, &option, error, sizeof(error)) != -ENOENT || count)
		assert_int_equal(file.count, count);
	if (count)
		assert_memory_equal(file.entries, set.entries,
				    count * shared_list_entry_size(SHARED_IPS));
	await_in_force(&set);
	assert_false(is_there("ip_list.new"));
}
#define EXPECT(...) expect_everywhere((const char *const[]){ __VA_ARGS__, NULL })
#define EXPECT_NOTHING() expect_everywhere((const char *const[]){ NULL })

static void changes_reach_all_places(void **state)
{
	char error[MESSAGE_TEXT_SIZE];
	unsigned int before;

	(void)state;
	assert_int_equal(add("10.0.0.1", "2001:db8::/32", error, sizeof(error)), 0);
	EXPECT("10.0.0.1", "2001:db8::/32");
	assert_int_equal(add("2001:db8::/32", "10.0.0.2", error, sizeof(error)), 0);
	EXPECT("10.0.0.1", "2001:db8::/32", "10.0.0.2");
	/* Nothing new: nobody is told. */
	before = told;
	assert_int_equal(add("10.0.0.2", NULL, error, sizeof(error)), 0);
	assert_int_equal(told, before);
	assert_int_equal(lists_clear(lists, SHARED_IPS, error, sizeof(error)), 0);
	EXPECT_NOTHING();
	before = told;
	assert_int_equal(lists_clear(lists, SHARED_IPS, error, sizeof(error)), 0);
	assert_int_equal(told, before);
	assert_int_equal(lists_count(lists, SHARED_PROCESSES), 0);
}

static void restarts_keep_the_lists(void **state)
{
	uint8_t entry[ENTRY_SIZE_MAX];
	char error[MESSAGE_TEXT_SIZE];
	uint32_t total, option;
	ENTRY_SET set = { .list = SHARED_PROCESSES };

	(void)state;
	assert_int_equal(add("10.0.0.1", "10.0.0.2", error, sizeof(error)), 0);
	assert_int_equal(process_entry_make(4711, entry), 0);
	assert_int_equal(lists_add(lists, SHARED_PROCESSES, entry, 1, &total, error, sizeof(error)),
			 0);
	assert_int_equal(lists_set_print_all(lists, true, error, sizeof(error)), 0);
	end_server();
	/* The whole daemon: nothing is in force any more. */
	forget_in_force();
	begin_server(directory);
	assert_int_equal(add("10.0.0.3", NULL, error, sizeof(error)), 0);
	EXPECT("10.0.0.1", "10.0.0.2", "10.0.0.3");
	assert_int_equal(lists_read(lists, SHARED_PROCESSES, &set, &option), 0);
	assert_int_equal(set.count, 1);
	assert_int_equal(process_entry_pid(entry_set_at(&set, 0)), 4711);
	assert_int_equal(option, 1);
	assert_int_equal(in_force[SHARED_PROCESSES].option, 1);
	assert_int_equal(in_force[SHARED_PROCESSES].count, 1);
}

static void without_a_directory_a_new_server_takes_what_is_in_force(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	char error[MESSAGE_TEXT_SIZE], text[IP_ENTRY_TEXT_SIZE];
	uint32_t option;

	(void)state;
	end_server();
	begin_server(-1);
	assert_int_equal(add("10.0.0.1", "10.0.0.2", error, sizeof(error)), 0);
	assert_int_equal(lists_set_print_all(lists, true, error, sizeof(error)), 0);
	assert_false(is_there("ip_list"));
	end_server();
	begin_server(-1);
	assert_int_equal(lists_read(lists, SHARED_IPS, &set, &option), 0);
	assert_int_equal(set.count, 2);
	ip_entry_text(entry_set_at(&set, 1), text);
	assert_string_equal(text, "10.0.0.2");
	entry_set_fini(&set);
	set.list = SHARED_PROCESSES;
	assert_int_equal(lists_read(lists, SHARED_PROCESSES, &set, &option), 0);
	assert_int_equal(option, 1);
}

static void a_corrupt_file_is_set_aside(void **state)
{
	char error[MESSAGE_TEXT_SIZE], text[100];

	(void)state;
	assert_int_equal(add("10.0.0.1", "10.0.0.2", error, sizeof(error)), 0);
	end_server();
	put_text("ip_list", "rubbish\n");
	/* The daemon went on: what is in force is known. */
	begin_server(directory);
	get_text("ip_list.corrupt", text, sizeof(text));
	assert_string_equal(text, "rubbish\n");
	assert_false(is_there("ip_list"));
	assert_int_equal(add("10.0.0.3", NULL, error, sizeof(error)), 0);
	EXPECT("10.0.0.1", "10.0.0.2", "10.0.0.3");
	end_server();
	put_text("ip_list", "rubbish\n");
	forget_in_force();
	begin_server(directory);
	assert_int_equal(add("10.0.0.4", NULL, error, sizeof(error)), 0);
	EXPECT("10.0.0.4");
}

static void a_loader_that_refuses(void **state)
{
	char error[MESSAGE_TEXT_SIZE];

	(void)state;
	assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), 0);
	next_result = -ENOMEM;
	assert_int_equal(add("10.0.0.2", NULL, error, sizeof(error)), -ENOMEM);
	assert_string_equal(error, "not today");
	EXPECT("10.0.0.1");
	assert_int_equal(lists_clear(lists, SHARED_IPS, error, sizeof(error)), -ENOMEM);
	EXPECT("10.0.0.1");
	assert_int_equal(lists_set_print_all(lists, true, error, sizeof(error)), -ENOMEM);
	next_result = 0;
	assert_int_equal(add("10.0.0.2", NULL, error, sizeof(error)), 0);
	EXPECT("10.0.0.1", "10.0.0.2");
}

static void fill(enum shared_list list, uint32_t count)
{
	size_t size = shared_list_entry_size(list);
	FREE uint8_t *entries = calloc(count, size);
	char error[MESSAGE_TEXT_SIZE] = "";
	uint32_t total;

	for (uint32_t i = 0; i < count; i++) {
		if (list == SHARED_IPS)
			ip_entry_from_number(i, entries + i * size);
		else
			process_entry_make(i + 1, entries + i * size);
	}
	assert_int_equal(lists_add(lists, list, entries, count, &total, error, sizeof(error)), 0);
	assert_int_equal(total, count);
}

static void bounds(void **state)
{
	uint8_t entry[ENTRY_SIZE_MAX];
	char error[MESSAGE_TEXT_SIZE];
	uint32_t total;

	(void)state;
	fill(SHARED_IPS, SHARED_IPS_MAX - 1);
	/* One has room, two have not: neither is added. */
	assert_int_equal(add("10.0.0.1", "10.0.0.2", error, sizeof(error)), -ENOSPC);
	assert_string_equal(error, "the list is full: it holds 65535 of at most 65536 entries, and "
				   "there is room for 1 more; nothing was added");
	assert_int_equal(lists_count(lists, SHARED_IPS), SHARED_IPS_MAX - 1);
	assert_int_equal(add("10.0.0.1", "0.0.0.1", error, sizeof(error)), 0);
	assert_int_equal(lists_count(lists, SHARED_IPS), SHARED_IPS_MAX);
	assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), 0);
	assert_int_equal(add("10.0.0.2", NULL, error, sizeof(error)), -ENOSPC);

	fill(SHARED_PROCESSES, SHARED_PROCESSES_MAX);
	assert_int_equal(process_entry_make(SHARED_PROCESSES_MAX + 1, entry), 0);
	assert_int_equal(lists_add(lists, SHARED_PROCESSES, entry, 1, &total, error, sizeof(error)),
			 -ENOSPC);
	end_server();
	forget_in_force();
	begin_server(directory);
	assert_int_equal(lists_count(lists, SHARED_IPS), SHARED_IPS_MAX);
	assert_int_equal(lists_count(lists, SHARED_PROCESSES), SHARED_PROCESSES_MAX);
}

/* Whatever call fails, and whenever: the old list or the new one is everywhere, by the answer. */
static void each_call_fails_once(void **state)
{
	unsigned int failures[CALLS] = { 0 };
	char error[MESSAGE_TEXT_SIZE];
	int r;

	(void)state;
	assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), 0);
	for (int i = 0;; i++) {
		atomic_store(&calls_made, 0);
		atomic_store(&call_to_fail, i);
		atomic_store(&failing, true);
		r = add("10.0.0.2", "2001:db8:1111:2222:3333:4444:5555:6666", error, sizeof(error));
		atomic_store(&failing, false);
		if (atomic_load(&calls_made) <= i)
			break; /* none was left to fail */
		failures[failed_call]++;
		if (r < 0) {
			EXPECT("10.0.0.1");
			assert_non_null(strstr(error, "; the list stays as it was"));
		} else {
			/* The last one: the new file is in its place. */
			assert_int_equal(failed_call, CALL_FSYNC);
			EXPECT("10.0.0.1", "10.0.0.2", "2001:db8:1111:2222:3333:4444:5555:6666");
		}
		end_server();
		forget_in_force();
		begin_server(directory);
		if (r < 0) {
			assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), 0);
			EXPECT("10.0.0.1");
		} else {
			assert_int_equal(lists_count(lists, SHARED_IPS), 3);
			assert_int_equal(lists_clear(lists, SHARED_IPS, error, sizeof(error)), 0);
			assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), 0);
		}
	}
	for (size_t i = 0; i < CALLS; i++)
		if (!failures[i])
			fail_msg("%s was never seen to fail", call_names[i]);
	assert_int_equal(failures[CALL_FSYNC], 2); /* the file's, the directory's */
	assert_true(failures[CALL_WRITE] > 3);
	assert_int_equal(r, 0);
	EXPECT("10.0.0.1", "10.0.0.2", "2001:db8:1111:2222:3333:4444:5555:6666");
}

static void no_loader(void **state)
{
	char error[MESSAGE_TEXT_SIZE];

	(void)state;
	lists_connect(lists, NULL);
	assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), -EPIPE);
	lists_connect(lists, control);
	shutdown(loader_end, SHUT_RDWR);
	assert_int_equal(add("10.0.0.1", NULL, error, sizeof(error)), -EPIPE);
	assert_string_not_equal(error, "");
	assert_int_equal(lists_count(lists, SHARED_IPS), 0);
	assert_false(is_there("ip_list"));
	assert_false(is_there("ip_list.new"));
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup_server, teardown_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(changes_reach_all_places),
		WITH_SERVER(restarts_keep_the_lists),
		WITH_SERVER(without_a_directory_a_new_server_takes_what_is_in_force),
		WITH_SERVER(a_corrupt_file_is_set_aside),
		WITH_SERVER(a_loader_that_refuses),
		WITH_SERVER(bounds),
		WITH_SERVER(each_call_fails_once),
		WITH_SERVER(no_loader),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
