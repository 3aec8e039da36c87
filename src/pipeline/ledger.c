/* SPDX-License-Identifier: MIT */
/* What the kernel counted, what became of it, and when something was lost. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "history/history.h"
#include "pipeline/internal.h"

/* ---- accounts ---- */

struct stream_account *ledger_account(struct pipeline *pipeline, const char *name)
{
	for (size_t i = 0; i < STREAM_ACCOUNTS; i++) {
		struct stream_account *account = &pipeline->accounts[i];

		if (!account->name[0])
			message_set_text(account->name, "%s", name);
		if (strcmp(account->name, name) == 0)
			return account;
	}
	return NULL;
}

void ledger_inherit(struct stream *stream)
{
	const struct stream_account *account = stream->account;

	stream->forgotten = account->forgotten;
	stream->malformed_before = account->malformed;
	stream->past = (struct kernel_counts){
		.produced = account->past_produced,
		.filtered = account->past_filtered,
		.sampled_out = account->past_sampled_out,
		.lost = account->past_lost,
	};
}

/* ---- the kernel's counts ---- */

static void add_counts(struct kernel_counts *sum, const struct kernel_counts *counts)
{
	sum->produced += counts->produced;
	sum->filtered += counts->filtered;
	sum->sampled_out += counts->sampled_out;
	sum->lost += counts->lost;
}

static struct kernel_counts load_counts(const struct kernel_counts *counts)
{
	return (struct kernel_counts){
		.produced = __atomic_load_n(&counts->produced, __ATOMIC_RELAXED),
		.filtered = __atomic_load_n(&counts->filtered, __ATOMIC_RELAXED),
		.sampled_out = __atomic_load_n(&counts->sampled_out, __ATOMIC_RELAXED),
		.lost = __atomic_load_n(&counts->lost, __ATOMIC_RELAXED),
	};
}

/* Brings stream->last up to date; under `ledgers`. What cannot be read stays as it was. */
static void read_kernel(struct pipeline *pipeline, struct stream *stream)
{
	struct kernel_counts sum = { 0 };
	uint32_t zero = 0;

	if (stream->kernel.memory) {
		stream->last = load_counts(stream->kernel.memory);
		return;
	}
	if (stream->kernel.fd < 0)
		return;
	if (bpf_map_lookup_elem(stream->kernel.fd, &zero, pipeline->per_cpu)) {
		log_debug("cannot read the ledger of %s: %s", stream->schema->name,
			  strerror(errno));
		return;
	}
	for (unsigned int cpu = 0; cpu < pipeline->possible_cpus; cpu++)
		add_counts(&sum, &pipeline->per_cpu[cpu]);
	stream->last = sum;
}

static uint64_t malformed(const struct stream *stream)
{
	return stream->malformed_before +
	       atomic_load_explicit(&stream->malformed, memory_order_relaxed);
}

/* Reads the counts and places what was lost since the last look; under `ledgers`. */
static void look(struct pipeline *pipeline, struct stream *stream, uint64_t now)
{
	uint64_t lost;

	read_kernel(pipeline, stream);
	lost = stream->past.lost + stream->last.lost + malformed(stream);
	if (lost > stream->lost_looked_at) {
		loss_log_add(&stream->losses, stream->looked_at, now,
			     lost - stream->lost_looked_at);
		stream->lost_looked_at = lost;
	}
	stream->looked_at = now;
}

void ledger_look(struct pipeline *pipeline, uint64_t now)
{
	size_t count = atomic_load(&pipeline->stream_count);

	if (pthread_mutex_trylock(&pipeline->ledgers))
		return;
	for (size_t i = 0; i < count; i++) {
		struct stream *stream = pipeline_stream(pipeline, i);

		if (stream)
			look(pipeline, stream, now);
	}
	pthread_mutex_unlock(&pipeline->ledgers);
}

static void close_source(struct stream *stream)
{
	memory_close_fd(&stream->kernel.fd);
	stream->kernel = LEDGER_SOURCE_NONE;
}

/* Nobody was looking while there was no server: losses of that time may be of any moment before
 * now. */
void ledger_attach(struct pipeline *pipeline, struct stream *stream, struct ledger_source source)
{
	pthread_mutex_lock(&pipeline->ledgers);
	stream->kernel = source;
	if (stream->forgotten)
		stream->looked_at = 0;
	look(pipeline, stream, clock_boot_ns());
	pthread_mutex_unlock(&pipeline->ledgers);
}

void ledger_detach(struct pipeline *pipeline, struct stream *stream)
{
	struct stream_account *account = stream->account;

	pthread_mutex_lock(&pipeline->ledgers);
	look(pipeline, stream, clock_boot_ns());
	add_counts(&stream->past, &stream->last);
	account->past_produced += stream->last.produced;
	account->past_filtered += stream->last.filtered;
	account->past_sampled_out += stream->last.sampled_out;
	account->past_lost += stream->last.lost;
	stream->last = (struct kernel_counts){ 0 };
	close_source(stream);
	pthread_mutex_unlock(&pipeline->ledgers);
}

/* ---- questions ---- */

static uint64_t bytes_waiting(struct pipeline *pipeline, const struct stream *stream)
{
	uint64_t bytes = 0;

	pthread_rwlock_rdlock(&pipeline->rings);
	if (stream->source)
		bytes = ring_pending(&stream->source->ring);
	pthread_rwlock_unlock(&pipeline->rings);
	return bytes;
}

/* The store is asked before the kernel, so that in a stream that runs no event is stored that was
 * not yet produced. What expired only grows, so it is taken as it is and `held` is the rest. */
int pipeline_ledger(const struct pipeline *const_pipeline, size_t number, struct ledger *ret_ledger)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	struct stream *stream = pipeline_stream(pipeline, number);
	struct store_figures figures;
	struct ledger ledger = { 0 };

	if (!stream)
		return -ENOENT;
	store_figures(pipeline->store, number, &figures);
	ledger.stored = stream->forgotten + figures.appended;
	ledger.expired = stream->forgotten + figures.expired;
	ledger.held = ledger.stored - ledger.expired;
	ledger.bytes_waiting = bytes_waiting(pipeline, stream);
	if (pipeline->history) {
		struct history_stream_figures kept;

		history_stream_figures(pipeline->history, number, &kept);
		ledger.persisted = kept.persisted;
		ledger.not_persisted = kept.not_persisted;
	}

	pthread_mutex_lock(&pipeline->ledgers);
	look(pipeline, stream, clock_boot_ns());
	ledger.produced = stream->past.produced + stream->last.produced;
	ledger.filtered = stream->past.filtered + stream->last.filtered;
	ledger.sampled_out = stream->past.sampled_out + stream->last.sampled_out;
	ledger.malformed = malformed(stream);
	ledger.lost = stream->past.lost + stream->last.lost + ledger.malformed;
	pthread_mutex_unlock(&pipeline->ledgers);
	*ret_ledger = ledger;
	return 0;
}

uint64_t pipeline_lost_between(const struct pipeline *const_pipeline, size_t number, uint64_t since,
			       uint64_t until)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	struct stream *stream = pipeline_stream(pipeline, number);
	uint64_t lost;

	if (!stream)
		return 0;
	pthread_mutex_lock(&pipeline->ledgers);
	look(pipeline, stream, clock_boot_ns());
	lost = loss_log_between(&stream->losses, since, until);
	pthread_mutex_unlock(&pipeline->ledgers);
	return lost;
}

/* ---- the log of losses ---- */

/* A full log gives up detail where it is oldest: neighbours of its older half become one. */
static void thin_out(struct loss_log *log)
{
	size_t half = log->count / 2;
	size_t kept = 0;

	for (size_t i = 0; i + 1 < half; i += 2) {
		log->entries[kept++] = (struct loss){
			.from = log->entries[i].from,
			.to = log->entries[i + 1].to,
			.count = log->entries[i].count + log->entries[i + 1].count,
		};
	}
	half &= ~(size_t)1;
	memmove(&log->entries[kept], &log->entries[half],
		(log->count - half) * sizeof(log->entries[0]));
	log->count = kept + log->count - half;
}

void loss_log_add(struct loss_log *log, uint64_t from, uint64_t to, uint64_t count)
{
	if (log->count == log->capacity && log->capacity < LOSS_LOG_ENTRIES) {
		size_t capacity = log->capacity ? log->capacity * 2 : 16;
		struct loss *entries = realloc(log->entries, capacity * sizeof(*entries));

		if (entries) {
			log->entries = entries;
			log->capacity = capacity;
		}
	}
	if (log->count && log->count == log->capacity)
		thin_out(log);
	if (log->count == log->capacity) {
		log->unplaced += count;
		return;
	}
	log->entries[log->count++] = (struct loss){ .from = from, .to = to, .count = count };
}

uint64_t loss_log_between(const struct loss_log *log, uint64_t since, uint64_t until)
{
	uint64_t lost = log->unplaced;

	for (size_t i = log->count; i-- > 0 && log->entries[i].to >= since;) {
		if (log->entries[i].from <= until)
			lost += log->entries[i].count;
	}
	return lost;
}
