/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/digits.h"
#include "base/memory.h"

#define SECONDS_PER_DAY 86400
#define FIRST_YEAR 1970
#define LAST_YEAR 2200

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

#define OFFSET_TOLERANCE_NS ((int64_t)NS_PER_MS)

static int64_t kept_offset;
static bool offset_is_kept;

void clock_keep_offset(int64_t offset)
{
	kept_offset = offset;
	offset_is_kept = true;
}

int64_t clock_boot_to_real_offset(void)
{
	/* The two clocks are not read at one moment: take the wall time as of the middle between
	 * two readings of the other, and of a few tries the one that was interrupted least. */
	uint64_t best = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t before = clock_boot_ns();
		uint64_t real = clock_real_ns();
		uint64_t width = clock_boot_ns() - before;

		if (width < best) {
			best = width;
			offset = (int64_t)(real - before - width / 2);
		}
	}
	if (offset_is_kept && offset - kept_offset <= OFFSET_TOLERANCE_NS &&
	    kept_offset - offset <= OFFSET_TOLERANCE_NS)
		return kept_offset;
	return offset;
}

static uint64_t boot_epoch_seconds;

static void read_boot_epoch(void)
{
	FILE *stat = fopen("/proc/stat", "re");
	char line[256];
	unsigned long long seconds;

	/* Where /proc is out of reach the clocks tell the same, to within a second. */
	boot_epoch_seconds = (uint64_t)clock_boot_to_real_offset() / NS_PER_SECOND;
	if (!stat)
		return;
	while (fgets(line, sizeof(line), stat)) {
		if (sscanf(line, "btime %llu", &seconds) == 1) {
			boot_epoch_seconds = seconds;
			break;
		}
	}
	fclose(stat);
}

uint64_t clock_boot_epoch_seconds(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_boot_epoch);
	return boot_epoch_seconds;
}

void clock_set_boot_epoch(uint64_t seconds)
{
	clock_boot_epoch_seconds();
	boot_epoch_seconds = seconds;
}

static char boot_id[CLOCK_BOOT_ID_SIZE];

static void read_boot_id(void)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file || fscanf(file, "%36[0-9a-f-]", boot_id) != 1)
		snprintf(boot_id, sizeof(boot_id), "epoch-%llu",
			 (unsigned long long)clock_boot_epoch_seconds());
	if (file)
		fclose(file);
}

const char *clock_boot_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_boot_id);
	return boot_id;
}

/*
 * Days since 1970-01-01 and civil dates. Years are counted from March, so that the leap day comes
 * last and months follow one rule: month m (0 = March) begins on day (153 m + 2) / 5 of its year.
 */
static uint64_t days_from_date(uint64_t year, uint64_t month, uint64_t day)
{
	uint64_t march_year = month > 2 ? year : year - 1;
	uint64_t march_month = month > 2 ? month - 3 : month + 9;
	uint64_t days = march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 +
			(153 * march_month + 2) / 5 + day - 1;

	return days - 719468; /* 0000-03-01 to 1970-01-01 */
}

static void date_from_days(uint64_t days, uint64_t *ret_year, uint64_t *ret_month,
			   uint64_t *ret_day)
{
	uint64_t since_march_0 = days + 719468;
	uint64_t era = since_march_0 / 146097; /* days in 400 years */
	uint64_t day_of_era = since_march_0 % 146097;
	/* Take out the leap days that have passed in this era: one in 1461, 36524, 146096 days. */
	uint64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint64_t march_month = (5 * day_of_year + 2) / 153;

	*ret_day = day_of_year - (153 * march_month + 2) / 5 + 1;
	*ret_month = march_month < 10 ? march_month + 3 : march_month - 9;
	*ret_year = era * 400 + year_of_era + (*ret_month <= 2);
}

/* "YYYY-MM-DDThh:mm:ss", 19 bytes */
static void format_second(uint64_t second, char *text)
{
	uint64_t year, month, day, of_day = second % SECONDS_PER_DAY;

	date_from_days(second / SECONDS_PER_DAY, &year, &month, &day);
	memcpy(text, "YYYY-MM-DDThh:mm:ss", 19);
	digits_put_pair(text, year / 100);
	digits_put_pair(text + 2, year % 100);
	digits_put_pair(text + 5, month);
	digits_put_pair(text + 8, day);
	digits_put_pair(text + 11, of_day / 3600);
	digits_put_pair(text + 14, of_day / 60 % 60);
	digits_put_pair(text + 17, of_day % 60);
}

size_t clock_format_rfc3339(uint64_t real_ns, char *text)
{
	/* Neighbouring events mostly share the second; the calendar is most of the work. */
	static _Thread_local struct {
		uint64_t second;
		char text[19];
	} last = { .second = UINT64_MAX };
	uint64_t second = real_ns / NS_PER_SECOND;

	if (second != last.second) {
		format_second(second, last.text);
		last.second = second;
	}
	memcpy(text, last.text, 19);
	text[19] = '.';
	digits_put_fixed(text + 20, real_ns % NS_PER_SECOND, 9);
	memcpy(text + 29, "Z", 2);
	return 30;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `count` digits within limits; moves *at on. */
static int read_fixed(const char **at, unsigned int count, uint64_t minimum, uint64_t maximum,
		      uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (!is_digit((*at)[i]))
			return -EINVAL;
		value = value * 10 + (uint64_t)((*at)[i] - '0');
	}
	if (value < minimum || value > maximum)
		return -EINVAL;
	*at += count;
	*ret_value = value;
	return 0;
}

static int read_character(const char **at, const char *allowed)
{
	if (!**at || !strchr(allowed, **at))
		return -EINVAL;
	(*at)++;
	return 0;
}

static uint64_t days_in_month(uint64_t year, uint64_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static int read_date(const char **at, uint64_t *ret_days)
{
	uint64_t year, month, day;

	if (read_fixed(at, 4, FIRST_YEAR, LAST_YEAR, &year) || read_character(at, "-") ||
	    read_fixed(at, 2, 1, 12, &month) || read_character(at, "-") ||
	    read_fixed(at, 2, 1, days_in_month(year, month), &day))
		return -EINVAL;
	*ret_days = days_from_date(year, month, day);
	return 0;
}

/* "hh:mm:ss" and up to nine digits of a fraction, in ns of the day. */
static int read_time_of_day(const char **at, uint64_t *ret_ns)
{
	uint64_t hour, minute, second, unit = NS_PER_SECOND, ns = 0;

	if (read_fixed(at, 2, 0, 23, &hour) || read_character(at, ":") ||
	    read_fixed(at, 2, 0, 59, &minute) || read_character(at, ":") ||
	    read_fixed(at, 2, 0, 60,
		       &second)) /* 60: a leap second, which Unix time does not have */
		return -EINVAL;
	if (**at == '.') {
		const char *first = ++*at;

		for (; is_digit(**at); (*at)++) {
			if (unit == 1)
				return -EINVAL;
			unit /= 10;
			ns += (uint64_t)(**at - '0') * unit;
		}
		if (*at == first)
			return -EINVAL;
	}
	*ret_ns = ((hour * 60 + minute) * 60 + second) * NS_PER_SECOND + ns;
	return 0;
}

/* 'Z', "+hh:mm", "-hh:mm": ns to subtract. */
static int read_offset(const char **at, int64_t *ret_ns)
{
	uint64_t hour, minute;
	bool west = **at == '-';

	if (!read_character(at, "Zz")) {
		*ret_ns = 0;
		return 0;
	}
	if (read_character(at, "+- ") || read_fixed(at, 2, 0, 23, &hour) ||
	    read_character(at, ":") || read_fixed(at, 2, 0, 59, &minute))
		return -EINVAL;
	*ret_ns = (int64_t)((hour * 60 + minute) * 60 * NS_PER_SECOND);
	if (west)
		*ret_ns = -*ret_ns;
	return 0;
}

int clock_parse_time(const char *text, uint64_t now_real_ns, uint64_t *ret_real_ns)
{
	uint64_t days, of_day, ago;
	int64_t offset, ns;

	if (!strcmp(text, "now")) {
		*ret_real_ns = now_real_ns;
		return 0;
	}
	if (text[0] == '-') {
		int r = clock_parse_duration(text + 1, 0, &ago);

		if (r == -EINVAL)
			return r;
		/* Before the epoch is before everything. */
		*ret_real_ns = r || ago > now_real_ns ? 0 : now_real_ns - ago;
		return 0;
	}
	if (read_date(&text, &days) || read_character(&text, "Tt ") ||
	    read_time_of_day(&text, &of_day) || read_offset(&text, &offset) || *text)
		return -EINVAL;
	ns = (int64_t)(days * SECONDS_PER_DAY * NS_PER_SECOND + of_day) - offset;
	if (ns < 0)
		return -EINVAL;
	*ret_real_ns = (uint64_t)ns;
	return 0;
}

/* The longest name comes first where one begins another. */
static const struct {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* MICRO SIGN */
	{ "\xce\xbcs", 1000 }, /* GREEK SMALL LETTER MU */
	{ "ms", NS_PER_MS },
	{ "s", NS_PER_SECOND },
	{ "m", 60 * NS_PER_SECOND },
	{ "h", 3600 * NS_PER_SECOND },
	{ "d", SECONDS_PER_DAY *NS_PER_SECOND },
};

/* The unit's length in ns, or 0 when there is none here. */
static uint64_t read_unit(const char **at)
{
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		size_t length = strlen(duration_units[i].name);

		if (!strncmp(*at, duration_units[i].name, length)) {
			*at += length;
			return duration_units[i].ns;
		}
	}
	return 0;
}

/* One "1.5h": whole part, digits after the point (as many as a unit can hold exactly), unit. */
static int read_term(const char **at, uint64_t default_unit_ns, uint64_t *ret_ns,
		     uint64_t *ret_unit)
{
	uint64_t whole = 0, fraction = 0, scale = 1, unit, ns;
	bool overflow = false;
	const char *first = *at;

	for (; is_digit(**at); (*at)++)
		overflow = overflow || __builtin_mul_overflow(whole, 10, &whole) ||
			   __builtin_add_overflow(whole, (uint64_t)(**at - '0'), &whole);
	if (*at == first)
		return -EINVAL;
	if (**at == '.') {
		first = ++*at;
		for (; is_digit(**at); (*at)++) {
			if (scale >= 1000000000000000ULL)
				return -EINVAL;
			scale *= 10;
			fraction = fraction * 10 + (uint64_t)(**at - '0');
		}
		if (*at == first)
			return -EINVAL;
	}
	unit = **at ? read_unit(at) : default_unit_ns;
	if (!unit || (unsigned __int128)fraction * unit % scale)
		return -EINVAL;
	ns = (uint64_t)((unsigned __int128)fraction * unit / scale);
	if (overflow || __builtin_mul_overflow(whole, unit, &whole) ||
	    __builtin_add_overflow(whole, ns, &ns))
		return -ERANGE;
	*ret_ns = ns;
	*ret_unit = unit;
	return 0;
}

int clock_parse_duration(const char *text, uint64_t default_unit_ns, uint64_t *ret_ns)
{
	uint64_t total = 0, last_unit = UINT64_MAX, ns, unit;
	bool range = false;

	do {
		/* Only a lone number may go without its unit: "1h30" could mean anything. */
		int r = read_term(&text, last_unit == UINT64_MAX ? default_unit_ns : 0, &ns, &unit);

		if (r == -EINVAL)
			return r;
		if (r) {
			/* Go on reading: "99999999999999999999x" is no duration at all. */
			range = true;
			continue;
		}
		if (unit >= last_unit)
			return -EINVAL;
		last_unit = unit;
		range = range || __builtin_add_overflow(total, ns, &total);
	} while (*text);
	if (range)
		return -ERANGE;
	*ret_ns = total;
	return 0;
}
