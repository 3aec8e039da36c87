/* SPDX-License-Identifier: MIT */
/* What is owed is kept as the time at which it will have been paid (the generic cell rate
 * algorithm, ITU-T I.371): one number an address, and no timer. */
#include "access/throttle.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define NS_PER_S 1000000000ULL

struct throttle_address throttle_address(const struct sockaddr *peer)
{
	struct throttle_address address = { .bytes = { 0 } };

	if (peer && peer->sa_family == AF_INET) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)peer;

		memcpy(address.bytes + 4, &four->sin_addr, sizeof(four->sin_addr));
	} else if (peer && peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;

		/* A socket for both families shows IPv4 addresses so (RFC 4291, 2.5.5.2). */
		if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
			memcpy(address.bytes + 4, six->sin6_addr.s6_addr + 12, 4);
		else
			memcpy(address.bytes, six->sin6_addr.s6_addr, sizeof(address.bytes));
	}
	return address;
}

unsigned int throttle_debt_wait(struct throttle_rate rate, uint64_t paid_at, uint64_t now)
{
	uint64_t allowed = now + (rate.burst - 1) * rate.pause;

	return paid_at <= allowed ? 0
				  : (unsigned int)((paid_at - allowed + NS_PER_S - 1) / NS_PER_S);
}

uint64_t throttle_debt_add(struct throttle_rate rate, uint64_t paid_at, uint64_t now)
{
	return (paid_at > now ? paid_at : now) + rate.pause;
}

/* The finaliser of MurmurHash3 (Austin Appleby, public domain). */
static size_t set_of(const struct throttle *throttle, struct throttle_address address)
{
	uint64_t hash;

	memcpy(&hash, address.bytes, sizeof(hash));
	hash ^= throttle->seed;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdULL;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return (size_t)((hash ^ hash >> 33) % THROTTLE_SETS);
}

unsigned int throttle_wait(const struct throttle *throttle, struct throttle_address address,
			   uint64_t now)
{
	size_t set = set_of(throttle, address);

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		if (throttle->slots[set][i].paid_at &&
		    !memcmp(&throttle->slots[set][i].address, &address, sizeof(address)))
			return throttle_debt_wait(throttle->rate, throttle->slots[set][i].paid_at,
						  now);
	}
	return 0;
}

void throttle_add(struct throttle *throttle, struct throttle_address address, uint64_t now)
{
	size_t set = set_of(throttle, address), place = 0;

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		if (throttle->slots[set][i].paid_at &&
		    !memcmp(&throttle->slots[set][i].address, &address, sizeof(address))) {
			place = i;
			break;
		}
		if (throttle->slots[set][i].paid_at < throttle->slots[set][place].paid_at)
			place = i;
	}
	if (memcmp(&throttle->slots[set][place].address, &address, sizeof(address)) != 0) {
		throttle->slots[set][place].address = address;
		throttle->slots[set][place].paid_at = 0;
	}
	throttle->slots[set][place].paid_at =
		throttle_debt_add(throttle->rate, throttle->slots[set][place].paid_at, now);
}
