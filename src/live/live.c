/* SPDX-License-Identifier: MIT */
/* The thread, and the clients. */
#include "live/live.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/sse.h"
#include "live/internal.h"

/* How often the kernel's counts of losses are looked at. */
#define LOOK_MS 1000
/* Rounds that who joins waits for at most, so that it begins after what has happened. */
#define ROUNDS_AT_JOIN 16

static const char *const loss_reasons[LOSS_KINDS] = {
	[LOSS_RING_FULL] = "ring_full",
	[LOSS_OVERRUN] = "overrun",
};

/* ---- what was lost ---- */

static bool grow_lost(struct live *live)
{
	const size_t count = store_stream_count(live->store);
	uint64_t *lost;

	if (count == live->lost_count)
		return true;
	lost = realloc(live->lost, count * sizeof(*lost));
	if (!lost)
		return false;
	/* Of a stream that is new everything counts; of those that were there when the first client
	 * came, see begin_following(). */
	memset(lost + live->lost_count, 0, (count - live->lost_count) * sizeof(*lost));
	live->lost = lost;
	live->lost_count = count;
	return true;
}

/* Brings what the kernel lost up to now. `tell`: channels count it. */
static void look(struct live *live, bool tell)
{
	live->next_look = clock_boot_ns() + LOOK_MS * NS_PER_MS;
	if (!grow_lost(live))
		return;
	for (size_t i = 0; i < live->lost_count; i++) {
		struct ledger ledger;

		if (pipeline_ledger(live->options.pipeline, i, &ledger) < 0 ||
		    ledger.lost <= live->lost[i])
			continue;
		if (tell)
			channels_lose(live, i, LOSS_RING_FULL, ledger.lost - live->lost[i]);
		live->lost[i] = ledger.lost;
	}
}

/* ---- the thread ---- */

/* Nobody waits for what a round leaves behind longer than until here. */
static void tidy(struct live *live)
{
	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		pthread_mutex_lock(&channel->lock);
		channel_trim(live, channel);
		pthread_mutex_unlock(&channel->lock);
	}
	pool_shrink(&live->pool);
	round_shrink(&live->round);
}

/* Returns ms to sleep, -1 for long. */
static int come_round(struct live *live)
{
	bool more;

	do {
		pthread_mutex_lock(&live->lock);
		more = live->client_count && round_run(live);
		pthread_mutex_unlock(&live->lock);
		/* Who wants to join or leave does so now. */
		if (more)
			sched_yield();
	} while (more && !atomic_load(&live->stop));

	pthread_mutex_lock(&live->lock);
	more = live->client_count;
	if (more && clock_boot_ns() >= live->next_look) {
		look(live, true);
		tidy(live);
	}
	pthread_mutex_unlock(&live->lock);
	return more ? LOOK_MS : -1;
}

static void *run(void *context)
{
	struct live *live = context;
	int timeout = -1;

	pthread_setname_np(pthread_self(), "live");
	while (!atomic_load(&live->stop)) {
		struct epoll_event event;
		eventfd_t news;

		epoll_wait(live->epoll, &event, 1, timeout);
		/* It may be another descriptor by now than that which was waited for. */
		pthread_mutex_lock(&live->lock);
		if (live->news >= 0)
			eventfd_read(live->news, &news);
		pthread_mutex_unlock(&live->lock);
		eventfd_read(live->kick, &news);
		timeout = come_round(live);
	}
	return NULL;
}

static int start_thread(struct live *live)
{
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t signals, before;
	int r;

	live->epoll = epoll_create1(EPOLL_CLOEXEC);
	live->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = live->kick;
	if (live->epoll < 0 || live->kick < 0 ||
	    epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->kick, &event) < 0)
		return -errno;
	sigfillset(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, &before);
	r = -pthread_create(&live->thread, NULL, run, live);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	live->started_thread = !r;
	return r;
}

int live_new(const struct live_options *options, struct live **ret_live)
{
	CLEANUP(live) struct live *live = calloc(1, sizeof(*live));
	int r;

	if (!live)
		return -ENOMEM;
	live->options = *options;
	live->store = pipeline_store(options->pipeline);
	live->started = clock_boot_ns();
	live->pool.limit = options->memory ? options->memory : LIVE_MEMORY;
	live->epoll = live->kick = live->news = -1;
	pthread_mutex_init(&live->lock, NULL);
	rounds_init(&live->rounds);
	live->follower = follower_new(live->store, true);
	if (!live->follower)
		return -ENOMEM;
	r = start_thread(live);
	if (r < 0)
		return r;
	*ret_live = TAKE(live);
	return 0;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	if (live->started_thread) {
		atomic_store(&live->stop, true);
		eventfd_write(live->kick, 1);
		pthread_join(live->thread, NULL);
	}
	memory_close_fd(&live->epoll);
	memory_close_fd(&live->kick);
	follower_free(live->follower);
	rounds_fini(&live->rounds);
	round_fini(&live->round);
	pool_fini(&live->pool);
	free(live->lost);
	pthread_mutex_destroy(&live->lock);
	free(live);
}

/* ---- coming and going ---- */

/* The first client: the rings are read often from now on. */
static int begin_following(struct live *live)
{
	struct epoll_event event = { .events = EPOLLIN };

	live->news = pipeline_subscribe(live->options.pipeline);
	if (live->news < 0)
		return live->news;
	event.data.fd = live->news;
	if (epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->news, &event) < 0)
		return -errno;
	round_skip(live);
	look(live, false);
	eventfd_write(live->kick, 1); /* its sleep has an end now */
	return 0;
}

static void end_following(struct live *live)
{
	if (live->news < 0)
		return;
	pipeline_unsubscribe(live->options.pipeline, live->news);
	memory_close_fd(&live->news);
	live->news = -1;
	pool_fini(&live->pool);
	round_fini(&live->round);
}

static void add_client(struct channel *channel, struct live_client *client)
{
	pthread_mutex_lock(&channel->lock);
	client->channel = channel;
	client->number = channel->frames.next;
	client->attached = !client->replay;
	memcpy(client->told, channel->losses, sizeof(client->told));
	client->next = channel->clients;
	client->place = &channel->clients;
	if (client->next)
		client->next->place = &client->next;
	channel->clients = client;
	pthread_mutex_unlock(&channel->lock);
	client->live->client_count++;
}

/* Under live.lock. */
static int join(struct live *live, const struct live_question *question,
		const struct event_id *after, struct live_client *client)
{
	struct channel *channel = NULL;
	int r = channel_get(live, question, &channel);

	if (r < 0)
		return r;
	if (!live->client_count)
		r = begin_following(live);
	/* What was published before belongs to those who were here before. */
	for (int i = 0; !r && i < ROUNDS_AT_JOIN && live->client_count && round_run(live); i++)
		;
	if (!r)
		look(live, true);
	if (!r && after)
		r = replay_new(live, channel, after, &client->own, &client->replay);
	if (!r) {
		add_client(channel, client);
		return 0;
	}
	channel_release(live, channel);
	if (!live->client_count)
		end_following(live);
	return r;
}

int live_join(struct live *live, const struct live_question *question, const struct event_id *after,
	      void (*wake)(void *context), void *context, struct live_client **ret_client)
{
	struct live_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	client->live = live;
	client->wake = wake;
	client->context = context;
	sse_retry(&client->own, LIVE_RETRY_MS);
	pthread_mutex_lock(&live->lock);
	r = join(live, question, after, client);
	pthread_mutex_unlock(&live->lock);
	if (r < 0) {
		buffer_fini(&client->own);
		free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

void live_leave(struct live_client *client)
{
	struct live *live;
	struct channel *channel;

	if (!client)
		return;
	live = client->live;
	channel = client->channel;
	pthread_mutex_lock(&live->lock);
	pthread_mutex_lock(&channel->lock);
	*client->place = client->next;
	if (client->next)
		client->next->place = client->place;
	pthread_mutex_unlock(&channel->lock);
	channel_release(live, channel);
	if (!--live->client_count)
		end_following(live);
	pthread_mutex_unlock(&live->lock);
	replay_free(client->replay);
	buffer_fini(&client->own);
	free(client);
}

/* ---- reading ---- */

/* Of the client's own frames as much as fits. */
static size_t take_own(struct live_client *client, char *data, size_t size)
{
	size_t length = client->own.length - client->own_done;

	length = length < size ? length : size;
	if (length)
		memcpy(data, client->own.data + client->own_done, length);
	client->own_done += length;
	if (client->own_done == client->own.length) {
		buffer_fini(&client->own);
		client->own_done = 0;
	}
	return length;
}

/* Writes to the client's own frames what it was not told yet. Under the channel's lock. */
static void tell_losses(struct live_client *client)
{
	const struct channel *channel = client->channel;
	const uint64_t first = frames_first(&channel->frames);

	for (size_t i = 0; i < LOSS_KINDS; i++) {
		if (client->told[i] == channel->losses[i])
			continue;
		frame_lost(&client->own, loss_reasons[i], channel->losses[i] - client->told[i],
			   false, NULL);
		client->told[i] = channel->losses[i];
	}
	if (!client->attached || client->number >= first)
		return;
	frame_lost(&client->own, "slow_reader", first - client->number, true,
		   &channel->frames.dropped);
	atomic_fetch_add_explicit(&client->live->missed, first - client->number,
				  memory_order_relaxed);
	client->number = first;
}

/* What all clients of the channel get. Returns bytes; 0 with something in client->own: read that
 * first; 0 without: there is nothing. */
static size_t take_shared(struct live_client *client, char *data, size_t size, bool first)
{
	struct channel *channel = client->channel;
	size_t length = 0;

	pthread_mutex_lock(&channel->lock);
	tell_losses(client);
	if (!client->own.length && client->attached) {
		length = frames_copy(&channel->frames, &client->number, data, size);
		/* One that is larger than what can be sent at once goes in pieces. */
		if (!length && first && client->number < channel->frames.next) {
			size_t whole;
			const char *frame = frames_at(&channel->frames, client->number, &whole);

			buffer_append(&client->own, frame, whole);
			client->number++;
		}
	}
	pthread_mutex_unlock(&channel->lock);
	return length;
}

ssize_t live_read(struct live_client *client, char *data, size_t size)
{
	size_t length = 0, more;

	for (;;) {
		int r = client->own.failed ? -ENOMEM : 0;

		length += take_own(client, data + length, size - length);
		if (!r && (client->own.length || length == size))
			return (ssize_t)length;
		if (!r && client->replay) {
			r = replay_read(client);
			if (!r)
				continue;
		}
		if (r == -EAGAIN) {
			client->wake(client->context);
			return (ssize_t)length;
		}
		if (r < 0)
			return r;
		more = take_shared(client, data + length, size - length, !length);
		length += more;
		if (!more && !client->own.length && !client->own.failed)
			return (ssize_t)length;
	}
}

void live_figures(struct live *live, struct live_figures *ret_figures)
{
	pthread_mutex_lock(&live->lock);
	*ret_figures = (struct live_figures){
		.clients = live->client_count,
		.channels = live->channel_count,
		.bytes = live->pool.used,
		.encoded = atomic_load_explicit(&live->encoded, memory_order_relaxed),
		.missed = atomic_load_explicit(&live->missed, memory_order_relaxed),
	};
	pthread_mutex_unlock(&live->lock);
}
