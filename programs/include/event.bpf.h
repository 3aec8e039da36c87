/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Event streams. STREAM(name, struct type) declares one; a function then does
 *
 *	if (!stream_wants(name))
 *		return 0;                                 filters; counted
 *	struct type *event = stream_reserve(name, sizeof(*event));
 *	if (!event)
 *		return 0;                                 no room; counted as lost
 *	event_header_fill(&event->header);
 *	…
 *	stream_submit(name, event, sizeof(*event));
 *
 * Each event counts once in the stream's ledger: produced = stored + filtered + sampled out +
 * lost. A record may be reserved shorter than its struct; members past its end are null. Every
 * byte that is reserved must be written: the ring holds old bytes.
 *
 * Nobody is woken for an event: a wake-up costs the traced task 1.6-4.3 µs, an event without one
 * 0.13-0.5 µs. The reader comes by itself; it is called only when the fill of the ring passes a
 * sixteenth.
 */
#ifndef EVENT_BPF_H
#define EVENT_BPF_H

/* The members that every event begins with: what any hook knows for free. A program that says
 * PROGRAM_OF_PACKETS knows less (interface.bpf.h). */
#ifdef PROGRAM_OF_PACKETS
#define OF_TASK NULL_IF_ZERO
#define OF_OWNER ONLY_WHEN(has_owner, "1")
#else
#define OF_TASK
#define OF_OWNER
#endif

struct event_header {
	__u64 timestamp DESCRIPTION("When it happened, since boot (suspend included)") UNIT("ns");
	__u32 pid OF_TASK DESCRIPTION("Process id (thread group), in the initial PID namespace");
	__u32 tid OF_TASK DESCRIPTION("Thread id, in the initial PID namespace");
	__u32 uid OF_OWNER DESCRIPTION("User id, in the initial user namespace");
	__u32 reserved HIDDEN;
	__u64 cgroup_id OF_TASK
		DESCRIPTION("cgroup v2 id: the inode number of the cgroup's directory");
	char command[16] OF_TASK DESCRIPTION("Name of the thread (comm)");
};

struct stream_ledger {
	__u64 produced;
	__u64 filtered;
	__u64 sampled_out;
	__u64 lost;
};

#ifndef STREAM_RING_BYTES
#define STREAM_RING_BYTES (4 * 1024 * 1024)
#endif

/* What else is said of a stream follows its type: ONLY_WITH(), PRINT_LINE(), … */
#define STREAM(name, event_type, ...)                                                              \
	/* Set by the loader along with the ring's size. */                                        \
	const volatile __u32 name##_wakeup_bytes = STREAM_RING_BYTES / 16;                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
		__uint(max_entries, STREAM_RING_BYTES);                                            \
		__type(value, event_type);                                                         \
	} name SEC(".maps") ANNOTATION("stream") __VA_ARGS__;                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, struct stream_ledger);                                               \
	} name##_ledger SEC(".maps")

/* This CPU's part of a stream's ledger. Never NULL in fact; the verifier wants the check. */
static __always_inline struct stream_ledger *ledger_of(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* Whether the filter parameters let this event pass; if not, it is counted. */
#define stream_wants(name) stream_wants_(&name##_ledger)

/* Room for `size` (a constant) bytes, or NULL, and then the event is counted as lost. */
#define stream_reserve(name, size) stream_reserve_(&name, &name##_ledger, size)

/* Counts an event that is lost for another reason than a full ring, or that is not wanted by the
 * program itself. */
#define stream_lose(name) stream_count_(&name##_ledger, true)
#define stream_filter_out(name) stream_count_(&name##_ledger, false)

#define stream_submit(name, event, size) stream_submit_(&name, event, size, name##_wakeup_bytes)

static __always_inline void *stream_reserve_(void *ring, void *ledger_map, __u64 size)
{
	struct stream_ledger *ledger = ledger_of(ledger_map);
	void *event;

	if (!ledger)
		return NULL;
	ledger->produced++;
	event = bpf_ringbuf_reserve(ring, size, 0);
	if (!event)
		ledger->lost++;
	return event;
}

static __always_inline void stream_count_(void *ledger_map, bool lost)
{
	struct stream_ledger *ledger = ledger_of(ledger_map);

	if (!ledger)
		return;
	ledger->produced++;
	if (lost)
		ledger->lost++;
	else
		ledger->filtered++;
}

static __always_inline void stream_submit_(void *ring, void *event, __u64 size, __u64 wakeup_bytes)
{
	__u64 waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	__u64 before = waiting - (size + 8); /* 8: the record's header */

	/* wakeup_bytes is a power of two: a bit above it changes when the fill passes a multiple
	 * of it, so a crossing that two CPUs hide from each other is made good at the next
	 * multiple. */
	bpf_ringbuf_submit(event, (waiting ^ before) & ~(wakeup_bytes - 1) ? BPF_RB_FORCE_WAKEUP
									   : BPF_RB_NO_WAKEUP);
}

static __always_inline void event_header_fill(struct event_header *header)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	header->timestamp = bpf_ktime_get_boot_ns();
	header->pid = pid_tgid >> 32;
	header->tid = (__u32)pid_tgid;
	header->uid = (__u32)bpf_get_current_uid_gid();
	header->reserved = 0;
	header->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(header->command, sizeof(header->command));
}

#endif
