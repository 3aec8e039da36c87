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
#include <sys/resource.h>
#include <sys/socket.h>

#include "access/certificate.h"
#include "api/answer.h"
#include "api/compress.h"
#include "api/connections.h"
#include "api/head.h"
#include "api/routes.h"
#include "api/source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "live/live.h"

#define THREADS 2
/* Of each listener (connections.h); the library lets some more in, so that there always is somebody
 * to make room for. All who come from this machine come from one address. */
#define CONNECTIONS 1024u
#define CONNECTIONS_OF_ONE_ADDRESS 512u
#define CONNECTIONS_ON_THE_WAY 128u
#define DESCRIPTORS_LEFT 512u
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

static void add_to_response(void *context, const char *name, const char *value)
{
	MHD_add_response_header(context, name, value);
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

	head_write(&head, answer);
	if (head.failed || !source_send(answer->source, connection, &head))
		return false;
	exchange->stream = TAKE(answer->source);
	return true;
}

/* The response has what the answer had. */
static struct MHD_Response *make_response(struct MHD_Connection *connection, struct answer *answer)
{
	struct MHD_Response *response;

	if (answer->source)
		return source_response(TAKE(answer->source), connection);
	if (answer->fixed)
		return MHD_create_response_from_buffer(answer->fixed_length,
						       (void *)(uintptr_t)answer->fixed,
						       MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer(answer->body.length, answer->body.data,
						   MHD_RESPMEM_MUST_FREE);
	if (response)
		answer->body = (struct buffer)BUFFER_INIT;
	return response;
}

static struct connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct exchange *exchange,
				   struct answer *answer)
{
	bool compressible = !answer->as_is && answer->body.length > COMPRESS_MINIMUM;
	bool compressed = compressible &&
			  compress_accepted("gzip", exchange->request.accept_encoding) &&
			  compress_body(&answer->body) == 0;
	const struct request *request = &exchange->request;
	struct MHD_Response *response;
	enum MHD_Result result;

	log_debug("api: %s answered %u, %zu bytes, %" PRIu64 " us", request->target, answer->status,
		  answer->body.length, (clock_boot_ns() - exchange->started) / 1000);
	if (answer->source && request->method == METHOD_GET &&
	    send_stream(connection, exchange, answer))
		return MHD_YES;
	/* What has an end is to be taken in time. */
	if (!answer->source)
		connection_enter(connection_of(connection), CONNECTION_TAKING, clock_boot_ns());
	response = make_response(connection, answer);
	if (!response)
		return MHD_NO;
	head_each(answer, compressible, compressed, add_to_response, response);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static const struct sockaddr *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info ? info->client_addr : NULL;
}

static enum MHD_Result answer_request(struct MHD_Connection *connection, struct exchange *exchange)
{
	__attribute__((cleanup(answer_fini))) struct answer answer = ANSWER_INIT;
	struct request *request = &exchange->request;

	connection_enter(connection_of(connection), CONNECTION_WORKING, clock_boot_ns());
	request->host = request_header(connection, MHD_HTTP_HEADER_HOST);
	request->origin = request_header(connection, MHD_HTTP_HEADER_ORIGIN);
	request->content_type = request_header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	request->accept = request_header(connection, MHD_HTTP_HEADER_ACCEPT);
	request->authorization = request_header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
	request->peer = peer_of(connection);
	request->accept_encoding = request_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	request->if_none_match = request_header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
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
	connection_enter(connection_of(connection), CONNECTION_ASKING, exchange->started);
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
	(void)code;
	connection_enter(connection_of(connection), CONNECTION_IDLE, clock_boot_ns());
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

static bool headers_too_large(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info && info->header_size > HEADERS_LIMIT;
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
		exchange->request.headers_too_large = headers_too_large(connection);
		exchange->request.too_large = declares_too_much(connection);
		if (!exchange->request.headers_too_large && !exchange->request.too_large)
			return MHD_YES;
		return answer_request(connection, exchange);
	}
	if (*size) {
		bool more = collect_body(exchange, data, *size);

		*size = 0;
		return more ? MHD_YES : MHD_NO;
	}
	return answer_request(connection, exchange);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode code)
{
	const struct listener *listener = context;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		connections_remove(*slot);
		*slot = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info)
		*slot = connections_add(listener->connections, info->connect_fd,
					peer_of(connection));
}

/* GnuTLS asks for the certificate in each handshake; the library has put the connection into the
 * session. */
static int on_handshake(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
			gnutls_pcert_st **ret_chain, unsigned int *ret_count,
			gnutls_ocsp_data_st **ret_ocsp, unsigned int *ret_ocsp_count,
			gnutls_privkey_t *ret_key, unsigned int *ret_flags)
{
	struct MHD_Connection *connection = gnutls_session_get_ptr(session);
	const struct listener *listener =
		connection ? connection_listener(connection_of(connection)) : NULL;

	(void)info;
	*ret_ocsp = NULL;
	*ret_ocsp_count = 0;
	if (!listener)
		return -1;
	return tls_retrieve(listener->api->options.tls, ret_chain, ret_count, ret_key, ret_flags);
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

/* As many as there are descriptors for, on two listeners, with some left for everything else.
 * Streams are among them, and where more than usual are allowed there is as much more room. */
static struct connection_limits connection_limits(unsigned int streams)
{
	const unsigned int more = streams > STREAMS ? streams - STREAMS : 0;
	struct connection_limits limits = { CONNECTIONS + more, CONNECTIONS_OF_ONE_ADDRESS + more };
	struct rlimit descriptors;

	if (getrlimit(RLIMIT_NOFILE, &descriptors) < 0 ||
	    descriptors.rlim_cur >=
		    2 * (CONNECTIONS + CONNECTIONS_ON_THE_WAY + more) + DESCRIPTORS_LEFT)
		return limits;
	limits.most = descriptors.rlim_cur < 4 * DESCRIPTORS_LEFT
			      ? DESCRIPTORS_LEFT / 4
			      : (unsigned int)descriptors.rlim_cur / 4;
	limits.most_of_one_address = limits.most / 2;
	return limits;
}

static struct MHD_Daemon *start_daemon(struct listener *listener, unsigned int threads,
				       unsigned int connections)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)on_handshake },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, listener->fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, connections + CONNECTIONS_ON_THE_WAY, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, listener },
		{ MHD_OPTION_ARRAY, 0, listener->tls ? tls : tls + ARRAY_SIZE(tls) - 1 },
		/* A pool of one is none. */
		{ threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads,
		  NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	const unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG |
				   MHD_ALLOW_SUSPEND_RESUME | (listener->tls ? MHD_USE_TLS : 0u);
	sigset_t all, before;
	struct MHD_Daemon *daemon;

	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL,
				  MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_ARRAY,
				  options, MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				  MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return daemon;
}

static int listener_start(struct listener *listener, struct api *api, int fd, bool metrics,
			  unsigned int threads)
{
	const struct connection_limits limits = connection_limits(sources_most(api->sources));
	int flags = fcntl(fd, F_GETFL);
	int r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (listener->fd < 0)
		return -errno;
	listener->api = api;
	listener->metrics = metrics;
	listener->loopback = is_loopback(fd);
	/* Credentials for metrics do not go in the clear where they need not. */
	listener->tls = api->options.tls && (!metrics || api->options.protect_metrics);
	r = connections_new(limits, listener, &listener->connections);
	if (r < 0)
		return r;
	errno = 0;
	listener->daemon = start_daemon(listener, threads, limits.most);
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
	connections_free(TAKE(listener->connections));
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
