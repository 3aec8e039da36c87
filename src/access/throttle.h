/* SPDX-License-Identifier: MIT */
/*
 * A bound on failures by address: so many at once, then one each few seconds. A fixed table; when
 * it is full, the address that owes least is forgotten. Not thread-safe.
 */
#ifndef ACCESS_THROTTLE_H
#define ACCESS_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

struct sockaddr;

#define THROTTLE_SETS 128
#define THROTTLE_WAYS 8

/* Leaves one failure after the other until `burst` are owed, each for `pause` ns. */
struct throttle_rate {
	uint64_t pause;
	unsigned int burst;
};

/* An IPv4 address, or the first 64 bits of an IPv6 one: that much belongs to one customer. */
struct throttle_address {
	uint8_t bytes[8];
};

struct throttle {
	struct throttle_rate rate;
	uint64_t seed; /* random: nobody can choose whom to push out */
	struct {
		struct throttle_address address;
		uint64_t paid_at; /* ns: nothing is owed any more; 0: free */
	} slots[THROTTLE_SETS][THROTTLE_WAYS];
};

struct throttle_address throttle_address(const struct sockaddr *peer);

/* The two halves for one debt: seconds to wait before another attempt, at least 1 when one has to
 * wait; and one failure more. Times are ns of any clock that never steps back. */
unsigned int throttle_debt_wait(struct throttle_rate rate, uint64_t paid_at, uint64_t now);
uint64_t throttle_debt_add(struct throttle_rate rate, uint64_t paid_at, uint64_t now);

/* The same, by address. */
unsigned int throttle_wait(const struct throttle *throttle, struct throttle_address address,
			   uint64_t now);
void throttle_add(struct throttle *throttle, struct throttle_address address, uint64_t now);

#endif
