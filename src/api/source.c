/* SPDX-License-Identifier: MIT */
#include "api/source.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/memory.h"

/* What a client is sent at once. One piece is memory of that client as long as it is there. */
#define PIECE_BYTES 4096
#define RETRY_SECONDS 5

enum state { READING, WAITING, WOKEN };

struct source {
	struct sources *all;
	const struct source_calls *calls;
	void *context;
	struct MHD_Connection *connection; /* NULL until it is sent */
	int socket;			   /* the connection's; -1 as long */
	_Atomic int state;		   /* enum state */
	atomic_bool gone;		   /* the client's end is closed */
	atomic_bool due;		   /* a keep-alive is */
	_Atomic uint64_t spoke;		   /* boot ns: when something was sent last */
	uint64_t id;
	struct source *next, **place; /* in the list, under the lock */
};

struct sources {
	pthread_mutex_t lock; /* of list, count, last_id */
	struct source *first;
	unsigned int count, most;
	uint64_t last_id;
	atomic_bool ending;
	pthread_t keeper;
	bool keeps;
	int epoll, kick;
};

void source_wake(struct source *source)
{
	if (atomic_exchange(&source->state, WOKEN) == WAITING)
		MHD_resume_connection(source->connection);
}

/* ---- one source ---- */

static void unlink_source(struct source *source)
{
	struct sources *all = source->all;

	pthread_mutex_lock(&all->lock);
	*source->place = source->next;
	if (source->next)
		source->next->place = source->place;
	all->count--;
	pthread_mutex_unlock(&all->lock);
	if (source->socket >= 0)
		epoll_ctl(all->epoll, EPOLL_CTL_DEL, source->socket, NULL);
}

void source_discard(struct source *source)
{
	if (!source)
		return;
	/* From here on the keeper does not know it; then its owner forgets it. */
	unlink_source(source);
	source->calls->free(source->context);
	free(source);
}

static void free_source(void *context)
{
	source_discard(context);
}

static ssize_t say_keep_alive(struct source *source, char *data, size_t size)
{
	size_t length = source->calls->keep_alive ? strlen(source->calls->keep_alive) : 0;

	if (!atomic_exchange(&source->due, false) || !length || length > size)
		return SOURCE_WAIT;
	memcpy(data, source->calls->keep_alive, length);
	return (ssize_t)length;
}

/* The library calls it whenever the client can take something. */
static ssize_t read_source(void *context, uint64_t position, char *data, size_t size)
{
	struct source *source = context;
	int reading = READING;
	ssize_t length;

	(void)position;
	if (atomic_load(&source->all->ending))
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (atomic_load(&source->gone))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	atomic_store(&source->state, READING);
	length = source->calls->read(source->context, data, size);
	if (length == SOURCE_WAIT)
		length = say_keep_alive(source, data, size);
	if (length > 0) {
		atomic_store(&source->due, false);
		atomic_store_explicit(&source->spoke, clock_boot_ns(), memory_order_relaxed);
		return length;
	}
	if (length < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	/* In this order: who wakes it from here on finds it suspended. */
	MHD_suspend_connection(source->connection);
	if (!atomic_compare_exchange_strong(&source->state, &reading, WAITING))
		MHD_resume_connection(source->connection);
	return 0;
}

static void watch(struct source *source)
{
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET, .data.u64 = source->id };

	/* Without it a client that goes is noticed by its keep-alive. */
	if (epoll_ctl(source->all->epoll, EPOLL_CTL_ADD, source->socket, &event) < 0)
		source->socket = -1;
}

struct MHD_Response *source_response(struct source *source, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, PIECE_BYTES, read_source, source, free_source);

	if (!response) {
		source_discard(source);
		return NULL;
	}
	/* No chunks: their buffer is half of a connection's memory. The end of the connection is the
	 * end of the stream. */
	MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  (unsigned int)SOURCE_PATIENCE_SECONDS);
	source->connection = connection;
	if (info) {
		source->socket = info->connect_fd;
		watch(source);
	}
	return response;
}

int source_open(struct request *request, struct answer *answer, const char *media_type,
		const struct source_calls *calls, void *context)
{
	struct sources *all = request->api->sources;
	struct source *source = calloc(1, sizeof(*source));
	bool full;

	if (!source)
		return answer_out_of_memory(answer);
	*source = (struct source){ .all = all, .calls = calls, .context = context, .socket = -1 };
	atomic_init(&source->spoke, clock_boot_ns());
	pthread_mutex_lock(&all->lock);
	full = all->count >= all->most || atomic_load(&all->ending);
	if (!full) {
		all->count++;
		source->id = ++all->last_id;
		source->next = all->first;
		source->place = &all->first;
		if (all->first)
			all->first->place = &source->next;
		all->first = source;
	}
	pthread_mutex_unlock(&all->lock);
	if (full) {
		free(source);
		answer_error(answer, STATUS_SERVICE_UNAVAILABLE,
			     "%u streams are open, and more are not allowed (--max-streams); close "
			     "one, or try again later",
			     all->most);
		answer_header(answer, "Retry-After", "%d", RETRY_SECONDS);
		return -EBUSY;
	}
	answer->status = STATUS_OK;
	answer->media_type = media_type;
	answer->source = source;
	/* nginx and its kin pass it on piece by piece. */
	answer_header(answer, "X-Accel-Buffering", "no");
	eventfd_write(all->kick, 1);
	return 0;
}

/* ---- the keeper: a thread that looks after those that wait ---- */

/* Wakes those that have been silent for long; returns ms until the next one will have been, or
 * -1. */
static int look_after(struct sources *all)
{
	const uint64_t silence = SOURCE_KEEP_ALIVE_SECONDS * NS_PER_SECOND;
	const uint64_t now = clock_boot_ns();
	uint64_t next = UINT64_MAX;

	pthread_mutex_lock(&all->lock);
	for (struct source *source = all->first; source; source = source->next) {
		uint64_t spoke = atomic_load_explicit(&source->spoke, memory_order_relaxed);

		if (now - spoke >= silence && now > spoke) {
			atomic_store_explicit(&source->spoke, now, memory_order_relaxed);
			atomic_store(&source->due, true);
			source_wake(source);
			spoke = now;
		}
		if (spoke + silence < next)
			next = spoke + silence;
	}
	pthread_mutex_unlock(&all->lock);
	if (next == UINT64_MAX)
		return -1;
	return next > now ? (int)((next - now) / NS_PER_MS) + 1 : 0;
}

/* A client that only closed its sending half is spoken to: when it is gone altogether, that is
 * answered with a reset. */
static void hear(struct sources *all, uint64_t id, uint32_t events)
{
	pthread_mutex_lock(&all->lock);
	for (struct source *source = all->first; source; source = source->next) {
		if (source->id != id)
			continue;
		if (events & (EPOLLHUP | EPOLLERR))
			atomic_store(&source->gone, true);
		else
			atomic_store(&source->due, true);
		source_wake(source);
		break;
	}
	pthread_mutex_unlock(&all->lock);
}

static void *keep(void *context)
{
	struct sources *all = context;
	int timeout = -1;

	while (!atomic_load(&all->ending)) {
		struct epoll_event events[16];
		int count = epoll_wait(all->epoll, events, (int)ARRAY_SIZE(events), timeout);
		eventfd_t kicks;

		for (int i = 0; i < count; i++) {
			if (events[i].data.u64)
				hear(all, events[i].data.u64, events[i].events);
			else
				eventfd_read(all->kick, &kicks);
		}
		timeout = look_after(all);
	}
	return NULL;
}

static int start_keeper(struct sources *all)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0 };
	sigset_t signals, before;
	int r;

	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	all->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->epoll < 0 || all->kick < 0 ||
	    epoll_ctl(all->epoll, EPOLL_CTL_ADD, all->kick, &event) < 0)
		return -errno;
	sigfillset(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, &before);
	r = -pthread_create(&all->keeper, NULL, keep, all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	all->keeps = !r;
	return r;
}

struct sources *sources_new(unsigned int most)
{
	struct sources *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->most = most;
	all->epoll = all->kick = -1;
	pthread_mutex_init(&all->lock, NULL);
	if (start_keeper(all) < 0) {
		sources_free(all);
		return NULL;
	}
	return all;
}

void sources_end(struct sources *all)
{
	if (!all)
		return;
	atomic_store(&all->ending, true);
	if (all->keeps) {
		eventfd_write(all->kick, 1);
		pthread_join(all->keeper, NULL);
		all->keeps = false;
	}
	pthread_mutex_lock(&all->lock);
	for (struct source *source = all->first; source; source = source->next)
		source_wake(source);
	pthread_mutex_unlock(&all->lock);
}

void sources_free(struct sources *all)
{
	if (!all)
		return;
	sources_end(all);
	memory_close_fd(&all->epoll);
	memory_close_fd(&all->kick);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

unsigned int sources_count(struct sources *all)
{
	unsigned int count;

	pthread_mutex_lock(&all->lock);
	count = all->count;
	pthread_mutex_unlock(&all->lock);
	return count;
}

unsigned int sources_most(const struct sources *all)
{
	return all->most;
}
