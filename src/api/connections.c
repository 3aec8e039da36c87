/* SPDX-License-Identifier: MIT */
#include "api/connections.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"

#define TICK_NS NS_PER_SECOND
/* Longer than a request and its answer take on most ways. */
#define MOMENT_NS (250 * NS_PER_MS)

/* How long each phase may take, in all, however often something is said; 0: as long as it likes. */
static const uint64_t patience[] = {
	[CONNECTION_OPENED] = 10 * NS_PER_SECOND,
	[CONNECTION_ASKING] = 10 * NS_PER_SECOND,
	[CONNECTION_WORKING] = 0,
	[CONNECTION_TAKING] = 120 * NS_PER_SECOND,
	[CONNECTION_IDLE] = 30 * NS_PER_SECOND,
};

struct connection {
	struct connections *owner;
	struct connection *next, **place;
	int fd;
	uint8_t address[16]; /* IPv4 as IPv4-mapped; zeros where there is none */
	/* Written by the thread that serves it, `since` first. */
	_Atomic uint64_t since;
	atomic_int phase;
	/* Under the lock. */
	bool ended; /* the library will remove it */
	bool gone;  /* at the last tick the client had nothing more to say */
};

struct connections {
	struct connection_limits limits;
	struct listener *listener;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* there is a first connection, or an end */
	struct connection *first;
	bool stopping;
};

/* ---- one connection ---- */

static uint64_t deadline_of(const struct connection *connection)
{
	/* In this order: a phase is seen with a time that is its own or later. */
	int phase = atomic_load_explicit(&connection->phase, memory_order_acquire);
	uint64_t since = atomic_load_explicit(&connection->since, memory_order_relaxed);

	return patience[phase] ? since + patience[phase] : UINT64_MAX;
}

/* Its request is not there yet: nothing is lost but time. */
static bool waits(const struct connection *connection)
{
	int phase = atomic_load_explicit(&connection->phase, memory_order_acquire);

	return phase != CONNECTION_WORKING && phase != CONNECTION_TAKING;
}

/* It has said something that was not read yet: then it is the server that is behind. */
static bool is_unheard(const struct connection *connection)
{
	int unread = 0;

	return ioctl(connection->fd, FIONREAD, &unread) == 0 && unread;
}

/* Who gives way: first those that wait for their request, then those that take an answer; and last
 * those that only just began with either, as honest ones do that are done in a moment, and those
 * that are not heard. What is at work stays. */
enum claim { CLAIM_NONE, CLAIM_ANSWER, CLAIM_MOMENT, CLAIM_WORK };

static enum claim claim_of(const struct connection *connection, uint64_t now)
{
	int phase = atomic_load_explicit(&connection->phase, memory_order_acquire);
	uint64_t since = atomic_load_explicit(&connection->since, memory_order_relaxed);

	if (phase == CONNECTION_WORKING)
		return CLAIM_WORK;
	if (since + MOMENT_NS > now)
		return CLAIM_MOMENT;
	if (phase == CONNECTION_TAKING)
		return CLAIM_ANSWER;
	return is_unheard(connection) ? CLAIM_MOMENT : CLAIM_NONE;
}

void connection_enter(struct connection *connection, enum connection_phase phase, uint64_t now)
{
	if (!connection)
		return;
	atomic_store_explicit(&connection->since, now, memory_order_relaxed);
	atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
}

struct listener *connection_listener(const struct connection *connection)
{
	return connection ? connection->owner->listener : NULL;
}

static void copy_address(uint8_t address[16], const struct sockaddr *peer)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;

	memset(address, 0, 16);
	if (peer && peer->sa_family == AF_INET6) {
		memcpy(address, &six->sin6_addr, 16);
	} else if (peer && peer->sa_family == AF_INET) {
		memset(address + 10, 0xff, 2);
		memcpy(address + 12, &four->sin_addr, 4);
	}
}

/* Under the lock, so that the descriptor is still the connection's. */
static void end(struct connection *connection)
{
	connection->ended = true;
	shutdown(connection->fd, SHUT_RDWR);
}

/* ---- room ---- */

/* What is known of the one that is to give way. */
struct candidate {
	struct connection *connection; /* NULL: none can */
	enum claim claim;
	uint64_t time; /* the earliest goes */
};

/* Of those that only just began it is the one that began first, whatever time each is given. */
static void consider(struct candidate *candidate, struct connection *connection, enum claim claim)
{
	uint64_t time = deadline_of(connection);

	if (claim == CLAIM_MOMENT)
		time = atomic_load_explicit(&connection->since, memory_order_relaxed);
	if (claim == CLAIM_WORK || (candidate->connection && claim > candidate->claim))
		return;
	if (candidate->connection && claim == candidate->claim && time >= candidate->time)
		return;
	*candidate = (struct candidate){ connection, claim, time };
}

static bool same_address(const struct connection *a, const struct connection *b)
{
	return !memcmp(a->address, b->address, sizeof(a->address));
}

/* NULL when none can. Only asked where there is no more room. */
static struct connection *who_gives_way(const struct connections *connections,
					const struct connection *newcomer, bool of_its_address)
{
	struct candidate candidate = { .connection = NULL };
	const uint64_t now = clock_boot_ns();

	for (struct connection *each = connections->first; each; each = each->next) {
		if (each->ended || each == newcomer ||
		    (of_its_address && !same_address(each, newcomer)))
			continue;
		consider(&candidate, each, claim_of(each, now));
	}
	return candidate.connection;
}

/* Bounded by the limit: some microseconds for each new connection. */
static void make_room(const struct connections *connections, struct connection *newcomer)
{
	unsigned int count = 0, count_here = 0;
	struct connection *leaving;
	bool of_its_address;

	for (const struct connection *each = connections->first; each; each = each->next) {
		if (each->ended)
			continue;
		count++;
		count_here += same_address(each, newcomer);
	}
	of_its_address = count_here > connections->limits.most_of_one_address;
	if (!of_its_address && count <= connections->limits.most)
		return;
	leaving = who_gives_way(connections, newcomer, of_its_address);
	end(leaving ? leaving : newcomer);
}

struct connection *connections_add(struct connections *connections, int fd,
				   const struct sockaddr *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->owner = connections;
	connection->fd = fd;
	copy_address(connection->address, peer);
	connection_enter(connection, CONNECTION_OPENED, clock_boot_ns());
	pthread_mutex_lock(&connections->lock);
	connection->next = connections->first;
	connection->place = &connections->first;
	if (connections->first)
		connections->first->place = &connection->next;
	else
		pthread_cond_signal(&connections->changed);
	connections->first = connection;
	make_room(connections, connection);
	pthread_mutex_unlock(&connections->lock);
	return connection;
}

void connections_remove(struct connection *connection)
{
	if (!connection)
		return;
	pthread_mutex_lock(&connection->owner->lock);
	*connection->place = connection->next;
	if (connection->next)
		connection->next->place = connection->place;
	pthread_mutex_unlock(&connection->owner->lock);
	free(connection);
}

/* ---- time ---- */

/*
 * The client has closed its half and all that it said was read, and no request came of it: nothing
 * will. The library would wait. Seen twice, so that the thread that serves it had the time
 * to make a request of what it read last.
 */
static bool has_gone(struct connection *connection)
{
	struct pollfd entry = { .fd = connection->fd, .events = POLLRDHUP };
	bool before = connection->gone;

	connection->gone = poll(&entry, 1, 0) == 1 && (entry.revents & (POLLRDHUP | POLLHUP)) &&
			   !is_unheard(connection);
	return connection->gone && before;
}

static void look_after(const struct connections *connections)
{
	uint64_t now = clock_boot_ns();

	for (struct connection *each = connections->first; each; each = each->next) {
		if (each->ended)
			continue;
		if (deadline_of(each) <= now || (waits(each) && has_gone(each)))
			end(each);
	}
}

static void wait_for_tick(struct connections *connections)
{
	struct timespec until;

	if (!connections->first) {
		pthread_cond_wait(&connections->changed, &connections->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(TICK_NS / NS_PER_SECOND);
	while (!connections->stopping &&
	       pthread_cond_timedwait(&connections->changed, &connections->lock, &until) == 0)
		;
}

static void *run(void *context)
{
	struct connections *connections = context;

	pthread_mutex_lock(&connections->lock);
	while (!connections->stopping) {
		wait_for_tick(connections);
		look_after(connections);
	}
	pthread_mutex_unlock(&connections->lock);
	return NULL;
}

static int start_thread(struct connections *connections)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&connections->thread, NULL, run, connections);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int connections_new(struct connection_limits limits, struct listener *listener,
		    struct connections **ret_connections)
{
	FREE struct connections *connections = calloc(1, sizeof(*connections));
	pthread_condattr_t attributes;
	int r;

	if (!connections)
		return -ENOMEM;
	connections->limits = limits;
	connections->listener = listener;
	pthread_mutex_init(&connections->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&connections->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	r = start_thread(connections);
	if (r < 0)
		return r;
	*ret_connections = TAKE(connections);
	return 0;
}

void connections_free(struct connections *connections)
{
	if (!connections)
		return;
	pthread_mutex_lock(&connections->lock);
	connections->stopping = true;
	pthread_cond_signal(&connections->changed);
	pthread_mutex_unlock(&connections->lock);
	pthread_join(connections->thread, NULL);
	pthread_cond_destroy(&connections->changed);
	pthread_mutex_destroy(&connections->lock);
	free(connections);
}
