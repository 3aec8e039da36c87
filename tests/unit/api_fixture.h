/* SPDX-License-Identifier: MIT */
/*
 * A whole server without a kernel: a real API on loopback ports that the system chose, a real
 * pipeline and store, rings in plain memory, and a thread that plays the loader. The test asks over
 * sockets.
 */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api_client.h"
#include "loader/message.h"

enum { PROGRAM_CONNECTION = 0, PROGRAM_DROPS = 1, PROGRAM_FAILED_ONE = 3 };

struct connection_record {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
	uint64_t duration_ns;
	uint8_t destination_ip[16];
	uint16_t destination_port;
	uint8_t protocol; /* 6 TCP, 17 UDP */
	uint8_t padding[5];
};

struct drop_record {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
	uint32_t skb_length;
	uint16_t drop_reason; /* 3 NO_SOCKET, 5 TCP_CSUM, 7 QUEUE_FULL */
	uint8_t protocol;     /* 1 ICMP, 6 TCP */
	uint8_t secret;	      /* a hidden field */
};

/* Group setup and teardown: programs 0 and 1 run, 3 failed. */
int api_fixture_setup(void **state);
int api_fixture_teardown(void **state);
/* The same with no program told yet. */
int api_fixture_setup_empty(void **state);

/* Before the setup: what a question may take, 0 for any time. */
void fixture_set_query_timeout(uint64_t ns);

/* Time that all events of a test are relative to: boot ns, taken at setup, some minutes ago. */
uint64_t fixture_epoch(void);
/* The wall time of a boot time, as the API shows it: RFC 3339. Static memory. */
const char *fixture_time(uint64_t boot_ns);

/* An event as programs make them; visible to the next question. */
void produce_connection(uint64_t timestamp, uint32_t pid, const char *command, uint16_t port);
void produce_drop(uint64_t timestamp, uint32_t pid, const char *command, uint16_t reason);
/* The kernel had no room for so many. */
void lose_connections(uint64_t count);

void tell_program(uint32_t number, const char *name, enum program_status status, const char *error);
void tell_interface(const struct message *message);
void tell_ready(bool ready);
atomic_bool *fixture_stopping(void);

/* What the loader answers to the next requests, and what it was asked last. With `hold`, it
 * waits until loader_release(). */
void loader_answers(int result, const char *text);
void loader_holds(void);
void loader_await_held(void);
void loader_release(void);
struct message loader_last_request(void);
unsigned int loader_request_count(void);

#endif
