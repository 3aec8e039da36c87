/* SPDX-License-Identifier: MIT */
/* Sources that the keeper sends by itself. But for the queue everything is the keeper's alone, from
 * source_send() until the connection is resumed, by which it goes back to the library. */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "api/source_internal.h"
#include "base/clock.h"

/* Pieces that one source may send before others have their turn. */
#define TURN_PIECES 8

void direct_queue(struct source *source)
{
	struct sources *all = source->all;
	bool first;

	pthread_mutex_lock(&all->queue_lock);
	first = !all->queue;
	source->queued = NULL;
	*all->queue_end = source;
	all->queue_end = &source->queued;
	pthread_mutex_unlock(&all->queue_lock);
	if (first)
		eventfd_write(all->kick, 1);
}

static struct source *dequeue(struct sources *all)
{
	struct source *source;

	pthread_mutex_lock(&all->queue_lock);
	source = all->queue;
	if (source) {
		all->queue = source->queued;
		if (!all->queue)
			all->queue_end = &all->queue;
	}
	pthread_mutex_unlock(&all->queue_lock);
	return source;
}

void direct_end(struct source *source)
{
	if (atomic_exchange(&source->state, SOURCE_OVER) != SOURCE_OVER)
		MHD_resume_connection(source->connection);
}

/* Returns how many bytes were taken, or -errno. */
static ssize_t send_some(const struct source *source, const char *data, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		ssize_t n = send(source->socket, data + sent, length - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		else
			return -EPIPE;
	}
	return (ssize_t)sent;
}

/* What the socket did not take before. True when it is gone. */
static bool send_rest(struct source *source, bool *ret_broken)
{
	size_t length = source->rest.length - source->rest_done;
	ssize_t n = length ? send_some(source, source->rest.data + source->rest_done, length) : 0;

	*ret_broken = n < 0;
	if (n < 0)
		return false;
	source->rest_done += (size_t)n;
	if (n > 0)
		atomic_store_explicit(&source->spoke, clock_boot_ns(), memory_order_relaxed);
	if (source->rest_done < source->rest.length)
		return false;
	buffer_fini(&source->rest);
	source->rest_done = 0;
	return true;
}

/* One turn. */
static void run_source(struct source *source)
{
	char *piece = source->all->piece;
	bool broken;

	atomic_store(&source->state, SOURCE_READING);
	for (int i = 0; i < TURN_PIECES; i++) {
		int reading = SOURCE_READING;
		ssize_t length, sent;

		if (!send_rest(source, &broken)) {
			if (broken || atomic_load(&source->gone))
				direct_end(source);
			else
				atomic_store(&source->state, SOURCE_BLOCKED);
			return;
		}
		length = source_read(source, piece, DIRECT_PIECE_BYTES);
		if (length == SOURCE_WAIT) {
			if (atomic_compare_exchange_strong(&source->state, &reading,
							   SOURCE_WAITING))
				return;
			atomic_store(&source->state, SOURCE_READING);
			continue;
		}
		sent = length < 0 ? -EPIPE : send_some(source, piece, (size_t)length);
		if (sent >= 0 && sent < length)
			buffer_append(&source->rest, piece + sent, (size_t)(length - sent));
		if (sent < 0 || source->rest.failed) {
			direct_end(source);
			return;
		}
	}
	atomic_store(&source->state, SOURCE_QUEUED);
	direct_queue(source);
}

bool direct_run(struct sources *all)
{
	struct source *source;

	/* Sockets are heard of in between: no more turns than there were sources. */
	for (unsigned int turns = sources_count(all) + 1; turns; turns--) {
		source = dequeue(all);
		if (!source)
			return false;
		run_source(source);
	}
	return true;
}

void direct_unblock(struct source *source)
{
	int blocked = SOURCE_BLOCKED;

	if (atomic_compare_exchange_strong(&source->state, &blocked, SOURCE_QUEUED))
		direct_queue(source);
}

bool source_send(struct source *source, struct MHD_Connection *connection, struct buffer *head)
{
	struct sources *all = source->all;
	const union MHD_ConnectionInfo *info;
	const int on = 1;
	bool ending;

	if (MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION))
		return false;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info)
		return false;
	pthread_mutex_lock(&all->lock);
	/* Either it is suspended before sources_end() looks through the list, or not at all. */
	ending = atomic_load(&all->ending);
	if (!ending) {
		MHD_suspend_connection(connection);
		source->connection = connection;
		source->socket = info->connect_fd;
		source->direct = true;
		source->rest = *head;
		*head = (struct buffer)BUFFER_INIT;
		/* An event is sent when it is there. */
		setsockopt(source->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		atomic_store(&source->state, SOURCE_QUEUED);
		source_watch(source, EPOLLOUT);
		direct_queue(source);
	}
	pthread_mutex_unlock(&all->lock);
	return !ending;
}
