/* SPDX-License-Identifier: MIT */
/*
 * The image of a ring: two bytes where the consumer stands, two how far the producer is ahead, then
 * the data. The reader takes what it finds, counts the rest, and comes to an end; what it took can
 * be asked for and shown.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fake_ring.h"
#include "fuzz.h"
#include "pipeline/internal.h"
#include "store/query.h"

#define RING_BYTES 8192u

static struct stream_account accounts[STREAM_ACCOUNTS];

static void fill(struct fake_ring *ring, struct input *input)
{
	unsigned long consumer = input_byte(input), ahead;

	consumer |= (unsigned long)input_byte(input) << 8;
	ahead = input_byte(input);
	ahead |= (unsigned long)input_byte(input) << 8;
	/* From 0 on, and shortly before the positions wrap. */
	*ring->consumer = consumer & 1 ? consumer & ~7UL : 0 - (consumer & ~7UL);
	*ring->producer = *ring->consumer + ahead;
	if (input->size)
		memcpy(ring->data, input->data,
		       input->size < ring->bytes ? input->size : ring->bytes);
}

static void show_all(const struct store *store, uint64_t expected)
{
	struct query query = { .until = UINT64_MAX, .limit = 16, .want_total = true };
	struct query_result result;

	query.streams = calloc(1, sizeof(*query.streams));
	REQUIRE(query.streams);
	query.stream_count = 1;
	REQUIRE(query_run(store, &query, &result) == 0);
	REQUIRE(result.total == expected);
	for (size_t i = 0; i < result.count; i++)
		fuzz_show(&result.events[i]);
	query_result_fini(&result);
	query_fini(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(store) struct store *store = store_new(STORE_MIN_MEMORY);
	CLEANUP(pipeline) struct pipeline *pipeline = NULL;
	struct input input = { data, size };
	struct fake_ring fake;
	struct ring ring;
	struct ledger ledger;
	size_t rounds = 0;

	memset(accounts, 0, sizeof(accounts));
	REQUIRE(store);
	pipeline = fuzz_pipeline(store, accounts);
	fake_ring_open(&fake, &ring, RING_BYTES, fuzz_schema()->streams[0].record_size, 0);
	fill(&fake, &input);
	REQUIRE(pipeline_attach_ring(pipeline, 1, fuzz_schema()->streams[0].name, &ring) == 0);
	while (pipeline_round(pipeline))
		/* A record takes 8 bytes or more. */
		REQUIRE(++rounds <= UINT16_MAX / 8 + 1);
	REQUIRE(pipeline_ledger(pipeline, 0, &ledger) == 0);
	REQUIRE(ledger.stored == ledger.held + ledger.expired && !ledger.expired);
	show_all(store, ledger.stored);
	/* Nothing reads on behind the pipeline's back: it goes first. */
	pipeline_free(TAKE(pipeline));
	return 0;
}
