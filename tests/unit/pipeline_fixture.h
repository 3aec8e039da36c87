/* SPDX-License-Identifier: MIT */
/*
 * A pipeline on a real store, with rings and ledgers in plain memory, for tests that go round by
 * round: the test plays the kernel and the loader. Each test file has its own.
 */
#ifndef TESTS_PIPELINE_FIXTURE_H
#define TESTS_PIPELINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "beat.h"
#include "fake_ring.h"
#include "pipeline/internal.h"

enum { BEAT = 3, PULSE = 5, BOTH = 6, RING_BYTES = 1 << 20 };

static struct stream_account *accounts;
static struct store *store;
static struct pipeline *pipeline;
static struct fake_ring beat_ring, pulse_ring;
static struct kernel_counts beat_counts, pulse_counts;

static inline void server_begins(size_t memory)
{
	store = store_new(memory);
	assert_non_null(store);
	pipeline = pipeline_new(store, accounts, 1);
	assert_non_null(pipeline);
}

static inline void server_ends(void)
{
	pipeline_free(pipeline);
	store_free(store);
	pipeline = NULL;
	store = NULL;
}

static inline int setup(void **state)
{
	(void)state;
	accounts = calloc(STREAM_ACCOUNTS, sizeof(*accounts));
	assert_non_null(accounts);
	beat_counts = pulse_counts = (struct kernel_counts){ 0 };
	server_begins(4 << 20);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	server_ends();
	free(accounts);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* ---- the loader ---- */

static inline void tell_program(uint32_t number, const char *name)
{
	struct message message = {
		.type = MESSAGE_PROGRAM,
		.program = number,
		.status = PROGRAM_RUNNING,
		.flags = MESSAGE_FLAG_ENABLED | MESSAGE_FLAG_LOADED | MESSAGE_FLAG_ATTACHED,
	};

	message_set_text(message.name, "%s", name);
	message_set_text(message.hook, "tp_btf/%s", name);
	assert_int_equal(pipeline_program(pipeline, &message), 0);
}

static inline void tell_schema(uint32_t number, const struct program_schema *schema)
{
	char error[200] = "";

	tell_program(number, schema->name);
	assert_int_equal(pipeline_register_schema(pipeline, number, schema, error, sizeof(error)),
			 0);
	assert_string_equal(error, "");
}

static inline void give_ring(uint32_t number, const char *stream, struct fake_ring *fake,
			     size_t longest)
{
	struct ring ring;

	fake_ring_open(fake, &ring, RING_BYTES, longest, 0);
	assert_int_equal(pipeline_attach_ring(pipeline, number, stream, &ring), 0);
}

static inline void give_ledger(uint32_t number, const char *stream, struct kernel_counts *counts)
{
	struct ledger_source source = { .fd = -1, .memory = counts };

	assert_int_equal(pipeline_attach_ledger(pipeline, number, stream, source), 0);
}

static inline void load_beat(void)
{
	tell_schema(BEAT, &beat_schema);
	give_ring(BEAT, "beat", &beat_ring, BEAT_SIZE);
	give_ledger(BEAT, "beat", &beat_counts);
}

static inline void load_pulse(void)
{
	tell_schema(PULSE, &pulse_schema);
	give_ring(PULSE, "pulse", &pulse_ring, BEAT_SIZE);
	give_ledger(PULSE, "pulse", &pulse_counts);
}

/* ---- the kernel ---- */

/* An event as the kernel side produces it. */
static inline void produce(struct fake_ring *fake, struct kernel_counts *counts, uint64_t number,
			   size_t length)
{
	struct beat_record record = beat_record(number);

	counts->produced++;
	if (!fake_ring_output(fake, &record, length))
		counts->lost++;
}

static inline void produce_beats(uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		produce(&beat_ring, &beat_counts, i, BEAT_SIZE);
}

/* ---- what became of it ---- */

static inline struct ledger ledger_of(size_t stream)
{
	struct ledger ledger;

	assert_int_equal(pipeline_ledger(pipeline, stream, &ledger), 0);
	assert_int_equal(ledger.stored, ledger.held + ledger.expired);
	return ledger;
}

/* With nothing in the ring. */
static inline struct ledger settled(size_t stream)
{
	struct ledger ledger = ledger_of(stream);

	assert_int_equal(ledger.bytes_waiting, 0);
	assert_int_equal(ledger.produced,
			 ledger.stored + ledger.filtered + ledger.sampled_out + ledger.lost);
	return ledger;
}

#endif
