/* SPDX-License-Identifier: MIT */
/* Sources, and the keeper: the thread that looks after them. */
#include "api/source.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "api/source_internal.h"
#include "base/clock.h"
#include "base/memory.h"

/* When a client that was refused had better ask again. */
#define RETRY_SECONDS 5
/* How often the keeper looks whether somebody has been silent. */
#define LOOK_MS 1000

/* ---- one source ---- */

void source_wake(struct source *source)
{
	int state = atomic_load(&source->state);

	for (;;) {
		const int next = state == SOURCE_READING   ? SOURCE_WOKEN
				 : state != SOURCE_WAITING ? state
				 : source->direct	   ? SOURCE_QUEUED
							   : SOURCE_WOKEN;

		if (next == state)
			return;
		if (!atomic_compare_exchange_weak(&source->state, &state, next))
			continue;
		if (state == SOURCE_WAITING && source->direct)
			direct_queue(source);
		else if (state == SOURCE_WAITING)
			library_resume(source);
		return;
	}
}

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
	buffer_fini(&source->rest);
	free(source);
}

static ssize_t say_keep_alive(struct source *source, char *data, size_t size)
{
	size_t length = source->calls->keep_alive ? strlen(source->calls->keep_alive) : 0;

	if (!atomic_exchange(&source->due, false) || !length || length > size)
		return SOURCE_WAIT;
	memcpy(data, source->calls->keep_alive, length);
	return (ssize_t)length;
}

ssize_t source_read(struct source *source, char *data, size_t size)
{
	ssize_t length;

	if (atomic_load(&source->all->ending) || atomic_load(&source->gone))
		return SOURCE_END;
	length = source->calls->read(source->context, data, size);
	if (length == SOURCE_WAIT)
		length = say_keep_alive(source, data, size);
	if (length > 0) {
		atomic_store(&source->due, false);
		atomic_store_explicit(&source->spoke, clock_boot_ns(), memory_order_relaxed);
	}
	return length;
}

void source_watch(struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLRDHUP | EPOLLET,
				     .data.u64 = source->id };

	if (epoll_ctl(source->all->epoll, EPOLL_CTL_ADD, source->socket, &event) < 0)
		source->socket = -1; /* a client that goes is noticed by its keep-alive */
}

/* True when there is room for it. */
static bool add(struct sources *all, struct source *source)
{
	bool room;

	pthread_mutex_lock(&all->lock);
	room = all->count < all->most && !atomic_load(&all->ending);
	if (room) {
		all->count++;
		source->id = ++all->last_id;
		source->next = all->first;
		source->place = &all->first;
		if (all->first)
			all->first->place = &source->next;
		all->first = source;
	}
	pthread_mutex_unlock(&all->lock);
	return room;
}

int source_open(struct request *request, struct answer *answer, const char *media_type,
		const struct source_calls *calls, void *context)
{
	struct sources *all = request->api->sources;
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return answer_out_of_memory(answer);
	*source = (struct source){ .all = all, .calls = calls, .context = context, .socket = -1 };
	atomic_init(&source->spoke, clock_boot_ns());
	if (!add(all, source)) {
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

/* ---- the keeper ---- */

/* Wakes those that have been silent for long, ends those that take nothing. Returns ms to sleep, -1
 * when there is none. */
static int look_after(struct sources *all)
{
	const uint64_t patience = SOURCE_KEEP_ALIVE_SECONDS * NS_PER_SECOND;
	const uint64_t now = clock_boot_ns();
	struct source *next;
	bool any;

	pthread_mutex_lock(&all->lock);
	any = all->first;
	for (struct source *source = all->first; source; source = next) {
		const uint64_t spoke = atomic_load_explicit(&source->spoke, memory_order_relaxed);

		next = source->next;
		if (now < spoke + patience || now < source->cared + patience)
			continue;
		source->cared = now;
		atomic_store(&source->due, true);
		source_wake(source);
		if (now >= spoke + SOURCE_PATIENCE_SECONDS * NS_PER_SECOND &&
		    atomic_load(&source->state) == SOURCE_BLOCKED)
			direct_end(source);
	}
	pthread_mutex_unlock(&all->lock);
	return any ? LOOK_MS : -1;
}

/* A client that only closed its sending half is spoken to: when it is gone altogether, that is
 * answered with a reset. */
static void hear(struct sources *all, uint64_t id, uint32_t events)
{
	struct source *source;

	pthread_mutex_lock(&all->lock);
	for (source = all->first; source && source->id != id; source = source->next)
		;
	if (source && events & (EPOLLHUP | EPOLLERR)) {
		atomic_store(&source->gone, true);
		if (source->direct && atomic_load(&source->state) == SOURCE_BLOCKED)
			direct_unblock(source);
	} else if (source && events & EPOLLRDHUP) {
		atomic_store(&source->due, true);
	}
	if (source && events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		source_wake(source);
	if (source && source->direct && events & EPOLLOUT)
		direct_unblock(source);
	pthread_mutex_unlock(&all->lock);
}

static void *keep(void *context)
{
	struct sources *all = context;
	uint64_t look = 0;
	bool more = false;
	int timeout = -1;

	pthread_setname_np(pthread_self(), "streams");
	while (!atomic_load(&all->ending)) {
		struct epoll_event events[16];
		int count =
			epoll_wait(all->epoll, events, (int)ARRAY_SIZE(events), more ? 0 : timeout);
		eventfd_t kicks;

		for (int i = 0; i < count; i++) {
			if (events[i].data.u64)
				hear(all, events[i].data.u64, events[i].events);
			else
				eventfd_read(all->kick, &kicks);
		}
		more = direct_run(all);
		if (clock_boot_ns() < look)
			continue;
		timeout = look_after(all);
		look = timeout < 0 ? 0 : clock_boot_ns() + LOOK_MS * NS_PER_MS;
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
	all->piece = malloc(DIRECT_PIECE_BYTES);
	if (all->epoll < 0 || all->kick < 0 || !all->piece ||
	    epoll_ctl(all->epoll, EPOLL_CTL_ADD, all->kick, &event) < 0)
		return -ENOMEM;
	sigfillset(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, &before);
	r = -pthread_create(&all->keeper, NULL, keep, all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	all->keeps = !r;
	return r;
}

/* ---- all of them ---- */

struct sources *sources_new(unsigned int most)
{
	struct sources *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->most = most;
	all->epoll = all->kick = -1;
	all->queue_end = &all->queue;
	pthread_mutex_init(&all->lock, NULL);
	pthread_mutex_init(&all->queue_lock, NULL);
	if (start_keeper(all) < 0) {
		sources_free(all);
		return NULL;
	}
	return all;
}

void sources_end(struct sources *all)
{
	struct source *next;

	if (!all)
		return;
	atomic_store(&all->ending, true);
	if (all->keeps) {
		eventfd_write(all->kick, 1);
		pthread_join(all->keeper, NULL);
		all->keeps = false;
	}
	/* Without the keeper nobody but the library touches them. */
	pthread_mutex_lock(&all->lock);
	for (struct source *source = all->first; source; source = next) {
		next = source->next;
		if (source->direct)
			direct_end(source);
		else
			source_wake(source);
	}
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
	pthread_mutex_destroy(&all->queue_lock);
	free(all->piece);
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
