/* SPDX-License-Identifier: MIT */
/*
 * monitor_ebpf_reader: one JSON object a line for each ICMP packet that monitor_ebpf_loader has
 * seen. Any number may run; each sees every packet, and none can disturb another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "follow.h"
#include "monitor_events.h"

#define NAME "monitor_ebpf_reader"
#define EXIT_USAGE 2
#define INTERFACES 64
/* How long nothing is looked at: after records came, and growing while none do. */
#define SHORTEST_MS 5
#define LONGEST_MS 50
#define PIN_CHECK_NS NS_PER_SECOND

struct reader {
	const char *pin;
	const char *interfaces[INTERFACES];
	size_t interface_count;
	bool from_start, wait;
	uint64_t limit; /* 0: none */
	struct follow follow;
	uint64_t printed, missed;
	int signals;
};

static const char help[] =
	"Usage: " NAME " [OPTION]...\n"
	"\n"
	"Prints one JSON object a line for each ICMP packet that monitor_ebpf_loader sees.\n"
	"\n"
	"  --from-start       begin with the packets that are held already\n"
	"  --interface NAME   only of this interface (may be repeated)\n"
	"  --count N          end after so many packets\n"
	"  --wait             wait until something is loaded, also after an unload\n"
	"  --pin PATH         where the map is pinned (default " MONITOR_PIN ")\n"
	"  --version, --help\n";

static void say(const char *text)
{
	fprintf(stderr, NAME ": %s\n", text);
}

/* ---- arguments ---- */

enum { OPTION_FROM_START = 256, OPTION_INTERFACE, OPTION_COUNT, OPTION_WAIT, OPTION_PIN };

static const struct option options[] = {
	{ "from-start", no_argument, NULL, OPTION_FROM_START },
	{ "interface", required_argument, NULL, OPTION_INTERFACE },
	{ "count", required_argument, NULL, OPTION_COUNT },
	{ "wait", no_argument, NULL, OPTION_WAIT },
	{ "pin", required_argument, NULL, OPTION_PIN },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Returns -1 to go on, or the exit status. */
static int take_option(struct reader *reader, int option)
{
	switch (option) {
	case OPTION_FROM_START:
		reader->from_start = true;
		return -1;
	case OPTION_INTERFACE:
		if (reader->interface_count == INTERFACES) {
			say("too many interfaces");
			return EXIT_USAGE;
		}
		reader->interfaces[reader->interface_count++] = optarg;
		return -1;
	case OPTION_COUNT:
		if (text_parse_u64(optarg, 1, UINT64_MAX, &reader->limit) == 0)
			return -1;
		say("--count takes a number from 1 on");
		return EXIT_USAGE;
	case OPTION_WAIT:
		reader->wait = true;
		return -1;
	case OPTION_PIN:
		reader->pin = optarg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_SUCCESS;
	case 'V':
		puts(NAME " " EBPF_SERVER_VERSION);
		return EXIT_SUCCESS;
	default:
		return EXIT_USAGE; /* getopt has said why */
	}
}

static int parse(struct reader *reader, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		int status = take_option(reader, option);

		if (status >= 0)
			return status;
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, NAME ": '%s' is no option (--interface NAME?)\n", argv[optind]);
	return EXIT_USAGE;
}

/* ---- lines ---- */

static void write_ip(struct json *json, const char *name, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(ip, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, ip + sizeof(mapped), text, sizeof(text));
	else
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	json_member_string(json, name, text);
}

static void write_number(struct json *json, const char *name, bool known, uint64_t value)
{
	json_key(json, name);
	if (known)
		json_u64(json, value);
	else
		json_null(json);
}

static void write_line(struct buffer *out, const struct monitor_event *event, int64_t boot_to_real)
{
	char interface[sizeof(event->interface) + 1] = "";
	struct json json;

	memcpy(interface, event->interface, sizeof(event->interface));
	json_init(&json, out);
	json_object_begin(&json);
	write_ip(&json, "src_ip", event->source_ip);
	write_ip(&json, "dst_ip", event->destination_ip);
	write_number(&json, "icmp_type", event->flags & MONITOR_HAS_ICMP, event->type);
	write_number(&json, "icmp_code", event->flags & MONITOR_HAS_ICMP, event->code);
	json_member_u64(&json, "timestamp",
			(uint64_t)((int64_t)event->boot_ns + boot_to_real) / NS_PER_MS);
	json_member_string(&json, "interface", interface);
	json_member_string(&json, "direction",
			   event->flags & MONITOR_EGRESS ? "egress" : "ingress");
	write_number(&json, "icmp_id", event->flags & MONITOR_HAS_ID, event->id);
	write_number(&json, "icmp_seq", event->flags & MONITOR_HAS_ID, event->sequence);
	json_member_u64(&json, "packet_size_bytes", event->size);
	json_member_u64(&json, "ttl", event->time_to_live);
	write_number(&json, "vlan_id", event->vlan_id, event->vlan_id);
	json_member_bool(&json, "malformed", event->flags & MONITOR_MALFORMED);
	json_object_end(&json);
	buffer_append_char(out, '\n');
}

static bool is_wanted(const struct reader *reader, const struct monitor_event *event)
{
	for (size_t i = 0; i < reader->interface_count; i++) {
		if (!strncmp(reader->interfaces[i], event->interface, sizeof(event->interface)))
			return true;
	}
	return !reader->interface_count;
}

/* Blocks as long as whoever reads the output does. False when nobody does any more. */
static bool put(const struct buffer *lines)
{
	size_t done = 0;

	while (done < lines->length) {
		ssize_t n = write(STDOUT_FILENO, lines->data + done, lines->length - done);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0)
			done += (size_t)n;
	}
	return true;
}

/* Returns how many records there were, or -EPIPE. */
static int read_once(struct reader *reader)
{
	/* Anew each time: the wall clock may have been set. */
	const int64_t boot_to_real = clock_boot_to_real_offset();
	const struct monitor_event *events;
	uint64_t missed = 0;
	size_t count = follow_read(&reader->follow, &events, &missed);
	BUFFER lines = BUFFER_INIT;

	if (missed) {
		reader->missed += missed;
		fprintf(stderr, NAME ": missed %llu packets\n", (unsigned long long)missed);
	}
	for (size_t i = 0; i < count && (!reader->limit || reader->printed < reader->limit); i++) {
		if (!is_wanted(reader, &events[i]))
			continue;
		write_line(&lines, &events[i], boot_to_real);
		reader->printed++;
	}
	if (lines.failed) {
		say(strerror(ENOMEM));
		return -EPIPE;
	}
	return put(&lines) ? (int)count : -EPIPE;
}

/* ---- life ---- */

/* Sleeps; true when it is time to end: a signal, or nobody reads the output. */
static bool ends_within(const struct reader *reader, int milliseconds)
{
	struct pollfd entries[] = {
		{ .fd = reader->signals, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 },
	};
	int ready = poll(entries, ARRAY_SIZE(entries), milliseconds);

	return ready > 0 && (entries[0].revents || (entries[1].revents & (POLLERR | POLLNVAL)));
}

/* Returns 0, -EINTR at a signal, or another -errno after one line. */
static int open_pin(struct reader *reader)
{
	bool told = false;
	char error[256];

	for (;;) {
		int r = follow_open(&reader->follow, reader->pin, reader->from_start, error,
				    sizeof(error));

		if (r == 0) {
			fprintf(stderr, NAME ": reading %s\n", reader->pin);
			return 0;
		}
		if (r != -ENOENT || !reader->wait) {
			say(error);
			return r;
		}
		if (!told)
			fprintf(stderr, NAME ": waiting for %s\n", reader->pin);
		told = true;
		if (ends_within(reader, LONGEST_MS))
			return -EINTR;
	}
}

/* Returns the exit status, or -1 when the pin went and may come again. */
static int follow_pin(struct reader *reader)
{
	uint64_t look = clock_boot_ns() + PIN_CHECK_NS;
	int pause = SHORTEST_MS;

	for (;;) {
		bool gone = false;
		int count;

		if (clock_boot_ns() >= look) {
			gone = !follow_is_current(&reader->follow, reader->pin);
			look = clock_boot_ns() + PIN_CHECK_NS;
		}
		count = read_once(reader);
		if (count == -EPIPE || (reader->limit && reader->printed >= reader->limit))
			return EXIT_SUCCESS;
		if (gone && count == 0)
			return -1;
		if (gone)
			look = 0;
		pause = count ? SHORTEST_MS : pause * 2 < LONGEST_MS ? pause * 2 : LONGEST_MS;
		if (ends_within(reader, pause))
			return EXIT_SUCCESS;
	}
}

static int run(struct reader *reader)
{
	for (;;) {
		int r = open_pin(reader), status;

		if (r < 0)
			return r == -EINTR ? EXIT_SUCCESS : EXIT_FAILURE;
		status = follow_pin(reader);
		follow_close(&reader->follow);
		if (status >= 0)
			return status;
		/* Loaded again: everything there is new. */
		reader->from_start = true;
		if (!reader->wait && access(reader->pin, F_OK) < 0) {
			say("it was unloaded");
			return EXIT_SUCCESS;
		}
	}
}

int main(int argc, char **argv)
{
	struct reader reader = { .pin = MONITOR_PIN };
	int status = parse(&reader, argc, argv);
	sigset_t ends;

	if (status >= 0)
		return status;
	prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	reader.signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (reader.signals < 0) {
		say(strerror(errno));
		return EXIT_FAILURE;
	}
	status = run(&reader);
	if (reader.missed)
		fprintf(stderr, NAME ": %llu packets printed, %llu missed\n",
			(unsigned long long)reader.printed, (unsigned long long)reader.missed);
	return status;
}
