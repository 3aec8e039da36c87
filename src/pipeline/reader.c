/* SPDX-License-Identifier: MIT */
/* The reader thread: rings to store, and what it is asked for meanwhile. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "history/history.h"
#include "pipeline/internal.h"

enum {
	/* Records of one ring a round: a storm in one does not starve the others. */
	ROUND_RECORDS = 8192,
	/*
	 * How long a ring is left alone, when events come and when none do. A wake-up costs 20-60
	 * us, so at 20,000 events/s a timer of 5 ms alone would take 0.6 us an event. Without
	 * followers nobody sees the delay: questions sync first, and the kernel wakes the reader
	 * long before a ring is full.
	 */
	ACTIVE_MS = 50,
	IDLE_MS = 200,
	ACTIVE_FOLLOWED_MS = 10,
	IDLE_FOLLOWED_MS = 25,
	URGENT_MS = 1, /* somebody waits for a record that is still being written */
	ALIVE_SECONDS = 2,
};

uint64_t pipeline_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void kick(struct pipeline *pipeline)
{
	eventfd_write(pipeline->kick, 1); /* cannot fail but for a counter at its end: kicked */
}

/* ---- one ring ---- */

static void take_record(void *context, const void *data, size_t length)
{
	struct source *source = context;

	if (!data || length < source->minimum) {
		source->malformed++;
		return;
	}
	store_append(source->pipeline->store, source->number, data, length);
	source->taken++;
}

/* Stored, visible, accounted; the ring's position moves right after. A server that dies between two
 * of these lines leaves the batch in the ring, and counts it twice at worst. */
static void finish_batch(void *context, size_t records)
{
	struct source *source = context;
	struct stream_account *account = source->stream->account;

	(void)records;
	if (source->taken) {
		store_publish(source->pipeline->store, source->number);
		__atomic_store_n(&account->stored, account->stored + source->taken,
				 __ATOMIC_RELAXED);
		account->next_place += source->taken;
		source->pipeline->news = true;
		source->taken = 0;
	}
	if (source->malformed) {
		__atomic_store_n(&account->malformed, account->malformed + source->malformed,
				 __ATOMIC_RELAXED);
		atomic_fetch_add_explicit(&source->stream->malformed, source->malformed,
					  memory_order_relaxed);
		source->malformed = 0;
	}
}

/* ---- rings that come and go ---- */

static int add_source(struct pipeline *pipeline, struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = source };

	if (pipeline->source_count == STORE_MAX_STREAMS)
		return -ENOSPC;
	if (source->ring.fd >= 0 &&
	    epoll_ctl(pipeline->epoll, EPOLL_CTL_ADD, source->ring.fd, &event))
		return -errno;
	pthread_rwlock_wrlock(&pipeline->rings);
	pipeline->sources[pipeline->source_count++] = source;
	source->stream->source = source;
	pthread_rwlock_unlock(&pipeline->rings);
	return 0;
}

static void remove_source(struct pipeline *pipeline, struct source *source)
{
	if (source->ring.fd >= 0)
		epoll_ctl(pipeline->epoll, EPOLL_CTL_DEL, source->ring.fd, NULL);
	pthread_rwlock_wrlock(&pipeline->rings);
	for (size_t i = 0; i < pipeline->source_count; i++) {
		if (pipeline->sources[i] == source) {
			pipeline->sources[i] = pipeline->sources[--pipeline->source_count];
			break;
		}
	}
	source->stream->source = NULL;
	pthread_rwlock_unlock(&pipeline->rings);
}

static void finish_command(struct pipeline *pipeline, struct command *command, int result)
{
	pthread_mutex_lock(&pipeline->commands_lock);
	command->result = result;
	command->done = true;
	pthread_cond_broadcast(&pipeline->commands_done);
	pthread_mutex_unlock(&pipeline->commands_lock);
}

static void take_commands(struct pipeline *pipeline)
{
	struct command *commands;

	if (!atomic_load_explicit(&pipeline->commands_waiting, memory_order_relaxed))
		return;
	pthread_mutex_lock(&pipeline->commands_lock);
	commands = TAKE(pipeline->commands);
	atomic_store(&pipeline->commands_waiting, false);
	pthread_mutex_unlock(&pipeline->commands_lock);

	while (commands) {
		struct command *command = commands;

		commands = command->next;
		if (command->kind == COMMAND_ADD) {
			finish_command(pipeline, command, add_source(pipeline, command->source));
		} else {
			command->next = pipeline->leaving;
			pipeline->leaving = command;
		}
	}
}

/* Rings that are to go do so when they are empty. A record that is never finished does not hold
 * them past their deadline, nor a producer that goes on although its program was detached much
 * longer. */
static bool may_leave(const struct command *command)
{
	const struct source *source = command->source;
	uint64_t patience = source->limited ? 2 * NS_PER_SECOND : 0;

	return !ring_pending(&source->ring) ||
	       pipeline_monotonic_ns() >= command->deadline + patience;
}

static void finish_leaving(struct pipeline *pipeline)
{
	struct command **place = &pipeline->leaving;

	while (*place) {
		struct command *command = *place;

		if (!may_leave(command)) {
			place = &command->next;
			continue;
		}
		*place = command->next;
		remove_source(pipeline, command->source);
		finish_command(pipeline, command, 0);
	}
}

/* ---- who waits ---- */

/* A sync waits for what was in the rings when it began: where their producers are now, at the
 * latest. */
static void begin_sync(struct pipeline *pipeline)
{
	uint64_t requested = atomic_load(&pipeline->sync_requested);

	if (pipeline->sync_serving != pipeline->sync_served || requested == pipeline->sync_serving)
		return;
	pipeline->sync_serving = requested;
	for (size_t i = 0; i < pipeline->source_count; i++) {
		struct source *source = pipeline->sources[i];

		source->target = __atomic_load_n(source->ring.producer, __ATOMIC_ACQUIRE);
		source->awaited = true;
	}
}

static bool sync_reached(const struct pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->source_count; i++) {
		const struct source *source = pipeline->sources[i];

		if (source->awaited && (long)(source->target - *source->ring.consumer) > 0)
			return false;
	}
	return true;
}

static void finish_sync(struct pipeline *pipeline)
{
	if (pipeline->sync_serving == pipeline->sync_served || !sync_reached(pipeline))
		return;
	pthread_mutex_lock(&pipeline->sync_lock);
	pipeline->sync_served = pipeline->sync_serving;
	pthread_cond_broadcast(&pipeline->sync_done);
	pthread_mutex_unlock(&pipeline->sync_lock);
}

void reader_wake_subscribers(struct pipeline *pipeline)
{
	if (!atomic_load_explicit(&pipeline->subscriber_count, memory_order_relaxed))
		return;
	pthread_mutex_lock(&pipeline->subscribers_lock);
	for (size_t i = 0; i < pipeline->subscriber_count; i++)
		eventfd_write(pipeline->subscribers[i], 1);
	pthread_mutex_unlock(&pipeline->subscribers_lock);
}

/* ---- the thread ---- */

size_t pipeline_round(struct pipeline *pipeline)
{
	uint64_t now = pipeline_monotonic_ns();
	size_t records = 0;

	pipeline->news = false;
	pipeline->limited = false;
	take_commands(pipeline);
	begin_sync(pipeline);
	for (size_t i = 0; i < pipeline->source_count; i++) {
		struct source *source = pipeline->sources[i];
		size_t looked_at =
			ring_drain(&source->ring, ROUND_RECORDS, take_record, finish_batch, source);

		/* The ring's position has moved: no later server will find these again. */
		if (looked_at)
			store_settle(pipeline->store, source->number);
		source->limited = looked_at == ROUND_RECORDS;
		pipeline->limited |= source->limited;
		records += looked_at;
	}
	finish_sync(pipeline);
	if (pipeline->news) {
		reader_wake_subscribers(pipeline);
		if (pipeline->history)
			history_wake(pipeline->history);
	}
	if (pipeline->leaving)
		finish_leaving(pipeline);
	if (now >= pipeline->next_look) {
		ledger_look(pipeline, clock_boot_ns());
		pipeline->next_look = now + NS_PER_SECOND;
	}
	return records;
}

static int next_timeout(struct pipeline *pipeline)
{
	bool followed = atomic_load_explicit(&pipeline->subscriber_count, memory_order_relaxed) !=
			0;
	int idle = followed ? IDLE_FOLLOWED_MS : IDLE_MS;

	if (pipeline->news)
		pipeline->timeout_ms = followed ? ACTIVE_FOLLOWED_MS : ACTIVE_MS;
	else if (pipeline->timeout_ms * 2 < idle)
		pipeline->timeout_ms *= 2;
	else
		pipeline->timeout_ms = idle;

	if (pipeline->limited)
		return 0;
	if (pipeline->leaving || pipeline->sync_serving != pipeline->sync_served)
		return URGENT_MS;
	/* Asked for while an earlier one was served: its kick may be used up already. */
	if (atomic_load(&pipeline->sync_requested) != pipeline->sync_served)
		return 0;
	return pipeline->timeout_ms;
}

static void *read_rings(void *context)
{
	struct pipeline *pipeline = context;
	int timeout = 0;

	/* By itself: the name of another thread is set through /proc, which is not there. */
	pthread_setname_np(pthread_self(), "reader");
	while (!atomic_load(&pipeline->stop)) {
		struct epoll_event events[8];
		int count = epoll_wait(pipeline->epoll, events, (int)ARRAY_SIZE(events), timeout);

		for (int i = 0; i < count; i++) {
			eventfd_t kicks;

			if (!events[i].data.ptr)
				eventfd_read(pipeline->kick, &kicks);
		}
		atomic_store_explicit(&pipeline->heartbeat, pipeline_monotonic_ns(),
				      memory_order_relaxed);
		pipeline_round(pipeline);
		timeout = next_timeout(pipeline);
	}
	return NULL;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

int reader_init(struct pipeline *pipeline)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	pthread_rwlock_init(&pipeline->rings, NULL);
	pthread_mutex_init(&pipeline->commands_lock, NULL);
	pthread_mutex_init(&pipeline->sync_lock, NULL);
	pthread_mutex_init(&pipeline->subscribers_lock, NULL);
	init_condition(&pipeline->commands_done);
	init_condition(&pipeline->sync_done);
	pipeline->timeout_ms = ACTIVE_MS;
	pipeline->epoll = epoll_create1(EPOLL_CLOEXEC);
	pipeline->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pipeline->epoll < 0 || pipeline->kick < 0)
		return -errno;
	if (epoll_ctl(pipeline->epoll, EPOLL_CTL_ADD, pipeline->kick, &event))
		return -errno;
	return 0;
}

void reader_fini(struct pipeline *pipeline)
{
	memory_close_fd(&pipeline->epoll);
	memory_close_fd(&pipeline->kick);
	free(pipeline->subscribers);
	pthread_rwlock_destroy(&pipeline->rings);
	pthread_mutex_destroy(&pipeline->commands_lock);
	pthread_mutex_destroy(&pipeline->sync_lock);
	pthread_mutex_destroy(&pipeline->subscribers_lock);
	pthread_cond_destroy(&pipeline->commands_done);
	pthread_cond_destroy(&pipeline->sync_done);
}

int pipeline_start(struct pipeline *pipeline)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
	atomic_store(&pipeline->heartbeat, pipeline_monotonic_ns());
	rc = pthread_create(&pipeline->reader, NULL, read_rings, pipeline);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		atomic_store(&pipeline->heartbeat, 0);
		return -rc;
	}
	pipeline->started = true;
	return 0;
}

void pipeline_stop(struct pipeline *pipeline)
{
	if (!pipeline->started)
		return;
	atomic_store(&pipeline->stop, true);
	kick(pipeline);
	pthread_join(pipeline->reader, NULL);
	atomic_store(&pipeline->heartbeat, 0);
	pipeline->started = false;
	/* Producers may still be at it: what a ring can hold at once is enough. */
	for (int rounds = 0; rounds < 64; rounds++) {
		pipeline_round(pipeline);
		if (!pipeline->limited)
			break;
	}
}

/* Hands a command to the reader and waits until it is done; without a reader does it here. */
static int run_command(struct pipeline *pipeline, struct command *command)
{
	pthread_mutex_lock(&pipeline->commands_lock);
	command->next = pipeline->commands;
	pipeline->commands = command;
	atomic_store(&pipeline->commands_waiting, true);
	if (pipeline->started) {
		kick(pipeline);
		while (!command->done)
			pthread_cond_wait(&pipeline->commands_done, &pipeline->commands_lock);
	}
	pthread_mutex_unlock(&pipeline->commands_lock);
	while (!command->done)
		pipeline_round(pipeline);
	return command->result;
}

int reader_add(struct pipeline *pipeline, struct source *source)
{
	struct command command = { .kind = COMMAND_ADD, .source = source };

	return run_command(pipeline, &command);
}

void reader_remove(struct pipeline *pipeline, struct source *source)
{
	struct command command = {
		.kind = COMMAND_REMOVE,
		.source = source,
		.deadline = pipeline_monotonic_ns() + 50 * NS_PER_MS,
	};

	run_command(pipeline, &command);
}

/* ---- any thread ---- */

bool pipeline_alive(const struct pipeline *pipeline)
{
	uint64_t heartbeat = atomic_load(&pipeline->heartbeat);

	return heartbeat && pipeline_monotonic_ns() - heartbeat < ALIVE_SECONDS * NS_PER_SECOND;
}

uint64_t pipeline_drain_lag(const struct pipeline *pipeline)
{
	uint64_t heartbeat = atomic_load(&pipeline->heartbeat);
	uint64_t now = pipeline_monotonic_ns();

	return heartbeat && now > heartbeat ? now - heartbeat : 0;
}

/* An empty ring was read to its end, and that was published before its position said so. */
static bool rings_empty(struct pipeline *pipeline)
{
	bool empty = true;

	pthread_rwlock_rdlock(&pipeline->rings);
	for (size_t i = 0; i < pipeline->source_count && empty; i++)
		empty = !ring_pending(&pipeline->sources[i]->ring);
	pthread_rwlock_unlock(&pipeline->rings);
	return empty;
}

int pipeline_sync(struct pipeline *pipeline, int timeout_ms)
{
	uint64_t deadline = pipeline_monotonic_ns() + (uint64_t)timeout_ms * (uint64_t)NS_PER_MS;
	struct timespec until = {
		.tv_sec = (time_t)(deadline / NS_PER_SECOND),
		.tv_nsec = (long)(deadline % NS_PER_SECOND),
	};
	uint64_t ticket;
	int rc = 0;

	if (rings_empty(pipeline))
		return 0;
	ticket = atomic_fetch_add(&pipeline->sync_requested, 1) + 1;
	kick(pipeline);
	pthread_mutex_lock(&pipeline->sync_lock);
	while (pipeline->sync_served < ticket && !rc)
		rc = pthread_cond_timedwait(&pipeline->sync_done, &pipeline->sync_lock, &until);
	if (pipeline->sync_served >= ticket)
		rc = 0;
	pthread_mutex_unlock(&pipeline->sync_lock);
	return -rc;
}

int pipeline_subscribe(struct pipeline *pipeline)
{
	CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int *subscribers;

	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&pipeline->subscribers_lock);
	subscribers = realloc(pipeline->subscribers,
			      (pipeline->subscriber_count + 1) * sizeof(*subscribers));
	if (subscribers) {
		pipeline->subscribers = subscribers;
		subscribers[pipeline->subscriber_count] = fd;
		atomic_fetch_add(&pipeline->subscriber_count, 1);
	}
	pthread_mutex_unlock(&pipeline->subscribers_lock);
	if (!subscribers)
		return -ENOMEM;
	kick(pipeline); /* a long sleep that has begun is cut short */
	return TAKE_FD(fd);
}

void pipeline_unsubscribe(struct pipeline *pipeline, int fd)
{
	pthread_mutex_lock(&pipeline->subscribers_lock);
	for (size_t i = 0; i < pipeline->subscriber_count; i++) {
		if (pipeline->subscribers[i] != fd)
			continue;
		pipeline->subscribers[i] = pipeline->subscribers[pipeline->subscriber_count - 1];
		atomic_fetch_sub(&pipeline->subscriber_count, 1);
		break;
	}
	pthread_mutex_unlock(&pipeline->subscribers_lock);
}
