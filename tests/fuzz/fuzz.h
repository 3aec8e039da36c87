/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers share: how an input is cut into pieces, and a small world of one program with
 * every kind of field (objects/schema_demo.bpf.c) for those that need events.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/message.h"
#include "require.h"
#include "schema/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- inputs ---- */

/* What is left of an input. Texts in it are lines, so that corpora are files for an editor. */
struct input {
	const uint8_t *data;
	size_t size;
};

/* 0 at the end. */
uint8_t input_byte(struct input *input);
/* What stands before the next '\n', or all; a copy of the caller's, as long as the line so that
 * reading past its end is seen. A NUL ends it early. */
char *input_line(struct input *input);
/* The same with NULL for an empty line. */
char *input_optional_line(struct input *input);
/* A copy of the rest, for the caller to free; at least one byte is allocated. */
uint8_t *input_rest(struct input *input, size_t *ret_size);

/* ---- the world ---- */

#define DEMO_EVENTS 67 /* that are in it */

struct pipeline;
struct store;

/* Made at the first call, for ever. */
const struct program_schema *fuzz_schema(void);
/* The records of the world, in the order of their coming. */
const uint8_t *fuzz_record(size_t number, uint32_t *ret_length);
/* A store with these records, the stream's number is 0. */
struct store *fuzz_store(size_t memory);
/* A pipeline on a store, with the demo program as number 1 told to it, but no ring. No thread. */
struct pipeline *fuzz_pipeline(struct store *store, struct stream_account *accounts);

/* Shows an event in every form, and requires that the JSON is JSON. */
void fuzz_show(const struct event *event);
/* Whether it is UTF-8 without control characters but tab. */
bool fuzz_is_text(const char *text);

#endif
