# SPDX-License-Identifier: MIT
"""Bytes on the socket that are no good request, and clients that do not behave. The server is none
the worse (conftest.py)."""
import contextlib
import random
import re
import socket

import pytest

from harness.wait import wait_for

pytestmark = pytest.mark.usefixtures("unharmed")

BODY_LIMIT = 65536
# How long a peer that has said half a thing is listened to.
SILENCE = 0.25


def is_whole(answer):
    """One answer has come to its end."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    return bool(end and length and len(body) >= int(length[1]))


def exchange(server, data, answers=1):
    """Sends bytes as they are; returns what comes back until the server closes, has answered, or
    is silent. (It may wait, for half a minute at most, for the rest of what was cut.)"""
    received = b""
    with socket.create_connection((server.api.host, server.api.port), timeout=10) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(SILENCE)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while answers > 1 or not is_whole(received):
                part = connection.recv(65536)
                if not part:
                    break
                received += part
    return received


GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
GARBAGE = {
    "nothing": b"",
    "a byte": b"G",
    "line ends": b"\r\n" * 1000,
    "NULs": bytes(5000),
    "all bytes": bytes(range(256)) * 40,
    "half a request line": b"GET /health",
    "no version": b"GET /health\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\n\r\n",
    "strange version": b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "version 0": b"GET /health HTTP/0.9\r\n\r\n",
    "no such protocol": b"GET /health SSH-2.0\r\n\r\n",
    "lower case": b"get /health http/1.1\r\n\r\n",
    "long method": b"G" * 70000 + b" / HTTP/1.1\r\n\r\n",
    "long path": b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
    "long query": b"GET /api/events?command=" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
    "long header": GET + b"X: " + b"y" * 200000 + b"\r\n\r\n",
    "many headers": GET + b"".join(b"X-%d: 1\r\n" % i for i in range(20000)) + b"\r\n",
    "no colon": GET + b"Nonsense\r\n\r\n",
    "folded header": GET + b"X: 1\r\n  2\r\n\r\n",
    "NUL in a header": GET + b"X: a\x00b\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bytes in the query": b"GET /api/events?command=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "blank in the query": b"GET /api/events?command=a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bytes in Host": b"GET /health HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "no length": b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n\r\n{}",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
    "two lengths": (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                    b"Content-Length: 3\r\n\r\n{}"),
    "length and chunks": (b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                          b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
                          b"0\r\n\r\n"),
    "cut body": (b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                 b"Content-Length: 100\r\n\r\n{"),
    "bad chunk size": (b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "huge chunk size": (b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}"),
    "cut chunk": (b"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "unknown coding": (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "strange target": b"GET ://?&=%# HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "star": b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy": b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage(shared_server, case):
    """No answer, or a refusal, or an answer of the usual kinds; never a failure of the server's."""
    answer = exchange(shared_server, GARBAGE[case])
    if answer:
        assert answer.startswith(b"HTTP/1."), answer[:100]
        assert int(answer.split()[1]) < 500 or answer.split()[1] in (b"501", b"505"), answer[:300]


@pytest.mark.parametrize("seed", range(5))
def test_mutations_of_good_requests(shared_server, seed):
    chance = random.Random(seed)
    good = [GET + b"\r\n",
            b"GET /api/events?type=connection&pid=1..&since=-5m&limit=5&order=asc HTTP/1.1\r\n"
            b"Host: localhost\r\nAccept-Encoding: gzip\r\n\r\n",
            b"POST /api/connection-summary HTTP/1.1\r\nHost: localhost\r\nContent-Length: 24\r\n"
            b'Content-Type: application/json\r\n\r\n{"pid":123,"duration":60}',
            b"GET /api/events?command=!a*,b&destination_ip=10.0.0.0/8&duration_ns=1ms.. HTTP/1.1"
            b"\r\nHost: localhost\r\n\r\n"]
    for _ in range(50):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(data))
            change = chance.randrange(4)
            if change == 0:
                data[place] = chance.randrange(256)
            elif change == 1:
                del data[place:place + chance.randint(1, 8)]
            elif change == 2:
                data[place:place] = bytes(chance.choices(b"%00ff&=?,.!*\\/-+\x00\xff 9", k=5))
            else:
                data[place:place] = data[place:place + 30] * chance.randint(1, 20)
            if not data:
                data = bytearray(b"\n")
        answer = exchange(shared_server, bytes(data))
        if answer:
            assert answer.startswith(b"HTTP/1."), (bytes(data), answer[:100])
            assert int(answer.split()[1]) < 500 or answer.split()[1] in (b"501", b"505"), \
                (bytes(data), answer[:300])


def test_a_declared_size_that_is_too_much_is_answered_at_once(shared_server):
    for length in (BODY_LIMIT + 1, 1 << 40, 2 ** 64 - 1, 10 ** 30):
        head = ("POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Length: {length}\r\nContent-Type: application/json\r\n\r\n").encode()
        answer = exchange(shared_server, head + (b" " * (BODY_LIMIT + 1)
                                                 if length == BODY_LIMIT + 1 else b""))
        assert answer.split()[1] in (b"413", b"400"), answer[:200]


def test_pipelined_requests(shared_server):
    answer = exchange(shared_server, (GET + b"\r\n") * 99 + GET + b"Connection: close\r\n\r\n",
                      answers=100)
    assert answer.count(b"HTTP/1.1 200") == 100


def test_connections_that_say_nothing(shared_server):
    """More than are let in from one address; as soon as they go, all is as before."""
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(socket.create_connection(
                (shared_server.api.host, shared_server.api.port)))

    def healthy():
        try:
            return shared_server.api.request("GET", "/health").status == 200
        except OSError:
            return False

    wait_for(healthy, "/health after the crowd")


def test_clients_that_do_not_read(shared_server):
    """A large answer to somebody who leaves."""
    for _ in range(20):
        with socket.create_connection((shared_server.api.host, shared_server.api.port)) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            lazy.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
