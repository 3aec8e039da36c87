/* SPDX-License-Identifier: MIT */
#include "export/print.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "schema/encode.h"
#include "schema/template.h"
#include "store/query.h"

#define BATCH 1024	     /* events between two writes */
#define STOP_PATIENCE_MS 500 /* how long a reader that does not read may hold up the end */

struct print {
	struct print_options options;
	struct follower *follower;
	struct buffer out;
	struct encoding encoding;
	uint64_t missed;
	pthread_t thread;
	int news, stop; /* events to come, end asked for */
	bool started;
	bool opened
		[STORE_MAX_STREAMS]; /* has said what comes before its first event, if anything */
};

/* ---- openings ---- */

static void append_opening(struct print *print, const struct stream_schema *schema)
{
	const char *text = schema->print_opening;
	struct template_part part;

	while (template_next(&text, &part)) {
		if (template_part_is(&part, TEMPLATE_OWN_PID))
			buffer_printf(&print->out, "%u", print->options.own_pid);
		else if (template_part_is(&part, TEMPLATE_API_PORT))
			buffer_printf(&print->out, "%u", print->options.api_port);
		else
			buffer_append(&print->out, part.text, part.length);
	}
	buffer_append_char(&print->out, '\n');
}

static void open_stream(struct print *print, size_t stream, const struct stream_schema *schema)
{
	if (print->opened[stream])
		return;
	print->opened[stream] = true;
	if (schema->print_opening)
		append_opening(print, schema);
}

/* Its program runs, with parameters that let it have events. */
static bool stream_is_on(const struct print *print, const struct stream_view *stream)
{
	struct program_view program;

	return stream->active && !stream->superseded &&
	       pipeline_program_view(print->options.pipeline, stream->program, &program) == 0 &&
	       program.attached && program.schema &&
	       stream_schema_is_on(stream->schema, program.schema, program.parameters);
}

/* Before there is an event. */
static void open_streams(struct print *print)
{
	size_t count = pipeline_stream_count(print->options.pipeline);

	for (size_t i = 0; i < count && !print->options.json; i++) {
		struct stream_view stream;

		if (!print->opened[i] &&
		    pipeline_stream_view(print->options.pipeline, i, &stream) == 0 &&
		    stream.schema->print_opening && stream_is_on(print, &stream))
			open_stream(print, i, stream.schema);
	}
}

/* ---- events ---- */

static void encode(void *context, const struct event *event)
{
	struct print *print = context;

	if (print->options.json) {
		struct json json;

		json_init(&json, &print->out);
		event_encode_json(event, &print->encoding, &json);
	} else {
		open_stream(print, event->stream, event->schema);
		event_encode_text(event, &print->encoding, &print->out);
	}
	buffer_append_char(&print->out, '\n');
}

/* Writes all of the buffer; waits for a slow reader, but not longer than STOP_PATIENCE_MS once the
 * end was asked for. */
static int write_out(struct print *print)
{
	size_t done = 0;

	while (done < print->out.length) {
		struct pollfd polls[] = {
			{ .fd = print->options.fd, .events = POLLOUT },
			{ .fd = print->stop, .events = POLLIN },
		};
		ssize_t written;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (!(polls[0].revents & (POLLOUT | POLLERR | POLLHUP))) {
			struct pollfd last = polls[0];

			if (polls[1].revents && poll(&last, 1, STOP_PATIENCE_MS) == 0)
				return -ETIMEDOUT;
			continue;
		}
		written =
			write(print->options.fd, print->out.data + done, print->out.length - done);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (written > 0)
			done += (size_t)written;
	}
	return 0;
}

/* Prints everything that is there. Returns 0 or -errno of the output. */
static int print_all(struct print *print)
{
	uint64_t missed = 0;
	size_t events;

	do {
		int result;

		buffer_clear(&print->out);
		open_streams(print);
		print->encoding.boot_to_real = clock_boot_to_real_offset();
		events = follower_read(print->follower, BATCH, encode, print, &missed);
		if (print->out.failed) {
			log_warn("print: out of memory, %zu events are not printed", events);
			buffer_fini(&print->out);
			continue;
		}
		result = write_out(print);
		if (result < 0)
			return result;
	} while (events == BATCH);
	if (missed)
		log_warn("print: standard output is read too slowly: %llu events are not printed",
			 (unsigned long long)missed);
	return 0;
}

static void *print_thread(void *argument)
{
	struct print *print = argument;
	bool last = false;
	int result;

	while (true) {
		struct pollfd polls[] = {
			{ .fd = print->news, .events = POLLIN },
			{ .fd = print->stop, .events = POLLIN },
		};
		uint64_t count;

		if (poll(polls, 2, -1) < 0)
			continue;
		last = polls[1].revents != 0;
		if (polls[0].revents && read(print->news, &count, sizeof(count)) < 0)
			log_debug("print: no news after all");
		result = print_all(print);
		if (result < 0 || last)
			break;
	}
	if (result < 0 && !last)
		print->options.closed(print->options.context);
	return NULL;
}

int print_start(const struct print_options *options, struct print **ret_print)
{
	CLEANUP(print) struct print *print = calloc(1, sizeof(*print));
	int result;

	if (!print)
		return -ENOMEM;
	*print = (struct print){
		.options = *options,
		.encoding = { .boot_epoch = clock_boot_epoch_seconds(),
			      .symbols = options->symbols },
		.news = -1,
		.stop = -1,
	};
	print->follower = follower_new(pipeline_store(options->pipeline), true);
	if (!print->follower)
		return -ENOMEM;
	print->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (print->stop < 0)
		return -errno;
	print->news = pipeline_subscribe(options->pipeline);
	if (print->news < 0)
		return print->news;
	result = -pthread_create(&print->thread, NULL, print_thread, print);
	if (result < 0)
		return result;
	print->started = true;
	*ret_print = TAKE(print);
	return 0;
}

void print_stop(struct print *print)
{
	if (!print)
		return;
	if (print->started) {
		if (eventfd_write(print->stop, 1) < 0)
			log_warn("print: cannot be stopped");
		pthread_join(print->thread, NULL);
	}
	if (print->news >= 0) {
		pipeline_unsubscribe(print->options.pipeline, print->news);
		close(print->news);
	}
	memory_close_fd(&print->stop);
	follower_free(print->follower);
	buffer_fini(&print->out);
	free(print);
}
