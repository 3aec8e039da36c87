/* SPDX-License-Identifier: MIT */
/*
 * Two clocks. Events carry nanoseconds since boot (CLOCK_BOOTTIME, what bpf_ktime_get_boot_ns()
 * reads: it goes on during suspend and never steps). People ask in wall time. The offset
 * between both is read when a text is made or understood, so that a stepped wall clock shows true
 * times.
 * Thread-safe.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000ULL
#define NS_PER_MS 1000000ULL

uint64_t clock_boot_ns(void);
uint64_t clock_real_ns(void);
/* Wall time minus boot time, in ns: wall = boot + offset. */
int64_t clock_boot_to_real_offset(void);
/* An offset that was used earlier in this boot: given again as long as it is right to within a
 * millisecond, so that an event's wall time is the same in every answer. Before other threads
 * ask. */
void clock_keep_offset(int64_t offset);
/* When this machine booted, in seconds since the epoch: btime of /proc/stat, read at the first call
 * and then kept, also by forks; so call it before giving up the file system. Where /proc cannot be
 * read, the clocks tell it. */
uint64_t clock_boot_epoch_seconds(void);
/* Gives this boot the seconds that its events have been known by (an NTP step moves btime); before
 * other threads ask. */
void clock_set_boot_epoch(uint64_t seconds);
/* What tells this boot from all others, at most CLOCK_BOOT_ID_SIZE - 1 characters: the kernel's
 * random/boot_id; read at the first call and then kept, as above. Where it cannot be read, made of
 * the seconds above. */
#define CLOCK_BOOT_ID_SIZE 40
const char *clock_boot_id(void);

/* "2026-11-21T03:45:28.123456789Z"; `text` holds CLOCK_RFC3339_SIZE bytes. Returns the length. */
#define CLOCK_RFC3339_SIZE 36
size_t clock_format_rfc3339(uint64_t real_ns, char *text);

/* RFC 3339 date-time of the years 1970 to 2200 with 'T' or a space, 0 to 9 fraction digits, 'Z' or
 * an offset; a space in place of the offset's '+' is understood, since an unescaped "+00:00"
 * arrives so. Second 60 is the next minute's second 0. Or relative to now: "-5m", "-1h30m", "-90s",
 * "now"; what then lies before 1970 is 1970. Returns 0 or -EINVAL. */
int clock_parse_time(const char *text, uint64_t now_real_ns, uint64_t *ret_real_ns);

/* "250ns", "10us", "1ms", "1.5s", "2m", "1h", "1h30m", "1d"; a bare number has `default_unit_ns`,
 * or is refused when that is 0. Units go from large to small; fractions must come out in whole ns.
 * Returns 0, -EINVAL or -ERANGE. */
int clock_parse_duration(const char *text, uint64_t default_unit_ns, uint64_t *ret_ns);

#endif
