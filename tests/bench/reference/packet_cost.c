/* SPDX-License-Identifier: MIT */
/*
 * What an XDP program costs packets that are not its business, over one that lets all pass at once.
 *
 *   packet_cost OBJECT FUNCTION PAIRS   both run over the same packets, in turns
 *                                       (BPF_PROG_TEST_RUN); JSON: {"tcp": {"ours": [ns…], "pass":
 *                                       [ns…]}, …}
 *   packet_cost OBJECT FUNCTION PAIRS INTERFACE
 *                                       both on an interface, in turns, while others send;
 *                                       JSON: {"ours": [bytes a second…], "pass": […]}
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS 200000
#define PACKET_SIZE 128
#define XDP_PASS 2
#define MAX_PAIRS 1000
#define TURN_MS 40

/* Frames of which only what is looked at is set: types at 12 and 16, protocols behind. */
static const struct kind {
	const char *name;
	uint8_t at[8], value[8]; /* bytes that are not zero */
	size_t count;
} kinds[] = {
	{ "tcp", { 12, 14, 17, 23 }, { 0x08, 0x45, 114, 6 }, 4 },
	{ "udp6", { 12, 13, 14, 19, 20 }, { 0x86, 0xdd, 0x60, 74, 17 }, 5 },
	{ "sctp6", { 12, 13, 14, 19, 20 }, { 0x86, 0xdd, 0x60, 74, 132 }, 5 },
	{ "arp", { 12, 13 }, { 0x08, 0x06 }, 2 },
	{ "vlan", { 12, 16, 18, 21, 27 }, { 0x81, 0x08, 0x45, 110, 6 }, 5 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int load_pass(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	/* As libbpf says it of ours: the kernel exchanges like for like. */
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "bare_pass", "GPL", code, 2, &options);
}

static int load_ours(const char *path, const char *function)
{
	struct bpf_object *object;
	struct bpf_program *program;
	struct bpf_map *map;

	libbpf_set_print(NULL);
	object = bpf_object__open(path);
	if (!object)
		return -1;
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), function));
	}
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
			bpf_map__set_value_size(map, 0);
	}
	program = bpf_object__find_program_by_name(object, function);
	if (!program || bpf_object__load(object))
		return -1;
	return bpf_program__fd(program);
}

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Nanoseconds of a run. */
static double run(int program, const struct kind *kind)
{
	uint8_t packet[PACKET_SIZE] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = RUNS);
	double begin;

	for (size_t i = 0; i < kind->count; i++)
		packet[kind->at[i]] = kind->value[i];
	begin = now_ns();
	if (bpf_prog_test_run_opts(program, &options) || options.retval != XDP_PASS) {
		fprintf(stderr, "packet_cost: %s: verdict %u\n", kind->name, options.retval);
		exit(1);
	}
	return (now_ns() - begin) / RUNS;
}

static void print(const char *name, const double *samples, size_t count, const char *end)
{
	printf("\"%s\": [", name);
	for (size_t i = 0; i < count; i++)
		printf("%s%.2f", i ? ", " : "", samples[i]);
	printf("]%s", end);
}

static void compare(int ours, int pass, size_t pairs)
{
	static double samples[2][MAX_PAIRS];
	const int programs[2] = { ours, pass };

	printf("{");
	for (size_t k = 0; k < KINDS; k++) {
		run(ours, &kinds[k]);
		for (size_t i = 0; i < pairs; i++) {
			/* In turns, and the first of a pair in turns too. */
			for (size_t half = 0; half < 2; half++) {
				size_t which = (i + half) % 2;

				samples[which][i] = run(programs[which], &kinds[k]);
			}
		}
		printf("%s\"%s\": {", k ? ", " : "", kinds[k].name);
		print("ours", samples[0], pairs, ", ");
		print("pass", samples[1], pairs, "}");
	}
	printf("}\n");
}

/* Bytes that came in so far (the network namespace's own table). */
static double received(const char *interface)
{
	FILE *file = fopen("/proc/self/net/dev", "r");
	char line[512], name[64];
	double bytes = 0, value;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %63[^:]: %lf", name, &value) == 2 && !strcmp(name, interface))
			bytes = value;
	}
	if (file)
		fclose(file);
	return bytes;
}

static double wall_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double turn(int link, int program, const char *interface)
{
	double bytes, begin;

	if (bpf_link_update(link, program, NULL)) {
		perror("packet_cost: bpf_link_update");
		exit(1);
	}
	begin = wall_ns();
	bytes = received(interface);
	usleep(TURN_MS * 1000);
	return (received(interface) - bytes) / (wall_ns() - begin) * 1e9;
}

static void compare_traffic(int ours, int pass, size_t pairs, const char *interface)
{
	static double samples[2][MAX_PAIRS];
	const int programs[2] = { ours, pass };
	int link = bpf_link_create(pass, (int)if_nametoindex(interface), BPF_XDP, NULL);

	if (link < 0) {
		perror("packet_cost: bpf_link_create");
		exit(1);
	}
	turn(link, ours, interface);
	for (size_t i = 0; i < pairs; i++) {
		for (size_t half = 0; half < 2; half++) {
			size_t which = (i + half) % 2;

			samples[which][i] = turn(link, programs[which], interface);
		}
	}
	printf("{");
	print("ours", samples[0], pairs, ", ");
	print("pass", samples[1], pairs, "}\n");
}

int main(int argc, char **argv)
{
	long pairs = argc >= 4 ? strtol(argv[3], NULL, 10) : 0;
	int ours = argc >= 4 ? load_ours(argv[1], argv[2]) : -1;
	int pass = load_pass();

	if (ours < 0 || pass < 0 || pairs < 1 || pairs > MAX_PAIRS) {
		fprintf(stderr, "packet_cost: cannot load, or wrong usage\n");
		return 1;
	}
	if (argc == 5)
		compare_traffic(ours, pass, (size_t)pairs, argv[4]);
	else
		compare(ours, pass, (size_t)pairs);
	return 0;
}
