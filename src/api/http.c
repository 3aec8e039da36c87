/* SPDX-License-Identifier: MIT */
/* The glue to libmicrohttpd: listeners, requests in, answers out. */
#include "api/http.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "api/answer.h"
#include "api/compress.h"
#include "api/routes.h"
#include "api/source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "live/live.h"

#define THREADS 2
/* Of each listener, besides the streams. All who come from this machine come from one address. */
#define CONNECTIONS 1024u
#define CONNECTIONS_OF_ONE_ADDRESS 512u
#define IDLE_SECONDS 30u
#define STREAMS 256u
/* A body that is too large is read to its end, so that the sender reads the answer; up to here. */
#define DISCARD_LIMIT (1u << 20)
/* How far the wall clock may go from the kept offset before that is taken anew. */
#define OFFSET_TOLERANCE_NS (int64_t) NS_PER_MS

/* A request on its way in. */
struct exchange {
	struct request request;
	bool begun;
	struct source *stream; /* sends by itself; when the library asks again, it is over */
	size_t received;       /* bytes of the body, kept or not */
	uint64_t started;
};

void request_fini(struct request *request)
{
	free(request->target);
	buffer_fini(&request->body);
}

int64_t api_boot_to_real(struct api *api)
{
	int64_t kept = atomic_load(&api->boot_to_real);
	int64_t now = clock_boot_to_real_offset();

	if (now - kept <= OFFSET_TOLERANCE_NS && kept - now <= OFFSET_TOLERANCE_NS)
		return kept;
	atomic_store(&api->boot_to_real, now);
	return now;
}

/* ---- answers out ---- */

typedef void add_header(void *context, const char *name, const char *value);

static void each_header(const struct answer *answer, bool compressible, bool compressed,
			add_header *add, void *context)
{
	/* Without a body there is no type. */
	if (answer->status != STATUS_NO_CONTENT)
		add(context, MHD_HTTP_HEADER_CONTENT_TYPE, answer->media_type);
	add(context, "X-Content-Type-Options", "nosniff");
	add(context, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (compressible)
		add(context, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	if (compressed)
		add(context, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	for (size_t i = 0; i < answer->header_count; i++)
		add(context, answer->headers[i].name, answer->headers[i].value);
}

static void add_to_response(void *context, const char *name, const char *value)
{
	MHD_add_response_header(context, name, value);
}

static void add_to_head(void *context, const char *name, const char *value)
{
	buffer_printf(context, "%s: %s\r\n", name, value);
}

/* The head of a stream, which the library does not send. Its end is that of the connection. */
static void write_head(struct buffer *head, const struct answer *answer)
{
	const time_t now = (time_t)(clock_real_ns() / NS_PER_SECOND);
	struct tm parts;
	char date[64];

	gmtime_r(&now, &parts);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	buffer_printf(head, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n", answer->status,
		      status_text(answer->status), date);
	each_header(answer, false, false, add_to_head, head);
	buffer_append_string(head, "\r\n");
}

static const char *request_header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* False: the library is to send it. */
static bool send_stream(struct MHD_Connection *connection, struct exchange *exchange,
			struct answer *answer)
{
	BUFFER head = BUFFER_INIT;

	write_head(&head, answer);
	if (head.failed || !source_send(answer->source, connection, &head))
		return false;
	exchange->stream = TAKE(answer->source);
	return true;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct exchange *exchange,
				   struct answer *answer)
{
	bool compressible = answer->body.length > COMPRESS_MINIMUM;
	bool compressed =
		compressible &&
		compress_accepted(request_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING)) &&
		compress_body(&answer->body) == 0;
	const struct request *request = &exchange->request;
	struct MHD_Response *response;
	enum MHD_Result result;

	log_debug("api: %s answered %u, %zu bytes, %" PRIu64 " us", request->target, answer->status,
		  answer->body.length, (clock_boot_ns() - exchange->started) / 1000);
	if (answer->source && request->method == METHOD_GET &&
	    send_stream(connection, exchange, answer))
		return MHD_YES;
	/* Either is the response's now. */
	if (answer->source)
		response = source_response(TAKE(answer->source), connection);
	else
		response = MHD_create_response_from_buffer(answer->body.length, answer->body.data,
							   MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	answer->body = (struct buffer)BUFFER_INIT;
	each_header(answer, compressible, compressed, add_to_response, response);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_request(struct MHD_Connection *connection, struct exchange *exchange)
{
	__attribute__((cleanup(answer_fini))) struct answer answer = ANSWER_INIT;
	struct request *request = &exchange->request;

	request->host = request_header(connection, MHD_HTTP_HEADER_HOST);
	request->origin = request_header(connection, MHD_HTTP_HEADER_ORIGIN);
	request->content_type = request_header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	request->accept = request_header(connection, MHD_HTTP_HEADER_ACCEPT);
	request->last_event_id = request_header(connection, "Last-Event-ID");
	route_request(request, &answer);
	/* Not even the words for it: the connection is closed. */
	if (answer.body.failed)
		return MHD_NO;
	return send_answer(connection, exchange, &answer);
}

/* ---- requests in ---- */

static unsigned int parse_method(const char *name)
{
	static const struct {
		const char *name;
		unsigned int method;
	} methods[] = {
		{ MHD_HTTP_METHOD_GET, METHOD_GET },
		{ MHD_HTTP_METHOD_HEAD, METHOD_HEAD },
		{ MHD_HTTP_METHOD_POST, METHOD_POST },
		{ MHD_HTTP_METHOD_PATCH, METHOD_PATCH },
		{ MHD_HTTP_METHOD_OPTIONS, METHOD_OPTIONS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!strcmp(methods[i].name, name))
			return methods[i].method;
	}
	return 0;
}

/*
 * Ends the query string where it begins, in the library's buffer. The library would split it into a
 * list, of which nothing here makes use; and when that list does not fit, libmicrohttpd 0.9.75
 * forgets that it had answered 431, waits for more headers in a buffer of no size, and never says
 * that the request is over (parse_initial_message_line() goes on after MHD_parse_arguments_()
 * failed).
 */
static void hide_query(const char *target)
{
	const char *mark = strchr(target, '?');

	if (mark && mark[1])
		((char *)mark)[1] = '\0';
}

/* The request line as it came: the library decodes it in ways that hide what was wrong with it. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	const struct listener *listener = context;
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	(void)connection;
	if (!exchange)
		return NULL; /* on_request() closes the connection then */
	exchange->request = (struct request){
		.api = listener->api,
		.metrics = listener->metrics,
		.loopback = listener->loopback,
		.target = strdup(target ? target : ""),
		.query = "",
	};
	exchange->started = clock_boot_ns();
	if (!exchange->request.target) {
		free(exchange);
		return NULL;
	}
	if (target)
		hide_query(target);
	return exchange;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *slot;

	(void)context;
	(void)connection;
	(void)code;
	*slot = NULL;
	if (!exchange)
		return;
	source_discard(exchange->stream);
	request_fini(&exchange->request);
	free(exchange);
}

/* Leaves escapes as they are: see on_target(). */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static bool declares_too_much(struct MHD_Connection *connection)
{
	const char *length = request_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t bytes;
	int r;

	if (!length)
		return false;
	r = text_parse_u64(length, 0, UINT64_MAX, &bytes);
	return r == -ERANGE || (!r && bytes > DISCARD_LIMIT);
}

/* Returns false when the sender goes on beyond all bounds. */
static bool collect_body(struct exchange *exchange, const char *data, size_t size)
{
	struct request *request = &exchange->request;

	exchange->received += size;
	if (exchange->received <= BODY_LIMIT) {
		buffer_append(&request->body, data, size);
	} else {
		request->too_large = true;
		buffer_fini(&request->body);
	}
	return exchange->received <= DISCARD_LIMIT;
}

/* The library calls once when the headers are there, once for each piece of the body, and once
 * at the end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *data, size_t *size, void **slot)
{
	struct exchange *exchange = *slot;

	(void)context;
	(void)path;
	(void)version;
	if (!exchange || exchange->stream)
		return MHD_NO;
	if (!exchange->begun) {
		exchange->begun = true;
		exchange->request.method = parse_method(method);
		if (!declares_too_much(connection))
			return MHD_YES;
		exchange->request.too_large = true;
		return answer_request(connection, exchange);
	}
	if (*size) {
		bool more = collect_body(exchange, data, *size);

		*size = 0;
		return more ? MHD_YES : MHD_NO;
	}
	return answer_request(connection, exchange);
}

/* ---- listeners ---- */

static void on_log(void *context, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

/* What clients do wrong is no message of ours. */
static void on_log(void *context, const char *format, va_list arguments)
{
	char text[512];
	size_t length;

	(void)context;
	if (!log_enabled(LOG_DEBUG))
		return;
	vsnprintf(text, sizeof(text), format, arguments);
	length = strlen(text);
	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	log_debug("http: %s", text);
}

static bool is_loopback(int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	const struct sockaddr_in *ip4 = (const void *)&address;
	const struct sockaddr_in6 *ip6 = (const void *)&address;
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return false;
	if (address.ss_family == AF_INET)
		return ntohl(ip4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address.ss_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&ip6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr) &&
		ip6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}

static struct MHD_Daemon *start_daemon(struct listener *listener, unsigned int threads,
				       unsigned int streams)
{
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, listener->fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS + streams, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_OF_ONE_ADDRESS + streams, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL },
		/* A pool of one is none. */
		{ threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads,
		  NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	sigset_t all, before;
	struct MHD_Daemon *daemon;

	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG |
					  MHD_ALLOW_SUSPEND_RESUME,
				  0, NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER,
				  on_log, NULL, MHD_OPTION_ARRAY, options,
				  MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				  MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return daemon;
}

static int listener_start(struct listener *listener, struct api *api, int fd, bool metrics,
			  unsigned int threads)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (listener->fd < 0)
		return -errno;
	listener->api = api;
	listener->metrics = metrics;
	listener->loopback = is_loopback(fd);
	errno = 0;
	listener->daemon = start_daemon(listener, threads, sources_most(api->sources));
	if (!listener->daemon)
		return errno ? -errno : -EIO;
	return 0;
}

static void listener_stop(struct listener *listener)
{
	/* Quiescing takes the socket out of the daemon's hands, which else would shut it down for
	 * everybody who holds it: the loader has a new server listen on it. */
	if (listener->daemon) {
		MHD_quiesce_daemon(listener->daemon);
		MHD_stop_daemon(listener->daemon);
		listener->daemon = NULL;
	}
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

static int64_t boot_to_real(void *context)
{
	return api_boot_to_real(context);
}

int api_start(const struct api_options *options, struct api **ret_api, char *error,
	      size_t error_size)
{
	CLEANUP(api) struct api *api = calloc(1, sizeof(*api));
	int r;

	if (!api) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	api->options = *options;
	api->started = clock_boot_ns();
	for (size_t i = 0; i < ARRAY_SIZE(api->listeners); i++)
		api->listeners[i].fd = -1;
	api->answers = answers_new();
	api->sources = sources_new(options->max_streams ? options->max_streams : STREAMS);
	if (!api->answers || !api->sources) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	atomic_init(&api->boot_to_real, clock_boot_to_real_offset());
	r = live_new(&(struct live_options){ .pipeline = options->pipeline,
					     .symbols = options->symbols,
					     .boot_to_real = boot_to_real,
					     .context = api },
		     &api->live);
	if (r < 0) {
		snprintf(error, error_size, "cannot start following events: %s", strerror(-r));
		return r;
	}
	r = listener_start(&api->listeners[0], api, options->api_listener, false,
			   options->threads ? options->threads : THREADS);
	if (!r && options->metrics_listener >= 0)
		r = listener_start(&api->listeners[1], api, options->metrics_listener, true, 1);
	if (r < 0) {
		snprintf(error, error_size, "cannot start the HTTP server: %s", strerror(-r));
		return r;
	}
	*ret_api = TAKE(api);
	return 0;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	/* The library takes no connection for ended that is set aside. */
	sources_end(api->sources);
	for (size_t i = 0; i < ARRAY_SIZE(api->listeners); i++)
		listener_stop(&api->listeners[i]);
	sources_free(api->sources);
	live_free(api->live);
	free(api->answers);
	free(api);
}
