/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Filters that every program has, as parameters. They are constants when the verifier looks at the
 * program, so a filter that is not set leaves no instruction behind.
 */
#ifndef FILTER_BPF_H
#define FILTER_BPF_H

/* Packets are of no task: a program that says PROGRAM_OF_PACKETS has none of these. */
#ifndef PROGRAM_OF_PACKETS
const volatile __u32 only_pid PARAMETER("Report only this process id; 0 reports all")
= 0;
const volatile __s64 only_uid PARAMETER("Report only this user id; -1 reports all")
= -1;
const volatile char only_command[16] PARAMETER(
	"Report only threads of this name; empty reports all")
= "";
#endif
/* A program that says PROGRAM_WITHOUT_STREAMS before it includes this only counts, and counts what
 * passes: there is nothing to sample. */
#ifndef PROGRAM_WITHOUT_STREAMS
const volatile __u32 sample
	PARAMETER("Report one event in so many, chosen at random; 0 and 1 report all")
= 0;
#endif

#ifdef PROGRAM_OF_PACKETS
static __always_inline bool filter_passes(void)
{
	return true;
}
#else
static __always_inline bool filter_passes(void)
{
	if (only_pid && only_pid != (__u32)(bpf_get_current_pid_tgid() >> 32))
		return false;
	if (only_uid >= 0 && only_uid != (__u32)bpf_get_current_uid_gid())
		return false;
	if (only_command[0]) {
		char command[16] = {};

		bpf_get_current_comm(command, sizeof(command));
		for (int i = 0; i < 16; i++) {
			if (command[i] != only_command[i])
				return false;
			if (!command[i])
				break;
		}
	}
	return true;
}
#endif

#ifndef PROGRAM_WITHOUT_STREAMS
static __always_inline bool stream_wants_(void *ledger_map)
{
	bool passes = filter_passes();
	struct stream_ledger *ledger;

	/* Chance rather than every N-th: a load with a period of its own would alias. */
	if (passes && (sample <= 1 || bpf_get_prandom_u32() % sample == 0))
		return true;
	ledger = ledger_of(ledger_map);
	if (!ledger)
		return false;
	ledger->produced++;
	if (passes)
		ledger->sampled_out++;
	else
		ledger->filtered++;
	return false;
}
#endif

#endif
