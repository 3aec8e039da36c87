/* SPDX-License-Identifier: MIT */
/* Connections that come, work and go on many threads, more than there may be, while their own
 * thread looks after them; and credentials that are exchanged while they are checked. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "access/access.h"
#include "api/connections.h"
#include "base/clock.h"

enum { THREADS = 3, ROUNDS = 401, HELD = 7 };

static struct connections *connections;

/* Whether the other side sees the end; what it sees does not depend on this thread. */
static bool is_ended(int other)
{
	char byte;

	return recv(other, &byte, 1, MSG_DONTWAIT) == 0;
}

static void *come_and_go(void *context)
{
	const struct sockaddr_in peer = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl((uint32_t)(uintptr_t)context) };
	struct connection *held[HELD] = { NULL };
	int ends[HELD][2];
	size_t ended = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		size_t place = round % HELD;

		if (held[place]) {
			ended += is_ended(ends[place][1]);
			connections_remove(held[place]);
			close(ends[place][0]);
			close(ends[place][1]);
		}
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[place]) < 0)
			abort();
		held[place] = connections_add(connections, ends[place][0],
					      (const struct sockaddr *)&peer);
		if (!held[place])
			abort();
		for (int phase = CONNECTION_ASKING; phase <= CONNECTION_IDLE; phase++)
			connection_enter(held[place], (enum connection_phase)phase,
					 clock_boot_ns());
	}
	for (size_t place = 0; place < HELD; place++) {
		connections_remove(held[place]);
		close(ends[place][0]);
		close(ends[place][1]);
	}
	return (void *)(uintptr_t)ended;
}

static size_t crowd(struct connection_limits limits)
{
	pthread_t threads[THREADS];
	size_t ended = 0;

	assert_int_equal(connections_new(limits, NULL, &connections), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)),
				 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *count;

		pthread_join(threads[i], &count);
		ended += (uintptr_t)count;
	}
	connections_free(connections);
	return ended;
}

static void test_room_for_all(void **state)
{
	const struct connection_limits limits = { THREADS * HELD, HELD };

	(void)state;
	assert_int_equal(crowd(limits), 0);
}

static void test_room_for_some(void **state)
{
	const struct connection_limits of_one = { THREADS * HELD, HELD - 2 };
	const struct connection_limits of_all = { 5, HELD };

	(void)state;
	assert_true(crowd(of_one) > THREADS * (ROUNDS - 2 * HELD));
	assert_true(crowd(of_all) > ROUNDS);
}

/* With room for one, each new one ends the one before it, but for what is at work. */
static void test_who_gives_way(void **state)
{
	const struct connection_limits limits = { 2, 2 };
	struct connection *held[4];
	int ends[4][2];

	(void)state;
	assert_int_equal(connections_new(limits, NULL, &connections), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
		held[i] = connections_add(connections, ends[i][0], NULL);
		assert_non_null(held[i]);
		if (i == 0)
			connection_enter(held[i], CONNECTION_WORKING, clock_boot_ns());
		/* Taking for long, and waiting for a moment: the first gives way. */
		if (i == 1)
			connection_enter(held[i], CONNECTION_TAKING,
					 clock_boot_ns() - NS_PER_SECOND);
	}
	assert_false(is_ended(ends[0][1]));
	assert_true(is_ended(ends[1][1]));
	assert_true(is_ended(ends[2][1]));
	assert_false(is_ended(ends[3][1]));
	/* Nobody can: the newcomer goes. */
	connection_enter(held[3], CONNECTION_WORKING, clock_boot_ns());
	connections_remove(held[1]);
	close(ends[1][0]);
	close(ends[1][1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[1]), 0);
	held[1] = connections_add(connections, ends[1][0], NULL);
	assert_true(is_ended(ends[1][1]));
	assert_false(is_ended(ends[3][1]));
	for (size_t i = 0; i < 4; i++) {
		connections_remove(held[i]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	connections_free(connections);
}

/* All have only just begun: the one that began first goes, though it were given more time. */
static void test_a_moment_is_given(void **state)
{
	const struct connection_limits limits = { 2, 2 };
	struct connection *held[3];
	int ends[3][2];

	(void)state;
	assert_int_equal(connections_new(limits, NULL, &connections), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
		held[i] = connections_add(connections, ends[i][0], NULL);
		assert_non_null(held[i]);
		/* In the future, however slowly this goes. */
		connection_enter(held[i], i ? CONNECTION_OPENED : CONNECTION_TAKING,
				 clock_boot_ns() + (1 + i) * 100 * NS_PER_SECOND);
	}
	assert_true(is_ended(ends[0][1]));
	assert_false(is_ended(ends[1][1]));
	assert_false(is_ended(ends[2][1]));
	for (size_t i = 0; i < 3; i++) {
		connections_remove(held[i]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	connections_free(connections);
}

/* What the server has not read yet is no fault of the client's. */
static void test_who_is_not_heard(void **state)
{
	const struct connection_limits limits = { 2, 2 };
	struct connection *held[3];
	int ends[3][2];

	(void)state;
	assert_int_equal(connections_new(limits, NULL, &connections), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
		if (i == 0)
			assert_int_equal(write(ends[i][1], "G", 1), 1);
		held[i] = connections_add(connections, ends[i][0], NULL);
		assert_non_null(held[i]);
		connection_enter(held[i], CONNECTION_OPENED,
				 clock_boot_ns() - (5 - i) * NS_PER_SECOND);
	}
	assert_false(is_ended(ends[0][1]));
	assert_true(is_ended(ends[1][1]));
	for (size_t i = 0; i < 3; i++) {
		connections_remove(held[i]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	connections_free(connections);
}

/* ---- credentials ---- */

static struct credentials *parse(const char *text)
{
	struct credentials *credentials = NULL;
	char error[256];

	if (credentials_parse("file", text, strlen(text), &credentials, error, sizeof(error)) != 0)
		abort();
	return credentials;
}

static void *check(void *context)
{
	const struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = 1 };
	uintptr_t wrong = 0;

	for (int i = 0; i < 2003; i++) {
		struct grant grant;

		/* One of both is always right; which one, only the other thread knows. */
		if (access_bearer(context, (const struct sockaddr *)&peer, "always", &grant) ||
		    grant.role != ROLE_READ)
			wrong++;
		access_basic(context, NULL, "b25lOm9uZQ==", &grant);
	}
	return (void *)wrong;
}

static void test_credentials_are_exchanged(void **state)
{
	struct access *access = access_new(parse("read x always\nadmin one one\n"));
	pthread_t threads[2];
	void *wrong;

	(void)state;
	assert_non_null(access);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, check, access), 0);
	for (int i = 0; i < 307; i++)
		access_replace(access, parse(i % 2 ? "read x always\nadmin one one\n"
						   : "admin one one\nread y always\n"));
	for (size_t i = 0; i < 2; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	access_free(access);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_for_all),
		cmocka_unit_test(test_room_for_some),
		cmocka_unit_test(test_who_gives_way),
		cmocka_unit_test(test_a_moment_is_given),
		cmocka_unit_test(test_who_is_not_heard),
		cmocka_unit_test(test_credentials_are_exchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
