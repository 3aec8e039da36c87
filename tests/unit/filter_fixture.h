/* SPDX-License-Identifier: MIT */
/* The demo stream, symbols of a made-up kernel, and a record that filters are asked about. */
#ifndef TESTS_FILTER_FIXTURE_H
#define TESTS_FILTER_FIXTURE_H

#include "demo_stream.h"

#include <sys/mman.h>
#include <unistd.h>

#include "schema/filter.h"
#include "schema/kernel.h"

static struct program_schema *demo;
static const struct stream_schema *stream;
static struct symbols *symbols;

static inline int set_up(void **state)
{
	static const char kallsyms[] = "ffffffff81000000 T tcp_connect\n"
				       "ffffffff81000100 T tcp_close\n"
				       "ffffffff81000200 T udp_sendmsg\n"
				       "ffffffff81000300 t twin\n"
				       "ffffffff81000400 t between\n"
				       "ffffffff81000500 t twin\n"
				       "ffffffff81000600 D data\n";
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);

	(void)state;
	if (write(fd, kallsyms, sizeof(kallsyms) - 1) < 0)
		return -1;
	symbols = symbols_new(fd);
	demo = demo_schema();
	stream = &demo->streams[0];
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	program_schema_free(demo);
	symbols_free(symbols);
	return 0;
}

static inline void base_record(uint8_t record[DEMO_RECORD_SIZE])
{
	static const int16_t list[] = { -5, 0, 700 };

	memset(record, 0, DEMO_RECORD_SIZE);
	set_number(stream, record, "timestamp", 5000000000);
	set_number(stream, record, "pid", 1234);
	set_text(stream, record, "command", "curl");
	set_number(stream, record, "duration", 1500000);
	set_number(stream, record, "delta", (uint64_t)-1500000);
	set_number(stream, record, "location", 0xffffffff8100011c);
	set_number(stream, record, "flags", 0xabc);
	set_number(stream, record, "size", 65536);
	set_number(stream, record, "result", (uint64_t)-111);
	set_number(stream, record, "color", 2);
	set_number(stream, record, "level", (uint64_t)-1);
	set_number(stream, record, "state", 1);
	set_number(stream, record, "nameless", 5);
	set_number(stream, record, "ok", 2); /* not 0: true */
	set_number(stream, record, "kind", 4);
	set_number(stream, record, "small", (uint64_t)-300);
	set_number(stream, record, "alone", 9); /* a value without a name */
	set_bytes(stream, record, "mac", "\x52\x54\x00\xab\xcd\xef", 6);
	set_bytes(stream, record, "ip4", "\x0a\x01\x02\x03", 4);
	set_bytes(stream, record, "ip", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", 16);
	set_number(stream, record, "port", 443);
	set_bytes(stream, record, "digest", "\xde\xad\xbe\xef", 4);
	set_bytes(stream, record, "token", "\x00\x0f\xf0\xff", 4);
	set_bytes(stream, record, "list", list, sizeof(list));
	set_bytes(stream, record, "inner_ip", "\x20\x01\x0d\xb8", 4);
	set_number(stream, record, "inner_port", 53);
}

static inline bool matches_record(const char *name, const char *expression, const uint8_t *record,
				  size_t length)
{
	struct filter filter = { 0 };
	char error[512] = "";
	bool result;

	if (filter_add(&filter, stream, field_of(stream, name), expression, symbols, NULL, error,
		       sizeof(error)))
		fail_msg("%s=%s: %s", name, expression, error);
	result = filter_match(&filter, stream, record, length);
	filter_fini(&filter);
	return result;
}

#endif
