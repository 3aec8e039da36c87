# SPDX-License-Identifier: MIT
"""TLS on the real server, with an authority of the test's own: what is served, what is refused at
the start, and how a certificate is exchanged while it runs."""
import http.client
import os
import signal
import socket
import ssl
import subprocess
import types

import pytest

from harness.processes import child_of, wait_for_restart
from harness.starts import USAGE, refusal
from harness.wait import wait_for

TOKEN = "tok-tls-3e77b1"


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=cwd)


class Authority:
    """A root, an authority below it, and certificates for this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.make("root", "basicConstraints=critical,CA:TRUE", issuer="root")
        self.make("middle", "basicConstraints=critical,CA:TRUE", issuer="root")

    def make(self, name, *extensions, issuer, days="2"):
        """name.key, and name.pem signed by the issuer."""
        own = issuer == name
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
                cwd=self.folder)
        (self.folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        signer = ["-signkey", f"{name}.key"] if own else \
            ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", days,
                "-extfile", f"{name}.ext", *signer, cwd=self.folder)
        (self.folder / f"{name}.key").chmod(0o600)

    def server(self, name, issuer="middle", days="2"):
        """Paths of the chain, the server's own first, and of the key."""
        self.make(name, "subjectAltName=DNS:localhost,IP:127.0.0.1",
                  "basicConstraints=critical,CA:FALSE", issuer=issuer, days=days)
        chain = self.folder / f"{name}-chain.pem"
        chain.write_text("".join((self.folder / f"{part}.pem").read_text()
                                 for part in (name, issuer)))
        return types.SimpleNamespace(chain=chain, key=self.folder / f"{name}.key")

    def context(self):
        return ssl.create_default_context(cafile=self.folder / "root.pem")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.server("first")


def options(certificate):
    return ["--tls-cert", certificate.chain, "--tls-key", certificate.key]


@pytest.fixture
def server(start_server, authority, certificate):
    return start_server(*options(certificate), tls=authority.context())


def connect(server, context):
    raw = socket.create_connection((server.api.host, server.api.port), timeout=10)
    return context.wrap_socket(raw, server_hostname="localhost")


def presented(server, authority):
    """The subject's name of the certificate that a new connection is shown."""
    with connect(server, authority.context()) as connection:
        return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]


def test_the_api_speaks_tls(server, authority):
    """A client that trusts the authority alone verifies chain and name; the log says https."""
    assert server.address(b"API").scheme == "https"
    assert server.api("/health")["status"] == "healthy"
    assert server.api("/api/events", limit=3)["count"] <= 3
    assert len(server.api("/openapi.json")["paths"]) > 5
    assert server.api.post("/api/list-connections", {}).status == 200
    response = server.api.request("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert presented(server, authority) == "first"


def test_metrics_are_served_openly(server):
    """As is the custom; Prometheus need not know the authority."""
    assert server.address(b"metrics").scheme == "http"
    assert server.metrics.request("GET", "/metrics").status == 200


def test_protected_metrics_are_not(start_server, authority, certificate, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(f"read prometheus {TOKEN}\n")
    server = start_server(*options(certificate), "--credentials", credentials, "--protect-metrics",
                          tls=authority.context())
    assert server.address(b"metrics").scheme == "https"
    assert server.metrics.request("GET", "/metrics").status == 401
    assert server.metrics.as_bearer(TOKEN).request("GET", "/metrics").status == 200


def test_streams(server, storm):
    """The library writes them then, and sets the connection aside in between."""
    query = {"type": "connection", "command": "tls-stream"}
    with server.api.stream("/api/events/stream", **query) as frames:
        for part in range(1, 4):
            storm(count=503, rate=2000, command="tls-stream")
            ids = [next(frames).id for _ in range(503)]
            assert len(set(ids)) == 503
            assert server.api("/api/events", limit=1, **query)["total_count"] == part * 503
    with server.api.stream("/api/events/stream", {"Last-Event-ID": ids[0]}, **query) as frames:
        assert [next(frames).id for _ in range(502)] == ids[1:]
    wait_for(lambda: "\nebpf_server_api_streams 0\n" in server.metrics.request(
        "GET", "/metrics").text, "the streams to be closed")


def test_the_end_of_streams(server, storm):
    """One that waits and one whose client takes nothing."""
    with server.api.stream("/api/events/stream", command="nobody") as waits, \
            server.api.stream("/api/events/stream") as stuck:
        storm(count=50_021, command="tls-stuck")
        assert next(stuck).event == "message"
        server.stop()
        assert next(waits, None) is None


def test_who_trusts_nobody(server):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, ssl.create_default_context())
    assert server.api("/health")["status"] == "healthy"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version, good", [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True),
                                           ("TLSv1_3", True)])
def test_versions(server, authority, version, good):
    context = authority.context()
    # Tests of what is old need a library that still speaks it.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    if good:
        with connect(server, context) as connection:
            assert connection.version() == version.replace("_", ".")
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect(server, context)


def test_plain_http_to_a_tls_port(server):
    with pytest.raises((http.client.HTTPException, OSError)):
        connection = http.client.HTTPConnection(server.api.host, server.api.port, timeout=10)
        connection.request("GET", "/health")
        connection.getresponse()
    assert server.api("/health")["status"] == "healthy"


def test_many_requests_on_one_connection(server, authority):
    connection = http.client.HTTPSConnection(server.api.host, server.api.port, timeout=10,
                                             context=authority.context())
    for _ in range(101):
        connection.request("GET", "/openapi.json")
        response = connection.getresponse()
        assert response.status == 200 and len(response.read()) > 10000
    connection.close()


def test_a_reachable_address_with_both(start_server, authority, certificate, tmp_path):
    """TLS and credentials: nobody needs --insecure."""
    credentials = tmp_path / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(f"admin root {TOKEN}\n")
    context = authority.context()
    context.check_hostname = False  # asked as 0.0.0.0
    server = start_server("--addr", "0.0.0.0:0", "--metrics-addr", "off", *options(certificate),
                          "--credentials", credentials, defaults=False, tls=context)
    assert server.api.request("GET", "/").status == 401
    assert server.api.as_bearer(TOKEN).request("GET", "/").status == 200
    assert not [line for line in server.log if b" warn " in line and b"clear" in line]


# ---- exchanged while it runs ----

def reload(server, said):
    before = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(said in line for line in server.log[before:]), said)


def test_the_certificate_is_read_again(start_server, authority, tmp_path):
    """New connections see the new one; one that is open goes on; what is no good changes
    nothing."""
    used = types.SimpleNamespace(chain=tmp_path / "chain.pem", key=tmp_path / "key.pem")

    def put(pair):
        used.chain.write_text(pair.chain.read_text())
        used.key.touch(mode=0o600)
        used.key.write_text(pair.key.read_text())

    one, other = authority.server("one"), authority.server("other")
    put(one)
    server = start_server(*options(used), tls=authority.context())
    pid = child_of(server)
    kept = http.client.HTTPSConnection(server.api.host, server.api.port, timeout=10,
                                       context=authority.context())
    kept.request("GET", "/health")
    assert kept.getresponse().read()
    assert presented(server, authority) == "one"
    put(other)
    reload(server, b"certificate read again")
    assert presented(server, authority) == "other"
    kept.request("GET", "/health")
    assert kept.getresponse().status == 200
    kept.close()
    used.key.write_text(one.key.read_text())
    reload(server, b"the certificate stays as it was: ")
    assert presented(server, authority) == "other"
    assert server.api("/health")["status"] == "healthy"
    assert child_of(server) == pid
    os.kill(pid, signal.SIGKILL)
    wait_for_restart(server, pid)
    assert presented(server, authority) == "other"
    for text in (b"BEGIN", *used.key.read_bytes().splitlines()[1:-1]):
        assert not [line for line in server.log if text in line]


# ---- what is refused at the start ----

def refused(chain, key):
    return refusal(USAGE, "--addr", "127.0.0.1:0", "--metrics-addr", "off", "--tls-cert", chain,
                   "--tls-key", key)


def test_a_key_of_another_certificate(authority, certificate):
    other = authority.server("stranger")
    line = refused(certificate.chain, other.key)
    assert f"{other.key}: is not the key of the certificate in {certificate.chain}" in line


def test_files_that_hold_something_else(certificate, tmp_path):
    assert "holds no certificate" in refused(certificate.key, certificate.key)
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "text").chmod(0o600)
    assert "holds no certificate" in refused(tmp_path / "text", certificate.key)
    assert "holds no private key" in refused(certificate.chain, tmp_path / "text")
    (tmp_path / "empty").touch(mode=0o600)
    assert "holds no certificate" in refused(tmp_path / "empty", certificate.key)
    assert "holds no private key" in refused(certificate.chain, tmp_path / "empty")
    assert "No such file" in refused(tmp_path / "nosuch", certificate.key)
    assert "--tls-key" in refused(certificate.chain, tmp_path / "nosuch")
    assert "no regular file" in refused(certificate.chain, tmp_path)


def test_a_chain_out_of_order(certificate, authority, tmp_path):
    parts = [authority.folder / name for name in ("middle.pem", "first.pem")]
    (tmp_path / "chain.pem").write_text("".join(part.read_text() for part in parts))
    assert "out of order" in refused(tmp_path / "chain.pem", certificate.key)


def test_an_encrypted_key(certificate, tmp_path):
    openssl("pkey", "-in", certificate.key, "-aes256", "-passout", "pass:x", "-out",
            tmp_path / "key.pem", cwd=tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    assert "encrypted" in refused(certificate.chain, tmp_path / "key.pem")


@pytest.mark.parametrize("mode, allowed", [(0o644, False), (0o604, False), (0o660, False),
                                           (0o640, True), (0o400, True)])
def test_who_may_read_the_key(certificate, tmp_path, mode, allowed, start_server, authority):
    key = tmp_path / "key.pem"
    key.write_text(certificate.key.read_text())
    key.chmod(mode)
    if allowed:
        pair = types.SimpleNamespace(chain=certificate.chain, key=key)
        start_server(*options(pair), tls=authority.context())
    else:
        assert f"mode {mode:04o}" in refused(certificate.chain, key)


def test_an_expired_certificate_is_a_warning(authority, start_server):
    pair = authority.server("late", days="-1")
    server = start_server(*options(pair), ready=False)
    wait_for(lambda: any(b" warn " in line and b"expired" in line for line in server.log),
             "the warning")
    wait_for(lambda: server.address(b"API"), "the start")
    server.stop()
