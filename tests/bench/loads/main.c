/* SPDX-License-Identifier: MIT */
/*
 * load KIND [options]: makes calls as fast as they go or at a given rate, on one or more threads,
 * and says as JSON how many, and how long one took. The time of one call is the mean over batches
 * without the slowest tenth: on a machine with other work those are where the thread had to wait
 * for a processor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "base/memory.h"
#include "load.h"

#define EXIT_USAGE 2
#define NS_PER_SECOND 1000000000ULL
#define MAX_THREADS 64
#define MAX_SECONDS 120
#define MAX_SAMPLES ((size_t)1 << 20) /* of one thread; later batches are only counted */
#define KEPT_SHARE 0.9

static const struct load_kind *const kinds[] = {
	&load_connect, &load_connect_close, &load_udp_closed, &load_churn,
	&load_http,    &load_read_file,	    &load_read_zero,
};

struct load {
	const struct load_kind *kind;
	struct load_options options;
	uint64_t count;	      /* of each thread; 0: until the time is over */
	uint64_t nanoseconds; /* 0: until the count is made */
	double rate;	      /* calls a second of each thread; 0: as fast as it goes */
	int cpu;	      /* of the first thread, the others after it; -1: any */
	unsigned int threads;
	pthread_barrier_t barrier;
};

struct worker {
	struct load *load;
	unsigned int index;
	pthread_t handle;
	uint64_t made, failed, bytes, cpu_ns;
	uint32_t *samples; /* ns of each batch */
	size_t sample_count;
	int error;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void wait_until(uint64_t ns)
{
	struct timespec when = {
		.tv_sec = (time_t)(ns / NS_PER_SECOND),
		.tv_nsec = (long)(ns % NS_PER_SECOND),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

static void pin(const struct worker *worker)
{
	const struct load *load = worker->load;
	cpu_set_t set;

	if (load->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)load->cpu + worker->index, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		fprintf(stderr, "load: cannot stay on processor %u\n",
			(unsigned int)load->cpu + worker->index);
}

/* Slow rates are made call by call, fast ones in small bursts: a thousand wake-ups a second. */
static unsigned int batch_of(const struct load *load)
{
	double share = load->rate / 1000;

	if (load->rate <= 0 || share >= load->kind->batch)
		return load->kind->batch;
	return share < 1 ? 1 : (unsigned int)share;
}

static void make_calls(struct worker *worker, void *state)
{
	const struct load *load = worker->load;
	const unsigned int batch = batch_of(load);
	const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	uint64_t before = begin;

	while (!load->nanoseconds || before - begin < load->nanoseconds) {
		uint64_t left = load->count ? load->count - worker->made : batch;
		unsigned int calls = left < batch ? (unsigned int)left : batch;
		uint64_t now;

		if (calls == 0)
			break;
		if (load->rate > 0) {
			double due = (double)worker->made * (double)NS_PER_SECOND / load->rate;

			wait_until(begin + (uint64_t)due);
			before = clock_ns(CLOCK_MONOTONIC);
		}
		for (unsigned int i = 0; i < calls; i++) {
			if (!load->kind->call(state, &worker->bytes))
				worker->failed++;
		}
		worker->made += calls;
		now = clock_ns(CLOCK_MONOTONIC);
		if (worker->sample_count < MAX_SAMPLES && calls == batch)
			worker->samples[worker->sample_count++] =
				now - before > UINT32_MAX ? UINT32_MAX : (uint32_t)(now - before);
		before = now;
	}
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	struct load *load = worker->load;
	void *state;
	uint64_t cpu;

	pin(worker);
	state = load->kind->open(&load->options);
	worker->error = state ? 0 : errno;
	pthread_barrier_wait(&load->barrier);
	if (!state)
		return NULL;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	make_calls(worker, state);
	worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	load->kind->close(state);
	return NULL;
}

static int compare_samples(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

/* Times of one call, in ns, from the batches of all threads. */
static int print_times(const struct load *load, const struct worker *workers)
{
	const double batch = batch_of(load);
	size_t count = 0, kept;
	double sum = 0;
	FREE uint32_t *all = NULL;

	for (unsigned int i = 0; i < load->threads; i++)
		count += workers[i].sample_count;
	if (count == 0) {
		printf("\"call_ns\":null,\"median_ns\":null,\"p99_ns\":null");
		return 0;
	}
	all = malloc(count * sizeof(*all));
	if (!all)
		return -ENOMEM;
	count = 0;
	for (unsigned int i = 0; i < load->threads; i++) {
		memcpy(all + count, workers[i].samples, workers[i].sample_count * sizeof(*all));
		count += workers[i].sample_count;
	}
	qsort(all, count, sizeof(*all), compare_samples);
	kept = (size_t)((double)count * KEPT_SHARE);
	if (kept == 0)
		kept = count;
	for (size_t i = 0; i < kept; i++)
		sum += all[i];
	printf("\"call_ns\":%.1f,\"median_ns\":%.1f,\"p99_ns\":%.1f", sum / (double)kept / batch,
	       all[count / 2] / batch, all[count * 99 / 100] / batch);
	return 0;
}

static int print_result(const struct load *load, const struct worker *workers, uint64_t ns)
{
	uint64_t made = 0, failed = 0, bytes = 0, cpu_ns = 0;
	int r;

	for (unsigned int i = 0; i < load->threads; i++) {
		made += workers[i].made;
		failed += workers[i].failed;
		bytes += workers[i].bytes;
		cpu_ns += workers[i].cpu_ns;
	}
	printf("{\"pid\":%d,\"made\":%llu,\"failed\":%llu,\"bytes\":%llu,\"nanoseconds\":%llu,"
	       "\"cpu_ns\":%llu,",
	       getpid(), (unsigned long long)made, (unsigned long long)failed,
	       (unsigned long long)bytes, (unsigned long long)ns, (unsigned long long)cpu_ns);
	r = print_times(load, workers);
	printf("}\n");
	return r;
}

static int run(struct load *load, struct worker *workers)
{
	uint64_t begin;

	pthread_barrier_init(&load->barrier, NULL, load->threads + 1);
	for (unsigned int i = 0; i < load->threads; i++) {
		workers[i] = (struct worker){ .load = load, .index = i };
		workers[i].samples = malloc(MAX_SAMPLES * sizeof(*workers[i].samples));
		if (!workers[i].samples ||
		    pthread_create(&workers[i].handle, NULL, run_worker, &workers[i]) != 0)
			return -ENOMEM;
	}
	pthread_barrier_wait(&load->barrier);
	begin = clock_ns(CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < load->threads; i++)
		pthread_join(workers[i].handle, NULL);
	begin = clock_ns(CLOCK_MONOTONIC) - begin;
	for (unsigned int i = 0; i < load->threads; i++) {
		if (workers[i].error)
			return -workers[i].error;
	}
	return print_result(load, workers, begin);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: load KIND [options]; kinds:\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(stderr, "  %-14s %s\n", kinds[i]->name, kinds[i]->help);
	fprintf(stderr,
		"options:\n"
		"  --count N      calls of each thread\n"
		"  --seconds S    or as many as go in that time (at most %d)\n"
		"  --threads N    (1)\n"
		"  --rate N       calls a second of each thread; 0: as fast as it goes (0)\n"
		"  --cpu N        first thread on this processor, others on the next ones\n"
		"  --command NAME name of the process\n"
		"  --to IP:PORT   (127.0.0.1:9)\n"
		"  --ports N      this port and the N-1 after it in turn (1)\n"
		"  --hosts N      this address and the N-1 after it in turn (1)\n"
		"  --path PATH    of the request (/)\n",
		MAX_SECONDS);
	exit(EXIT_USAGE);
}

static double parse_number(const char *text, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0) || value > most)
		usage();
	return value;
}

static void parse_address(char *text, struct sockaddr_in *address)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		usage();
	*colon = '\0';
	address->sin_port = htons((uint16_t)parse_number(colon + 1, UINT16_MAX));
	if (inet_pton(AF_INET, text, &address->sin_addr) != 1)
		usage();
}

static const struct option long_options[] = {
	{ "count", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 's' },
	{ "threads", required_argument, NULL, 't' },
	{ "rate", required_argument, NULL, 'r' },
	{ "cpu", required_argument, NULL, 'u' },
	{ "command", required_argument, NULL, 'c' },
	{ "to", required_argument, NULL, 'a' },
	{ "ports", required_argument, NULL, 'p' },
	{ "hosts", required_argument, NULL, 'h' },
	{ "path", required_argument, NULL, 'g' },
	{ NULL, 0, NULL, 0 },
};

static void parse(int argc, char **argv, struct load *load)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			load->count = (uint64_t)parse_number(optarg, 1e9);
			break;
		case 's':
			load->nanoseconds = (uint64_t)(parse_number(optarg, MAX_SECONDS) * 1e9);
			break;
		case 't':
			load->threads = (unsigned int)parse_number(optarg, MAX_THREADS);
			break;
		case 'r':
			load->rate = parse_number(optarg, 1e9);
			break;
		case 'u':
			load->cpu = (int)parse_number(optarg, CPU_SETSIZE - MAX_THREADS - 1);
			break;
		case 'c':
			prctl(PR_SET_NAME, optarg);
			break;
		case 'a':
			parse_address(optarg, &load->options.address);
			break;
		case 'p':
			load->options.ports = (unsigned int)parse_number(optarg, UINT16_MAX);
			break;
		case 'h':
			load->options.hosts = (unsigned int)parse_number(optarg, 1 << 24);
			break;
		case 'g':
			load->options.path = optarg;
			break;
		default:
			usage();
		}
	}
	for (size_t i = 0; optind + 1 == argc && i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(argv[optind], kinds[i]->name))
			load->kind = kinds[i];
	}
	if (!load->kind || load->threads < 1 || (!load->count && !load->nanoseconds))
		usage();
}

int main(int argc, char **argv)
{
	struct load load = {
		.options = { .address = { .sin_family = AF_INET,
					  .sin_port = htons(9),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
			     .ports = 1,
			     .hosts = 1,
			     .path = "/" },
		.cpu = -1,
		.threads = 1,
	};
	struct worker workers[MAX_THREADS];
	int r;

	parse(argc, argv, &load);
	r = run(&load, workers);
	if (r < 0) {
		fprintf(stderr, "load: %s: %s\n", load.kind->name, strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
