/* SPDX-License-Identifier: MIT */
/* loader/message.h: what arrives is what was sent, and nothing else is let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "loader/message.h"

struct pair {
	int left, right;
};

static int open_pair(void **state)
{
	static struct pair pair;
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -1;
	pair = (struct pair){ .left = sockets[0], .right = sockets[1] };
	*state = &pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	if (pair->left >= 0)
		close(pair->left);
	if (pair->right >= 0)
		close(pair->right);
	return 0;
}

static size_t count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static struct message example(void)
{
	struct message message = { .type = MESSAGE_MAP,
				   .request = 7,
				   .program = 3,
				   .result = -5,
				   .value_size = 4,
				   .numbers = { 1, 2, 3, UINT64_MAX },
				   .value = { 9, 8, 7, 6 } };

	message_set_text(message.name, "connection_ledger");
	message_set_text(message.text, "%s %d", "text", 42);
	return message;
}

static void a_message_arrives_as_it_was_sent(void **state)
{
	const struct pair *pair = *state;
	struct message sent = example(), received;
	int fd = 99;

	assert_int_equal(message_send(pair->left, &sent, -1), 0);
	assert_int_equal(message_receive(pair->right, &received, &fd), 0);
	assert_memory_equal(&sent, &received, sizeof(sent));
	assert_int_equal(fd, -1);
	assert_string_equal(received.text, "text 42");
}

static void a_descriptor_comes_along(void **state)
{
	const struct pair *pair = *state;
	struct message sent = example(), received;
	CLOSE int own = memfd_create("test", MFD_CLOEXEC);
	CLOSE int got = -1;
	struct stat a, b;

	assert_int_equal(message_send(pair->left, &sent, own), 0);
	assert_int_equal(message_receive(pair->right, &received, &got), 0);
	assert_true(got >= 0 && got != own);
	assert_int_equal(fstat(own, &a), 0);
	assert_int_equal(fstat(got, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void expect_refused(const struct pair *pair)
{
	struct message received = { .type = 1234 };
	size_t before = count_descriptors();
	int fd = 99;

	assert_int_equal(message_receive(pair->right, &received, &fd), -EPROTO);
	assert_int_equal(received.type, 1234);
	assert_int_equal(fd, 99);
	assert_int_equal(count_descriptors(), before);
}

static void other_sizes_are_refused(void **state)
{
	const struct pair *pair = *state;
	char bytes[sizeof(struct message) + 1] = { 0 };

	assert_int_equal(send(pair->left, bytes, sizeof(bytes), 0), sizeof(bytes));
	expect_refused(pair);
	assert_int_equal(send(pair->left, bytes, sizeof(bytes) - 2, 0), sizeof(bytes) - 2);
	expect_refused(pair);
	assert_int_equal(send(pair->left, bytes, 1, 0), 1);
	expect_refused(pair);
	/* The right size is taken after all that. */
	assert_int_equal(send(pair->left, bytes, sizeof(bytes) - 1, 0), sizeof(bytes) - 1);
	assert_int_equal(message_receive(pair->right, &(struct message){ 0 }, &(int){ 0 }), 0);
}

#define UNTERMINATED(field)                                                                        \
	do {                                                                                       \
		struct message message = example();                                                \
		memset(message.field, 'x', sizeof(message.field));                                 \
		assert_int_equal(message_send(pair->left, &message, STDIN_FILENO), 0);             \
		expect_refused(pair);                                                              \
	} while (0)

static void text_without_end_is_refused(void **state)
{
	const struct pair *pair = *state;

	UNTERMINATED(name);
	UNTERMINATED(hook);
	UNTERMINATED(reason);
	UNTERMINATED(text);
}

static void a_value_past_its_field_is_refused(void **state)
{
	const struct pair *pair = *state;
	struct message message = example();

	message.value_size = MESSAGE_VALUE_SIZE + 1;
	assert_int_equal(message_send(pair->left, &message, -1), 0);
	expect_refused(pair);
}

static void send_with_descriptors(int socket, size_t count)
{
	struct message message = example();
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(rights) + i * sizeof(int), &(int){ STDIN_FILENO }, sizeof(int));
	assert_int_equal(sendmsg(socket, &header, 0), sizeof(message));
}

static void surplus_descriptors_are_closed(void **state)
{
	const struct pair *pair = *state;

	send_with_descriptors(pair->left, 2);
	expect_refused(pair);
	/* More than there is room for: the kernel cuts, and what came is closed. */
	send_with_descriptors(pair->left, 64);
	expect_refused(pair);
}

static void the_peers_end_is_seen_on_both_ways(void **state)
{
	struct pair *pair = *state;
	struct message message = example();
	int fd;

	close(TAKE_FD(pair->left));
	assert_int_equal(message_receive(pair->right, &message, &fd), -EPIPE);
	/* No signal ends this process either. */
	assert_int_equal(message_send(pair->right, &message, -1), -EPIPE);
}

static void a_peer_that_left_messages_unread_is_gone_too(void **state)
{
	struct pair *pair = *state;
	struct message message = example();
	int fd;

	assert_int_equal(message_send(pair->right, &message, -1), 0);
	close(TAKE_FD(pair->left));
	assert_int_equal(message_receive(pair->right, &message, &fd), -EPIPE);
}

static void an_empty_queue_does_not_block_a_non_blocking_socket(void **state)
{
	const struct pair *pair = *state;
	struct message message;
	int fd;

	assert_int_equal(fcntl(pair->right, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(message_receive(pair->right, &message, &fd), -EAGAIN);
}

static void a_peer_that_does_not_read_times_out(void **state)
{
	const struct pair *pair = *state;
	struct timeval limit = { .tv_usec = 20000 };
	struct message message = example();
	int r = 0;

	assert_int_equal(setsockopt(pair->left, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	for (int i = 0; i < 100000 && !r; i++)
		r = message_send(pair->left, &message, -1);
	assert_int_equal(r, -ETIMEDOUT);
}

#define MANY 1009 /* far more than a queue holds */

static void a_full_queue_is_waited_for(void **state)
{
	const struct pair *pair = *state;
	struct message message;
	pid_t child;
	int fd, status;

	assert_int_equal(fcntl(pair->left, F_SETFL, O_NONBLOCK), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct message own = example();
		int r = 0;

		for (uint32_t i = 0; i < MANY && !r; i++) {
			own.request = i;
			r = message_send(pair->left, &own, -1);
		}
		_exit(r ? 1 : 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(message_receive(pair->right, &message, &fd), 0);
		assert_int_equal(message.request, i);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void text_is_cut_between_characters(void **state)
{
	char field[8];

	(void)state;
	message_set_text(field, "%s", "seven77");
	assert_string_equal(field, "seven77");
	message_set_text(field, "%s", "eight888");
	assert_string_equal(field, "eight88");
	/* U+00E9 is two bytes: the second does not fit. */
	message_set_text(field, "%s", "abcdef\xc3\xa9");
	assert_string_equal(field, "abcdef");
	message_set_text(field, "%s", "abcde\xc3\xa9tail");
	assert_string_equal(field, "abcde\xc3\xa9");
	message_set_text(field, "%s", "abcd\xf0\x9f\x98\x80");
	assert_string_equal(field, "abcd");
}

static void statuses_have_names(void **state)
{
	(void)state;
	assert_string_equal(program_status_name(PROGRAM_DISABLED), "disabled");
	assert_string_equal(program_status_name(PROGRAM_LOADING), "loading");
	assert_string_equal(program_status_name(PROGRAM_RUNNING), "running");
	assert_string_equal(program_status_name(PROGRAM_WAITING), "waiting");
	assert_string_equal(program_status_name(PROGRAM_FAILED), "failed");
	assert_string_equal(program_status_name((enum program_status)77), "unknown");
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(a_message_arrives_as_it_was_sent),
		WITH_PAIR(a_descriptor_comes_along),
		WITH_PAIR(other_sizes_are_refused),
		WITH_PAIR(text_without_end_is_refused),
		WITH_PAIR(a_value_past_its_field_is_refused),
		WITH_PAIR(surplus_descriptors_are_closed),
		WITH_PAIR(the_peers_end_is_seen_on_both_ways),
		WITH_PAIR(a_peer_that_left_messages_unread_is_gone_too),
		WITH_PAIR(an_empty_queue_does_not_block_a_non_blocking_socket),
		WITH_PAIR(a_peer_that_does_not_read_times_out),
		WITH_PAIR(a_full_queue_is_waited_for),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(statuses_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
