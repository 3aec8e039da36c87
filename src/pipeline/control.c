/* SPDX-License-Identifier: MIT */
#include "pipeline/control.h"

#include <bpf/btf.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/internal.h"

enum { KERNEL_BTF_MAX_BYTES = 256 << 20 };

/* A request that waits; lives on the stack of the thread that asked. */
struct waiter {
	uint32_t request;
	bool answered;
	int result;
	char *error;
	size_t error_size;
	struct waiter *next;
};

struct control {
	int socket;
	struct pipeline *pipeline;
	int kernel_btf_fd;
	struct btf *kernel_btf; /* the hearing thread's */
	bool ready;
	int (*take)(void *context, uint32_t type, const char *text, size_t length); /* or NULL */
	void *take_context;

	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct waiter *waiters;
	uint32_t last_request;
	bool gone; /* nobody hears the loader any more */
};

struct control *control_new(int socket, struct pipeline *pipeline, int kernel_btf_fd)
{
	struct control *control = calloc(1, sizeof(*control));
	pthread_condattr_t attributes;

	if (!control)
		return NULL;
	control->socket = socket;
	control->pipeline = pipeline;
	control->kernel_btf_fd = kernel_btf_fd;
	pthread_mutex_init(&control->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&control->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	btf__free(control->kernel_btf);
	pthread_cond_destroy(&control->answered);
	pthread_mutex_destroy(&control->lock);
	free(control);
}

void control_pass_on(struct control *control,
		     int (*take)(void *context, uint32_t type, const char *text, size_t length),
		     void *context)
{
	control->take = take;
	control->take_context = context;
}

/* ---- hearing ---- */

/* The server has no file system to open it from, so the whole of it is read from the descriptor.
 * Enums of the kernel are shown as numbers without it. */
static const struct btf *kernel_btf(struct control *control)
{
	BUFFER bytes = BUFFER_INIT;
	int rc;

	if (control->kernel_btf || control->kernel_btf_fd < 0)
		return control->kernel_btf;
	rc = pipeline_read_file(control->kernel_btf_fd, KERNEL_BTF_MAX_BYTES, &bytes);
	if (rc == 0) {
		control->kernel_btf = btf__new(bytes.data, (uint32_t)bytes.length);
		if (!control->kernel_btf)
			rc = -errno;
	}
	if (rc) {
		control->kernel_btf_fd = -1;
		log_warn("cannot read the kernel's BTF, its enums are shown as numbers: %s",
			 strerror(-rc));
	}
	return control->kernel_btf;
}

static void release_kernel_btf(struct control *control)
{
	if (!control->kernel_btf)
		return;
	btf__free(control->kernel_btf);
	control->kernel_btf = NULL;
	malloc_trim(0); /* some 10 MiB that the daemon would carry along for ever */
}

static void hear_object(struct control *control, const struct message *message, int fd)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	struct program_view view;

	if (pipeline_object(control->pipeline, message, fd, kernel_btf(control), error,
			    sizeof(error)) == 0)
		return;
	if (pipeline_program_view(control->pipeline, message->program, &view) == 0)
		log_error("program %s: %s; its events are not read", view.name, error);
	else
		log_error("%s", error);
}

static void answer(struct control *control, const struct message *message, int result)
{
	pthread_mutex_lock(&control->lock);
	for (struct waiter *waiter = control->waiters; waiter; waiter = waiter->next) {
		if (waiter->request != message->request)
			continue;
		waiter->answered = true;
		waiter->result = result;
		if (waiter->error_size && result)
			snprintf(waiter->error, waiter->error_size, "%s", message->text);
	}
	pthread_cond_broadcast(&control->answered);
	pthread_mutex_unlock(&control->lock);
}

static int set_log_level(uint64_t level)
{
	if (level > LOG_DEBUG)
		return -EINVAL;
	log_set_level((enum log_level)level);
	return 0;
}

static int pass_on(struct control *control, uint32_t type, int fd)
{
	BUFFER text = BUFFER_INIT;
	int rc;

	if (!control->take)
		return 0;
	rc = pipeline_read_file(fd, MESSAGE_SECRET_MAX_BYTES, &text);
	if (!rc)
		rc = control->take(control->take_context, type, text.data, text.length);
	if (text.data)
		explicit_bzero(text.data, text.capacity);
	return rc;
}

static void apply(struct control *control, const struct message *message, int *fd)
{
	int rc = 0;

	switch (message->type) {
	case MESSAGE_PROGRAM:
		rc = pipeline_program(control->pipeline, message);
		break;
	case MESSAGE_OBJECT:
		hear_object(control, message, *fd);
		break;
	case MESSAGE_MAP:
		rc = pipeline_map(control->pipeline, message, TAKE_FD(*fd));
		break;
	case MESSAGE_PARAMETER:
		rc = pipeline_parameter(control->pipeline, message);
		break;
	case MESSAGE_UNLOADED:
		pipeline_unload(control->pipeline, message->program);
		break;
	case MESSAGE_STATISTICS:
		pipeline_statistics(control->pipeline, message);
		answer(control, message, 0);
		break;
	case MESSAGE_RESULT:
		answer(control, message, message->result > 0 ? -EPROTO : message->result);
		break;
	case MESSAGE_LOG_LEVEL:
		rc = set_log_level(message->numbers[0]);
		break;
	case MESSAGE_INTERFACE:
		rc = pipeline_interface(control->pipeline, message);
		break;
	case MESSAGE_READY:
		break;
	case MESSAGE_CREDENTIALS:
	case MESSAGE_CERTIFICATE:
		rc = pass_on(control, message->type, *fd);
		break;
	default:
		rc = -EPROTO;
		break;
	}
	if (rc)
		log_error("message %u of the loader about program %u \"%s\": %s", message->type,
			  message->program, message->name, strerror(-rc));
}

static int hear(struct control *control, void (*ready)(void *context), void *context)
{
	struct message message;
	CLOSE int fd = -1;
	int rc = message_receive(control->socket, &message, &fd);

	if (rc == -EAGAIN || rc == -EINTR)
		return 0;
	if (rc == -EPROTO) {
		log_error("the loader sent what is no message");
		return 0;
	}
	if (rc)
		return -EPIPE;
	apply(control, &message, &fd);
	if (message.type != MESSAGE_READY)
		return 0;
	release_kernel_btf(control);
	pipeline_set_ready(control->pipeline, true);
	if (!control->ready && ready)
		ready(context);
	control->ready = true;
	return 0;
}

static void give_up_requests(struct control *control)
{
	pthread_mutex_lock(&control->lock);
	control->gone = true;
	pthread_cond_broadcast(&control->answered);
	pthread_mutex_unlock(&control->lock);
}

int control_run(struct control *control, int stop_fd, void (*ready)(void *context), void *context)
{
	struct pollfd polled[] = {
		{ .fd = control->socket, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};
	int rc = 0;

	while (rc == 0) {
		if (poll(polled, ARRAY_SIZE(polled), -1) < 0) {
			if (errno != EINTR)
				rc = -errno;
			continue;
		}
		if (polled[1].revents)
			break;
		if (polled[0].revents)
			rc = hear(control, ready, context);
	}
	give_up_requests(control);
	return rc;
}

/* ---- asking ---- */

static void forget(struct control *control, const struct waiter *waiter)
{
	struct waiter **place = &control->waiters;

	while (*place != waiter)
		place = &(*place)->next;
	*place = waiter->next;
}

static int wait_for_answer(struct control *control, struct waiter *waiter, int timeout_ms)
{
	uint64_t deadline = pipeline_monotonic_ns() + (uint64_t)timeout_ms * (uint64_t)NS_PER_MS;
	struct timespec until = {
		.tv_sec = (time_t)(deadline / NS_PER_SECOND),
		.tv_nsec = (long)(deadline % NS_PER_SECOND),
	};
	int rc = 0;

	while (!waiter->answered && !control->gone && !rc)
		rc = pthread_cond_timedwait(&control->answered, &control->lock, &until);
	if (waiter->answered)
		return waiter->result;
	rc = control->gone ? -EPIPE : -ETIMEDOUT;
	if (waiter->error_size)
		snprintf(waiter->error, waiter->error_size, "%s",
			 rc == -EPIPE ? "the loader is gone" : "the loader gave no answer in time");
	return rc;
}

int control_request_with(struct control *control, struct message *message, int fd, int timeout_ms,
			 char *error, size_t error_size)
{
	struct waiter waiter = { .error = error, .error_size = error ? error_size : 0 };
	int rc;

	pthread_mutex_lock(&control->lock);
	if (++control->last_request == 0) /* 0 asks for no answer */
		control->last_request = 1;
	waiter.request = control->last_request;
	waiter.next = control->waiters;
	control->waiters = &waiter;
	pthread_mutex_unlock(&control->lock);

	/* Sent without the lock: a full socket must not keep answers from being heard. */
	message->request = waiter.request;
	rc = message_send(control->socket, message, fd);

	pthread_mutex_lock(&control->lock);
	if (rc == 0)
		rc = wait_for_answer(control, &waiter, timeout_ms);
	else if (waiter.error_size)
		snprintf(error, error_size, "cannot ask the loader: %s", strerror(-rc));
	forget(control, &waiter);
	pthread_mutex_unlock(&control->lock);
	return rc;
}

int control_request(struct control *control, struct message *message, int timeout_ms, char *error,
		    size_t error_size)
{
	return control_request_with(control, message, -1, timeout_ms, error, error_size);
}

int control_refresh_statistics(struct control *control, uint32_t program, int timeout_ms)
{
	struct message message = { .type = MESSAGE_ASK_STATISTICS, .program = program };

	return control_request(control, &message, timeout_ms, NULL, 0);
}
