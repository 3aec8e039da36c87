/* SPDX-License-Identifier: MIT */
/* The events that the guard counts with: records of the built-in programs, the same ones each
 * time. */
#ifndef TESTS_GUARD_EVENTS_H
#define TESTS_GUARD_EVENTS_H

#include <stdint.h>

#include "schema/schema.h"

#define EVENTS_MAX_RECORD 512

/* Says why and ends the process: a count of something else is worth nothing. */
void require(bool condition, const char *what);

/* The schema of a built-in program, with the names of its own object only: those of the running
 * kernel differ between machines. The caller frees it. */
struct program_schema *events_schema(const char *program);

/* Event `number` of a machine where many processes connect, mostly by IPv4: too many for a
 * dictionary of their pids in each block. Returns the record's length. */
#define EVENTS_PROCESSES 4000u
#define EVENTS_PID(process) (1000 + 13 * (process))
#define EVENTS_COMMANDS 8u
/* Event `number` is at EVENTS_START + number * EVENTS_DISTANCE, ns since boot. */
#define EVENTS_START 1000000000000u
#define EVENTS_DISTANCE 20000u
uint32_t events_connection(const struct stream_schema *stream, uint64_t number,
			   uint8_t record[EVENTS_MAX_RECORD]);

/* A dropped packet: TCP over IPv4, at EVENTS_DROP_ADDRESS + 66. */
#define EVENTS_DROP_ADDRESS 0xffffffff81100000u
uint32_t events_packet_drop(const struct stream_schema *stream, uint64_t number,
			    uint8_t record[EVENTS_MAX_RECORD]);

#endif
