/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One member of every kind that a schema knows. It is read, never loaded. */
#include "program.bpf.h"

PROGRAM("Everything at once", OFF_BY_DEFAULT);

enum demo_color { COLOR_DARK_RED = 1, COLOR_GREEN = 2, COLOR_LIME = 2, COLOR_BLUE = 40 };
enum demo_level { LEVEL_LOW = -1, LEVEL_MIDDLE = 0, LEVEL_HIGH = 5 };
enum demo_alone { ALONE_ONLY_ONE = 7 } __attribute__((packed));
/* Not the kernel's own: found in the object where the kernel has none of this name. */
enum demo_state { DEMO_STATE_IDLE, DEMO_STATE_BUSY, DEMO_OTHER };

struct demo_inner {
	__u8 ip[16] FORMAT_IP WITH_ENDPOINT(inner_address, port, );
	__u16 port;
	__u16 kind DESCRIPTION("Not the outer kind");
	__u32 only_inner ONLY_WHEN(kind, "3");
	__u64 only_outer ONLY_WHEN(size, "77|0x50");
};

struct demo_event {
	struct event_header header;
	__u64 duration UNIT("ns") DESCRIPTION("A \"quoted\" <description>");
	__s64 delta UNIT("ns");
	__u64 location FORMAT_SYMBOL;
	__s64 flags FORMAT_HEX;
	__u32 size UNIT("bytes");
	__s32 result WITH_ERRNO(error);
	enum demo_color color WITH_CODE(color_code);
	enum demo_level level FORMAT_NUMBER;
	__u32 state KERNEL_ENUM(demo_state, "DEMO_STATE_");
	__u32 nameless KERNEL_ENUM(demo_enum_of_nobody, "X_");
	bool ok;
	__u8 kind;
	__s16 small;
	enum demo_alone alone;
	__u8 gate HIDDEN;
	__u8 unused HIDDEN;
	__u8 mac[6] FORMAT_MAC;
	__u8 ip4[4] FORMAT_IP;
	__u8 gated ONLY_WHEN(gate, "1");
	__u8 itself ONLY_WHEN(itself, "1|2|3");
	__u8 ip[16] FORMAT_IP ONLY_WHEN(kind, "4|6") WITH_ENDPOINT(endpoint, port, path);
	__u16 port ONLY_WHEN(kind, "4|6");
	__u8 digest[20] FORMAT_BYTES;
	__u8 token[4] FORMAT_BYTES;
	__s16 list[3];
	__u64 wide[2];
	struct demo_inner inner;
	struct {
		__u32 anonymous_member;
		__u32 reserved HIDDEN;
	};
	void *pointer HIDDEN;
	char path[40] ONLY_WHEN(kind, "1");
	__u32 last ONLY_WHEN(color, "COLOR_BLUE|GREEN");
	__u32 end HIDDEN;
};

/* Shares names with the first one, but is shorter. */
struct demo_short_event {
	struct event_header header;
	enum demo_state color;
	__s32 small;
} DESCRIPTION("Described at the struct");

#define STREAM_RING_BYTES_HERE 8192
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, STREAM_RING_BYTES_HERE);
	__type(value, struct demo_event);
} demo SEC(".maps") ANNOTATION("stream") DESCRIPTION("Described at the map");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, STREAM_RING_BYTES_HERE);
	__type(value, struct demo_short_event);
} demo_short SEC(".maps") ANNOTATION("stream");

/* No stream: it says nothing of itself. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, STREAM_RING_BYTES_HERE);
} unrelated SEC(".maps");

const volatile __u8 tiny PARAMETER("A byte")
= 200;
const volatile __s16 degrees PARAMETER("May be below 0")
= -5;
const volatile __u64 timeout PARAMETER("How long")
UNIT("ms") = 1500;
const volatile __u32 limit_bytes PARAMETER("How much")
UNIT("bytes") = 4096;
const volatile bool verbose PARAMETER("More")
= true;
const volatile char label[8] PARAMETER("Text")
= "abc";
const volatile __u32 untagged = 1;
