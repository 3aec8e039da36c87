/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a program says of itself: annotations that become BTF declaration tags of the object, from
 * which the server makes JSON, filters, OpenAPI, metrics and docs. They cost nothing in the
 * kernel.
 *
 *   __u64 duration_ns DESCRIPTION("Time spent in connect(2)") UNIT("ns");
 *   __u8 source_ip[16] FORMAT_IP DESCRIPTION("Source address");
 */
#ifndef ANNOTATE_BPF_H
#define ANNOTATE_BPF_H

#define ANNOTATION(text) __attribute__((btf_decl_tag(text)))

/* On a struct, member, map or parameter: one sentence for people. */
#define DESCRIPTION(text) ANNOTATION("description:" text)
/* On a member or parameter: "ns", "bytes", "packets", … */
#define UNIT(text) ANNOTATION("unit:" text)

/* How a member is shown. */
#define FORMAT_IP ANNOTATION("format:ip")   /* __u8[16], IPv4 as ::ffff:a.b.c.d; or 4 bytes, IPv4 */
#define FORMAT_MAC ANNOTATION("format:mac") /* __u8[6] */
#define FORMAT_SYMBOL                                                                              \
	ANNOTATION("format:symbol") /* __u64 address in kernel text, shown as name+0xoffset */
#define FORMAT_HEX ANNOTATION("format:hex")
#define FORMAT_BYTES ANNOTATION("format:bytes") /* __u8 array, shown in hexadecimal */
#define FORMAT_NUMBER ANNOTATION("number")	/* an enum shown as its number */
#define HIDDEN ANNOTATION("hidden")		/* no field: padding */

/* An integer that holds a value of `enum type` of the running kernel; `prefix` is cut off the
 * names. */
#define KERNEL_ENUM(type, prefix) ANNOTATION("enum:" #type ":" prefix)
/* Besides the enumerator's name, its number as a field `name`. */
#define WITH_CODE(name) ANNOTATION("code:" #name)
/* Besides a negative return value, the error's name as a field `name`. */
#define WITH_ERRNO(name) ANNOTATION("errno:" #name)
/* On an address: a field `name` that reads ip:port, [ip6]:port or the path. */
#define WITH_ENDPOINT(name, port, path) ANNOTATION("endpoint:" #name ":" #port ":" #path)
/* Null unless the integer member `member` has one of the values ("A|B|3"). */
#define ONLY_WHEN(member, values) ANNOTATION("only:" #member ":" values)

/* Null where all bytes are zero: for what a hook does not always know. */
#define NULL_IF_ZERO ANNOTATION("zero:null")

/* const volatile __u32 limit PARAMETER("…") = 0; set before load by file, command line or API. */
#define PARAMETER(text) ANNOTATION("parameter") DESCRIPTION(text)

/*
 * Several functions for one purpose: the server loads and attaches the one of lowest rank that
 * this kernel takes. Their SEC() names begin with "?".
 */
#define RANKED(group, rank) ANNOTATION("hook:" #group ":" #rank)

/*
 * On a map: there is one of this name for all programs that declare it in the same way. The loader
 * makes it for the first of them, and it stays, with what is in it, when programs are switched off
 * and on.
 */
#define SHARED ANNOTATION("shared")

/*
 * On a function of SEC("?xdp") or SEC("?tc"): it attaches to each interface that --interface names,
 * and sees what arrives, or what leaves (tc only). Each interface gets, in each direction, the
 * function of lowest rank that it takes: XDP is refused where somebody else's program is, or where
 * there is no Ethernet. The program runs when at least one interface is named.
 */
#define ON_INGRESS(rank) ANNOTATION("interface:ingress:" #rank)
#define ON_EGRESS(rank) ANNOTATION("interface:egress:" #rank)

/*
 * On a function: it runs only while one of these parameters ("latency|stream") is not 0, "" or
 * false, and costs nothing otherwise. On a stream: it has events only then.
 */
#define ONLY_WITH(parameters) ANNOTATION("with:" parameters)

/*
 * On a stream, for --print: how an event reads instead of all its fields, and what is printed once
 * before the first one, as soon as the program runs. {field} is a field of the event. In the
 * opening, {own_pid} is the server's process id in the initial PID namespace and {api_port} the
 * port of its API; \n begins another line.
 */
#define PRINT_LINE(text) ANNOTATION("print:" text)
#define PRINT_OPENING(text) ANNOTATION("print-opening:" text)

/* Once in each program. OFF_BY_DEFAULT as `flags`: runs only when asked for. */
#define PROGRAM(text, ...)                                                                         \
	char LICENSE[] SEC("license") DESCRIPTION(text) __VA_ARGS__ = "Dual MIT/GPL"
#define OFF_BY_DEFAULT ANNOTATION("default:off")

#endif
