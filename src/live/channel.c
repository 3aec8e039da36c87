/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "live/internal.h"

/* Of all memory for frames, what one channel may hold. */
#define CHANNEL_SHARE 4

/* ---- the question ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_filters(const void *a, const void *b)
{
	const struct live_filter *left = a, *right = b;
	int r = strcmp(left->field, right->field);

	return r ? r : strcmp(left->expression, right->expression);
}

static int copy_types(struct channel *channel, const char *list)
{
	size_t count = 1;

	if (!list)
		return 0;
	for (const char *c = list; *c; c++)
		count += *c == ',';
	channel->types = calloc(count, sizeof(char *));
	if (!channel->types)
		return -ENOMEM;
	for (;;) {
		size_t length = strcspn(list, ",");
		char *type = strndup(list, length);

		if (!type)
			return -ENOMEM;
		channel->types[channel->type_count++] = type;
		if (!list[length])
			break;
		list += length + 1;
	}
	qsort(channel->types, channel->type_count, sizeof(char *), compare_texts);
	return 0;
}

static int copy_filters(struct channel *channel, const struct live_question *question)
{
	channel->filters = calloc(question->filter_count + 1, sizeof(*channel->filters));
	if (!channel->filters)
		return -ENOMEM;
	for (size_t i = 0; i < question->filter_count; i++) {
		struct live_filter *filter = &channel->filters[channel->filter_count++];

		filter->field = strdup(question->filters[i].field);
		filter->expression = strdup(question->filters[i].expression);
		if (!filter->field || !filter->expression)
			return -ENOMEM;
	}
	qsort(channel->filters, channel->filter_count, sizeof(*channel->filters), compare_filters);
	return 0;
}

/* Texts have no NUL, so it stands between them. */
static int make_key(struct channel *channel)
{
	BUFFER key = BUFFER_INIT;

	buffer_append_char(&key, channel->as_strings ? 's' : 'n');
	buffer_append_char(&key, channel->types ? 't' : 'a');
	for (size_t i = 0; i < channel->type_count; i++) {
		if (!i || strcmp(channel->types[i], channel->types[i - 1]) != 0)
			buffer_append(&key, channel->types[i], strlen(channel->types[i]) + 1);
	}
	buffer_append_char(&key, '\0');
	for (size_t i = 0; i < channel->filter_count; i++) {
		const struct live_filter *filter = &channel->filters[i];

		buffer_append(&key, filter->field, strlen(filter->field) + 1);
		buffer_append(&key, filter->expression, strlen(filter->expression) + 1);
	}
	channel->key_length = key.length;
	channel->key = buffer_take_string(&key);
	return channel->key ? 0 : -ENOMEM;
}

/* ---- its streams ---- */

static bool has_type(const struct channel *channel, const char *name)
{
	for (size_t i = 0; i < channel->type_count; i++) {
		if (!strcmp(channel->types[i], name))
			return true;
	}
	return !channel->types;
}

/* 0, -ENOENT: the stream takes no part, -ENOMEM. */
static int build_filter(const struct live *live, const struct channel *channel,
			const struct stream_schema *schema, struct filter *filter)
{
	if (!has_type(channel, schema->name))
		return -ENOENT;
	for (size_t i = 0; i < channel->filter_count; i++) {
		const struct live_filter *wanted = &channel->filters[i];
		const struct field *field = stream_schema_field(schema, wanted->field);
		bool unknown = false;
		char error[256];
		int r;

		if (!field)
			return -ENOENT;
		r = filter_add(filter, schema, field, wanted->expression, live->options.symbols,
			       &unknown, error, sizeof(error));
		if (r < 0)
			return r == -ENOMEM ? r : -ENOENT;
	}
	return 0;
}

static int extend(const struct live *live, struct channel *channel)
{
	const size_t count = store_stream_count(live->store);
	struct channel_stream *streams;

	if (count == channel->stream_count)
		return 0;
	streams = realloc(channel->streams, count * sizeof(*streams));
	if (!streams)
		return -ENOMEM;
	channel->streams = streams;
	while (channel->stream_count < count) {
		struct channel_stream *stream = &streams[channel->stream_count];
		int r;

		*stream = (struct channel_stream){ .in = false };
		r = build_filter(live, channel,
				 store_stream_schema(live->store, channel->stream_count),
				 &stream->filter);
		if (r < 0)
			filter_fini(&stream->filter);
		if (r == -ENOMEM)
			return r;
		stream->in = !r;
		channel->stream_count++;
	}
	return 0;
}

void channel_extend(const struct live *live, struct channel *channel)
{
	if (extend(live, channel) < 0)
		log_debug("live: out of memory, a new stream is not followed yet");
}

/* ---- channels ---- */

static void channel_free(struct live *live, struct channel *channel)
{
	for (size_t i = 0; i < channel->type_count; i++)
		free(channel->types[i]);
	free(channel->types);
	for (size_t i = 0; i < channel->filter_count; i++) {
		free((char *)channel->filters[i].field);
		free((char *)channel->filters[i].expression);
	}
	free(channel->filters);
	for (size_t i = 0; i < channel->stream_count; i++)
		filter_fini(&channel->streams[i].filter);
	free(channel->streams);
	free(channel->key);
	frames_fini(&channel->frames, &live->pool);
	pthread_mutex_destroy(&channel->lock);
	free(channel);
}

static struct channel *find_channel(const struct live *live, const struct channel *same_as)
{
	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		if (channel->key_length == same_as->key_length &&
		    !memcmp(channel->key, same_as->key, same_as->key_length))
			return channel;
	}
	return NULL;
}

int channel_get(struct live *live, const struct live_question *question,
		struct channel **ret_channel)
{
	struct channel *channel = calloc(1, sizeof(*channel)), *known;
	int r;

	if (!channel)
		return -ENOMEM;
	pthread_mutex_init(&channel->lock, NULL);
	channel->as_strings = question->integers_as_strings;
	r = copy_types(channel, question->types);
	if (!r)
		r = copy_filters(channel, question);
	if (!r)
		r = make_key(channel);
	known = r ? NULL : find_channel(live, channel);
	if (!r && !known)
		r = extend(live, channel);
	if (r < 0 || known) {
		channel_free(live, channel);
		*ret_channel = known;
		return r;
	}
	channel->next = live->channels;
	live->channels = channel;
	live->channel_count++;
	*ret_channel = channel;
	return 0;
}

void channel_release(struct live *live, struct channel *channel)
{
	struct channel **place = &live->channels;

	if (channel->clients)
		return;
	while (*place != channel)
		place = &(*place)->next;
	*place = channel->next;
	live->channel_count--;
	channel_free(live, channel);
}

/* ---- frames ---- */

/* The oldest goes where most is held. */
static void make_room(struct live *live)
{
	struct channel *largest = live->channels;

	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		if (channel->frames.bytes > largest->frames.bytes)
			largest = channel;
	}
	pthread_mutex_lock(&largest->lock);
	frames_drop(&largest->frames, &live->pool);
	pthread_mutex_unlock(&largest->lock);
}

void channel_put(struct live *live, struct channel *channel, const struct place *place,
		 const char *data, size_t length)
{
	while (channel->frames.bytes > live->pool.limit / CHANNEL_SHARE)
		frames_drop(&channel->frames, &live->pool);
	while (frames_put(&channel->frames, &live->pool, place, data, length) < 0) {
		if (!live->pool.used || live->pool.used + length < live->pool.limit / 2) {
			frames_lose(&channel->frames, &live->pool, place);
			return;
		}
		/* Never two of these locks at once; nobody else changes frames. */
		pthread_mutex_unlock(&channel->lock);
		make_room(live);
		pthread_mutex_lock(&channel->lock);
	}
}

void channel_trim(struct live *live, struct channel *channel)
{
	uint64_t needed = channel->frames.next;

	for (const struct live_client *client = channel->clients; client; client = client->next) {
		if (client->attached && client->number < needed)
			needed = client->number;
	}
	frames_trim(&channel->frames, &live->pool, needed);
}

void channel_wake(const struct channel *channel)
{
	for (const struct live_client *client = channel->clients; client; client = client->next)
		client->wake(client->context);
}

void channels_lose(struct live *live, size_t stream, enum loss kind, uint64_t count)
{
	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		if (stream >= channel->stream_count || !channel->streams[stream].in)
			continue;
		pthread_mutex_lock(&channel->lock);
		channel->losses[kind] += count;
		channel_wake(channel);
		pthread_mutex_unlock(&channel->lock);
	}
}
