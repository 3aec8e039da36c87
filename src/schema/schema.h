/* SPDX-License-Identifier: MIT */
/*
 * What an eBPF object says of itself. The object's BTF is the only schema: this layer turns it
 * into descriptors of streams (ring buffer maps with a typed event struct) and parameters (`const
 * volatile` globals), and everything else (JSON, filters, OpenAPI, columns) derives from those.
 *
 * How the source speaks, by BTF declaration tags (programs/include/annotate.bpf.h makes them):
 *
 *   on anything            "description:TEXT"
 *   on a member            "unit:ns"         ns, us, ms, s, bytes have a meaning in filters
 *                          "format:ip"      16 bytes, IPv4 as ::ffff:a.b.c.d; or 4 bytes, IPv4
 *                          "format:mac"     6 bytes
 *                          "format:symbol"  u64, a kernel text address, shown as name+0xoffset
 *                          "format:hex"     integer shown as a "0x…" string
 *                          "format:bytes"   u8 array shown as a hex string
 *                          "enum:TYPE:PREFIX"  the integer holds a value of enum TYPE: of the
 *                                           running kernel if that has it, else of the object;
 *                                           PREFIX is cut off
 *                          "number"         an enum (or an integer with "enum:") is shown as its
 *                                           number; names are still understood in filters
 *                          "code:NAME"      besides the name, a derived integer field NAME
 *                          "errno:NAME"     besides the integer, a derived field NAME: the
 *                                           error's name where the value is negative, else null
 *                          "endpoint:NAME:PORT_MEMBER:PATH_MEMBER"  on an IP member: a derived
 *                                           field NAME, "ip:port", "[ip6]:port", or the path;
 *                                           PATH_MEMBER may be empty. At most one of address and
 *                                           path may have a value in one record
 *                          "only:MEMBER:A|B|C"  null unless the bytes of MEMBER, an integer, hold
 *                                           one of at most 8 values (numbers, or enumerators with
 *                                           their prefix or without). MEMBER may be hidden, and
 *                                           may be the member itself
 *                          "zero:null"      null when all its bytes are zero; not on signed
 *                          integers
 *                                           and lists
 *                          "hidden"         not shown (padding, sizes)
 *   on a map               "stream"         a ring buffer whose value type is the event struct
 *                          "with:A|B"       of a stream: it has events only while one of these
 *                                           parameters is set (not 0, "" or false)
 *                          "print:TEXT"     of a stream: how --print shows an event; {NAME} is a
 *                                           field
 *                          "print-opening:TEXT"  of a stream: what --print says before the first
 *                                           one; {own_pid}, {api_port}
 *                          "metric:NAME:TYPE"  a hash or array of values (schema/metric.h)
 *   on a global            "parameter"      const volatile integer, bool, char array; "unit:" too
 *   on LICENSE             "description:TEXT" of the program, "default:off"
 *
 * The event struct begins with a member of type `struct event_header`; its members, and those of
 * other nested structs, become fields of the same flat list: header members under their own name,
 * members of another nested struct as OUTER_INNER, those of an anonymous one under their own name.
 * Member names in tags are looked for in the same nested struct first. A C enum type gives names
 * without a tag (the object's own enum; the prefix that all its enumerators share up to a '_' is
 * cut off). char arrays are text up to the first NUL. Other arrays of integers are lists.
 * Bit-fields, unions, pointers, floats, arrays of structs are refused, with a message that names
 * the member, and so are tags that are not in this list.
 *
 * A record may be shorter than the struct: members that lie past its end are null.
 *
 * A schema is immutable once built and may be read by any thread.
 */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

struct btf;

/* An object that asks for more is refused. */
#define SCHEMA_MAX_STREAMS 8
#define SCHEMA_MAX_PARAMETERS 32
#define SCHEMA_MAX_FIELDS 256	/* of a stream, derived ones included */
#define SCHEMA_MAX_RECORD 8192	/* bytes of an event struct */
#define SCHEMA_NAME_SIZE 64	/* of a stream, field or parameter, with its NUL */
#define PARAMETER_VALUE_SIZE 64 /* bytes */

enum field_kind {
	FIELD_INTEGER, /* 1, 2, 4 or 8 bytes, signed or not */
	FIELD_BOOLEAN, /* 1 byte */
	FIELD_ENUM,    /* integer shown by name */
	FIELD_STRING,  /* char array */
	FIELD_BYTES,   /* u8 array shown as hex */
	FIELD_IP,      /* 16 bytes (v4-mapped for IPv4), or 4 */
	FIELD_MAC,     /* 6 bytes */
	FIELD_SYMBOL,  /* u64 address in kernel text */
	FIELD_HEX,     /* integer shown as "0x…" */
};

/* A derived field has no bytes of its own: it shows another field in another way. */
enum field_derivation {
	FIELD_STORED,
	FIELD_NUMBER_OF,   /* the number behind an enum's name */
	FIELD_ERRNO_OF,	   /* name of the error whose negative is the value */
	FIELD_ENDPOINT_OF, /* ip:port or path */
};

struct enumerator {
	const char *name; /* prefix cut off */
	uint64_t value;	  /* ordered form, see field_ordered() */
};

/* Names of values, sorted by value. */
struct enumeration {
	const struct enumerator *entries;
	size_t count;
	const char *prefix; /* what was cut off; "" or NULL when nothing was */
};

/* A field that is null unless another one (or itself) holds one of a few values. The bytes are
 * looked at, also where that other field is itself null by a condition; past the record's end none
 * holds. */
struct field_condition {
	uint16_t field; /* index of the integer field looked at; may be a hidden one */
	uint8_t count;
	uint64_t values[8]; /* ordered form */
};

struct field {
	const char *name;
	const char *description; /* "" when the source gives none */
	const char *unit;	 /* "" when none */
	enum field_kind kind;
	enum field_derivation derivation;
	uint16_t index;	       /* in stream_schema.fields */
	uint16_t offset, size; /* of one element, in the record; of the source field when derived */
	uint16_t count;	       /* elements: 1, or an array's length (FIELD_INTEGER only) */
	bool is_signed;
	bool has_condition;
	bool zero_is_null; /* never of a signed integer or a list */
	bool hidden;	   /* stored since a condition looks at it, but shown nowhere */
	bool as_number;	   /* FIELD_INTEGER that has names: filters and docs know them */
	struct field_condition condition;
	struct enumeration enumeration; /* FIELD_ENUM, or as_number */
	uint16_t source; /* derived: index of the field it shows (for an endpoint: the address) */
	uint16_t port, path; /* endpoint: indices, path is FIELD_NONE when there is none */
};

#define FIELD_NONE UINT16_MAX

/* Where the fields of every event's header stand in `fields`; they come first, in this order. */
enum header_field {
	HEADER_TIMESTAMP, /* u64 ns since boot */
	HEADER_PID,
	HEADER_TID,
	HEADER_UID,
	HEADER_CGROUP_ID,
	HEADER_COMMAND,
	HEADER_FIELDS,
};

struct stream_schema {
	const char *name; /* the event's `type`: the map's name */
	const char *description;
	const struct field *fields; /* stored and derived, in the order they are shown */
	size_t field_count;
	uint16_t record_size;  /* of the whole struct, a multiple of 8 */
	uint16_t minimum_size; /* a record shorter than this (the header) is malformed */
	uint32_t ring_bytes;   /* as the object asks */
	/* For --print (schema/template.h); NULL when the source gives none. */
	const char *print_line, *print_opening;
	const char *only_with; /* parameters, "A|B": no events while none is set; or NULL */
	/* How to write an event as JSON, worked out beforehand (schema/plan.h); NULL in a schema
	 * that was made by hand, which then is encoded more slowly. */
	const struct encode_plan *plan;
};

enum parameter_kind { PARAMETER_INTEGER, PARAMETER_BOOLEAN, PARAMETER_STRING };

struct parameter {
	const char *name;
	const char *description;
	const char *unit;
	enum parameter_kind kind;
	bool is_signed;
	uint32_t offset, size;			     /* in .rodata */
	uint8_t default_value[PARAMETER_VALUE_SIZE]; /* `size` bytes, then 0 */
};

struct arena;
struct metric_map;

struct program_schema {
	const char *name;
	const char *description; /* of LICENSE; "" when there is none */
	bool off_by_default;	 /* runs only when asked for */
	struct arena *memory;	 /* everything above and below */
	const struct stream_schema *streams;
	size_t stream_count;
	const struct parameter *parameters;
	size_t parameter_count;
	const struct metric_map *metrics; /* schema/metric.h */
	size_t metric_count;
};

/*
 * Reads an object file (ELF bytes) of `program`. Streams must be named as the program, or as the
 * program with '_' and something more. `kernel` is the running kernel's BTF, or NULL when there is
 * none (enums of the kernel then come from the object if it has them, else values are shown as
 * decimal text). Neither is needed afterwards. The bytes may be hostile: every offset is checked.
 * On failure returns -errno and, in `error` (of `error_size` bytes), one line saying what is wrong
 * with which member; -EINVAL for what the source got wrong, -ENOEXEC for bytes that are no eBPF
 * object, -ENOMEM. Any thread.
 */
int program_schema_read(const char *program, const void *object, size_t object_size,
			const struct btf *kernel, struct program_schema **ret_schema, char *error,
			size_t error_size);
void program_schema_free(struct program_schema *schema);
DEFINE_CLEANUP(program_schema, program_schema_free)

/* Whether a stream may have events with these values of its program's parameters (one each, of
 * PARAMETER_VALUE_SIZE bytes): one that it is bound to is set, or it is bound to none. */
bool stream_schema_is_on(const struct stream_schema *stream, const struct program_schema *schema,
			 const uint8_t (*values)[PARAMETER_VALUE_SIZE]);

/* The field or parameter of this name, or NULL; a hidden field has none. */
const struct field *stream_schema_field(const struct stream_schema *stream, const char *name);
const struct parameter *program_schema_parameter(const struct program_schema *schema,
						 const char *name);

/* Text to the bytes of a parameter: PARAMETER_VALUE_SIZE bytes, of which `size` count and the
 * others are 0. Integers may have the parameter's unit ("1ms", "64KiB"). -EINVAL / -ERANGE, with a
 * line in `error` that says what is allowed. */
int parameter_parse(const struct parameter *parameter, const char *text, uint8_t *ret_value,
		    char *error, size_t error_size);
struct json;
/* And back, as a JSON value. */
void parameter_encode(const struct parameter *parameter, const uint8_t *value, struct json *json);

/*
 * Integers of every width and sign compare as one kind of number: unsigned values as they are,
 * signed ones sign-extended with the top bit flipped.
 */
static inline uint64_t field_load_ordered(const uint8_t *bytes, uint16_t size, bool is_signed)
{
	uint64_t value = 0;

	switch (size) {
	case 1:
		value = is_signed ? (uint64_t)(int64_t)(int8_t)bytes[0] : bytes[0];
		break;
	case 2: {
		uint16_t v;
		memcpy(&v, bytes, sizeof(v));
		value = is_signed ? (uint64_t)(int64_t)(int16_t)v : v;
		break;
	}
	case 4: {
		uint32_t v;
		memcpy(&v, bytes, sizeof(v));
		value = is_signed ? (uint64_t)(int64_t)(int32_t)v : v;
		break;
	}
	default:
		memcpy(&value, bytes, sizeof(value));
		break;
	}
	return is_signed ? value ^ (1ULL << 63) : value;
}

/* The inverse: ordered form to the number itself (signed ones as two's complement). */
static inline uint64_t field_from_ordered(uint64_t ordered, bool is_signed)
{
	return is_signed ? ordered ^ (1ULL << 63) : ordered;
}

static inline bool field_is_integer_like(const struct field *field)
{
	return field->kind == FIELD_INTEGER || field->kind == FIELD_BOOLEAN ||
	       field->kind == FIELD_ENUM || field->kind == FIELD_SYMBOL || field->kind == FIELD_HEX;
}

/* A field of this record has no value: it lies past the record's end, or its condition does not
 * hold; or, where it is derived, an errno name where there was no error, an endpoint with neither
 * address nor path. */
bool field_is_null(const struct stream_schema *stream, const struct field *field,
		   const uint8_t *record, size_t length);

/* All bytes of the field's value are zero. */
bool field_is_zero(const struct field *field, const uint8_t *bytes);

/* The name of a value (ordered form), or NULL. */
const char *enumeration_name(const struct enumeration *enumeration, uint64_t value);

#endif
