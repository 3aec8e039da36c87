/* SPDX-License-Identifier: MIT */
/* The thread that writes, and what others ask of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "history/internal.h"

/* How often age is looked at while nothing comes. */
#define IDLE_NS (60 * NS_PER_SECOND)
/* A log that somebody's long reading keeps from being taken over. */
#define LOG_MOST_BYTES (64u << 20)

/* ---- trouble ---- */

static void tell_failing(struct history *history, const char *why)
{
	if (!history->failing_told)
		log_error("history: %s; until that is over nothing is written, and what leaves "
			  "memory is not kept",
			  why);
	history->failing_told = true;
	pthread_mutex_lock(&history->figures_lock);
	snprintf(history->figures.failing, sizeof(history->figures.failing), "%s", why);
	history->figures.failures++;
	pthread_mutex_unlock(&history->figures_lock);
}

static void tell_well(struct history *history)
{
	if (!history->failing_told)
		return;
	history->failing_told = false;
	log_info("history: written again");
	pthread_mutex_lock(&history->figures_lock);
	history->figures.failing[0] = '\0';
	pthread_mutex_unlock(&history->figures_lock);
}

static int begin_file(struct history *history)
{
	int r = transaction_begin(history);

	if (r == 0)
		r = history_write_frame(history);
	if (r == 0)
		r = transaction_commit(history);
	if (r < 0)
		transaction_rollback(history);
	return r;
}

/* Pieces of open blocks are in the other file. */
int history_start_over(struct history *history)
{
	int r = history_begin_anew(history);

	for (size_t i = 0; i < STORE_MAX_STREAMS; i++) {
		struct work *work = &history->works[i];

		work->done.chunk_count = 0;
		work->place = work->done;
	}
	return r < 0 ? r : begin_file(history);
}

/* There was no room for a fresh one. */
static int reopen(struct history *history)
{
	int r = history_open_database(history);

	return r < 0 ? r : begin_file(history);
}

static void handle_failure(struct history *history, int error)
{
	char why[160];

	if (error == -EBADMSG)
		error = history_start_over(history);
	if (error == 0)
		return;
	snprintf(why, sizeof(why), "cannot write %s: %s", HISTORY_FILE, strerror(-error));
	tell_failing(history, why);
	history->retry_at = clock_boot_ns() + history->options.flush_ns;
}

static bool is_log_too_long(const struct history *history)
{
	const uint64_t most = history->options.size_limit / 4 > LOG_MOST_BYTES
				      ? history->options.size_limit / 4
				      : LOG_MOST_BYTES;

	return (uint64_t)history->log_pages * history->page_size > most;
}

/* ---- one round ---- */

static void write_round(struct history *history, bool all)
{
	int r;

	if (clock_boot_ns() < history->retry_at && !all)
		return;
	if (is_log_too_long(history)) {
		tell_failing(history, "another process reads for so long that the log may not "
				      "grow any more");
		retain_tidy(history);
		return;
	}
	r = history->database ? flush_run(history, all) : reopen(history);
	if (r == 0 && retain_is_due(history)) {
		r = transaction_begin(history);
		if (r == 0)
			r = history_commit(history);
		if (r < 0)
			transaction_rollback(history);
	}
	if (r < 0)
		handle_failure(history, r);
	else
		tell_well(history);
	retain_tidy(history);
}

/* ---- the thread ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Until the end, or for so long, or (for_news) until something comes. Returns false at the end. */
static bool rest(struct history *history, uint64_t ns, bool for_news)
{
	const uint64_t until = monotonic_ns() + ns;
	const struct timespec deadline = {
		.tv_sec = (time_t)(until / NS_PER_SECOND),
		.tv_nsec = (long)(until % NS_PER_SECOND),
	};
	bool go_on;
	int r = 0;

	pthread_mutex_lock(&history->wake_lock);
	while (!history->stop && !(for_news && history->news) && r == 0)
		r = pthread_cond_timedwait(&history->wake, &history->wake_lock, &deadline);
	history->news = false;
	go_on = !history->stop;
	pthread_mutex_unlock(&history->wake_lock);
	return go_on;
}

static bool rest_until_next(struct history *history)
{
	const uint64_t step = history->options.flush_ns / 5;
	bool go_on;

	if (flush_is_pending(history))
		return rest(history, step, false);
	atomic_exchange(&history->asleep, true);
	/* What was settled before that was seen does not call. */
	go_on = flush_is_pending(history) ? rest(history, step, false)
					  : rest(history, IDLE_NS, true);
	atomic_store(&history->asleep, false);
	return go_on;
}

static void *write_history(void *context)
{
	struct history *history = context;

	/* By itself: the name of another thread is set through /proc, which is not there. */
	pthread_setname_np(pthread_self(), "history");
	do {
		write_round(history, false);
		/* Other work in pieces, so that what is due is not kept waiting. */
		while ((salvage_run(history) || merge_run(history)) && !flush_is_pending(history))
			;
	} while (rest_until_next(history));
	return NULL;
}

int history_start(struct history *history)
{
	pthread_condattr_t attributes;
	sigset_t every, before;
	int r;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&history->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before); /* signals are for the main thread */
	r = pthread_create(&history->thread, NULL, write_history, history);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	history->started = true;
	return 0;
}

void history_wake(struct history *history)
{
	/* Both sides change the word, so one comes after the other: this thread sees that the
	 * writer sleeps, or the writer sees what was settled. */
	if (!atomic_fetch_or(&history->asleep, false))
		return;
	pthread_mutex_lock(&history->wake_lock);
	history->news = true;
	pthread_cond_signal(&history->wake);
	pthread_mutex_unlock(&history->wake_lock);
}

void history_stop(struct history *history)
{
	if (!history->started)
		return;
	pthread_mutex_lock(&history->wake_lock);
	history->stop = true;
	pthread_cond_signal(&history->wake);
	pthread_mutex_unlock(&history->wake_lock);
	pthread_join(history->thread, NULL);
	pthread_cond_destroy(&history->wake);
	history->started = false;

	write_round(history, true);
	if (flush_is_pending(history) || transaction_begin(history) < 0)
		return;
	if (transaction_state(history, "clean", 1) < 0 || transaction_commit(history) < 0)
		transaction_rollback(history);
}

/* ---- figures ---- */

void history_figures(struct history *history, struct history_figures *ret_figures)
{
	pthread_mutex_lock(&history->figures_lock);
	*ret_figures = history->figures;
	pthread_mutex_unlock(&history->figures_lock);
	pthread_mutex_lock(&history->vault.pool_lock);
	ret_figures->damaged = history->vault.damaged;
	ret_figures->taking_over = atomic_load(&history->salvaging);
	pthread_mutex_unlock(&history->vault.pool_lock);
}

void history_stream_figures(const struct history *history, size_t stream,
			    struct history_stream_figures *ret_figures)
{
	const struct work *work = &history->works[stream];

	*ret_figures = (struct history_stream_figures){
		.persisted = atomic_load(&work->persisted),
		.not_persisted = atomic_load(&work->not_persisted),
	};
}

/* Events left memory that nobody has written, and the writer may not know it yet. */
static bool has_lost_unseen(const struct history *history, size_t stream, uint64_t since)
{
	struct store_figures figures;

	store_figures(history->options.store, stream, &figures);
	return figures.expired && figures.expired_until >= since &&
	       figures.first + figures.expired > atomic_load(&history->works[stream].written_to);
}

bool history_is_complete(struct history *history, size_t stream, uint64_t since,
			 uint64_t since_real)
{
	bool complete;

	if (has_lost_unseen(history, stream, since))
		return false;
	pthread_rwlock_rdlock(&history->vault.lock);
	complete = !atomic_load(&history->salvaging) &&
		   (!history->damaged_until || history->damaged_until < since_real) &&
		   (!history->retired_until[stream] || history->retired_until[stream] < since_real);
	for (size_t i = 0; i < history->gap_count && complete; i++)
		complete = history->gaps[i].stream != stream || history->gaps[i].until < since_real;
	pthread_rwlock_unlock(&history->vault.lock);
	return complete;
}

bool history_span(struct history *history, size_t stream, uint64_t *ret_oldest,
		  uint64_t *ret_newest)
{
	const struct catalog *catalog = &history->catalog;
	bool any = false;

	pthread_rwlock_rdlock(&history->vault.lock);
	for (size_t i = 0; i < catalog->shelf_count; i++) {
		const struct shelf *shelf = catalog->shelves[i];
		const uint64_t to_real = (uint64_t)catalog->boots[shelf->boot].clock.to_real;
		uint64_t oldest, newest;

		if (shelf->stream != stream || !shelf->count)
			continue;
		/* Blocks hardly overlap in time: the first and the last one are near enough. */
		oldest = shelf->entries[0].oldest + to_real;
		newest = shelf->entries[shelf->count - 1].newest + to_real;
		*ret_oldest = any && *ret_oldest < oldest ? *ret_oldest : oldest;
		*ret_newest = any && *ret_newest > newest ? *ret_newest : newest;
		any = true;
	}
	pthread_rwlock_unlock(&history->vault.lock);
	return any;
}
