# SPDX-License-Identifier: MIT
"""Credentials and roles on the real server: who may do what, walked by /openapi.json; guessing is
bounded; the file is read again on SIGHUP; no secret shows anywhere."""
import hashlib
import os
import re
import signal
import socket
import subprocess

import pytest

from harness.openapi import operations
from harness.processes import child_of, wait_for_restart
from harness.starts import USAGE, refusal
from harness.wait import wait_for

# Tokens that cannot stand anywhere by chance.
ADMIN, WRITE, READ = "tok-admin-5f2c9e", "tok-write-81b7d0", "tok-read-c44a13"
PASSWORD = "correct-horse-7d1"
ROLES = {"read": READ, "write": WRITE, "admin": ADMIN}
RANK = ["read", "write", "admin"]
SECRETS = [ADMIN, WRITE, READ, PASSWORD]
PROGRAM = "connection"
OPEN_PATHS = {"/metrics", "/health", "/readiness", "/liveness", "/ui/", "/ui/{name}", "/docs/",
              "/docs/{name}"}


def slow_hash(secret):
    return subprocess.run(["openssl", "passwd", "-6", secret], check=True, capture_output=True,
                          text=True).stdout.strip()


def refused(*arguments):
    return refusal(USAGE, "--addr", "127.0.0.1:0", "--metrics-addr", "off", *arguments)


def write_credentials(path, text):
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    """One of each form."""
    path = tmp_path_factory.mktemp("access") / "credentials"
    digest = hashlib.sha256(WRITE.encode()).hexdigest()
    return write_credentials(path, f"# who may\nadmin root {ADMIN}\nwrite agent sha256:{digest}\n"
                                   f"read grafana {READ}\nread paul {slow_hash(PASSWORD)}\n")


@pytest.fixture
def guarded(start_server, credentials):
    return start_server("--credentials", credentials)


def path_of(operation):
    return operation.path.replace("{name}", PROGRAM)


def needed_role(operation):
    """By the document; None where everybody may."""
    roles = {tuple(next(iter(scheme.values()))) for scheme in operation.item["security"]}
    assert len(roles) <= 1, f"{operation}: {operation.item['security']}"
    return next(iter(roles))[0] if roles else None


def document_of(client):
    return client("/openapi.json")


def test_each_role_at_each_route(guarded):
    """Above the role: 403. With it: anything but 401 and 403. Without a credential: 401, but for
    what is open."""
    document = document_of(guarded.api.as_bearer(ADMIN))
    assert document["components"]["securitySchemes"].keys() == {"bearer", "basic"}
    tried = 0
    for operation in operations(document):
        needed = needed_role(operation)
        assert (needed is None) == (operation.path in OPEN_PATHS), str(operation)
        if needed is not None and operation.method != "GET" and \
                operation.path.startswith("/api/programs/"):
            assert needed == "admin", str(operation)
        for role, token in ROLES.items():
            # Nothing is changed: the body is no good.
            response = guarded.api.as_bearer(token).request(
                operation.method, path_of(operation) + "?nosuch=1")
            allowed = needed is None or RANK.index(role) >= RANK.index(needed)
            if allowed:
                assert response.status not in (401, 403), f"{operation} {role}: {response.text}"
            else:
                assert response.status == 403, f"{operation} {role}: {response.text}"
                assert needed in response.json()["message"] and role in response.json()["message"]
            tried += 1
        response = guarded.api.request(operation.method, path_of(operation))
        assert (response.status == 401) == (needed is not None), f"{operation}: {response.text}"
        if needed is not None:
            assert response.json()["error"] == "Unauthorized"
            assert [scheme.split()[0] for scheme in response.headers.get_all("WWW-Authenticate")] \
                == ["Bearer", "Basic"]
    assert tried > 50


def test_roles_where_they_change_something(guarded):
    disable = f"/api/programs/{PROGRAM}/disable"
    for client in (guarded.api, guarded.api.as_bearer(READ), guarded.api.as_bearer(WRITE),
                   guarded.api.as_basic("paul", PASSWORD)):
        assert client.request("POST", disable).status in (401, 403)
    assert guarded.api.as_bearer(READ)(f"/api/programs/{PROGRAM}")["status"] == "running"
    assert guarded.api.as_bearer(ADMIN).request("POST", disable).status == 200
    assert guarded.api.as_bearer(READ)(f"/api/programs/{PROGRAM}")["status"] == "disabled"


def test_forms_of_authorization(guarded):
    def status(authorization, method="GET"):
        return guarded.api.request(method, "/api/schema",
                                   headers={"Authorization": authorization}).status

    assert status(f"Bearer {READ}") == 200
    assert status(f"bearer  {READ}") == 200
    assert status(f"Bearer {READ}", "HEAD") == 200
    assert guarded.api.as_basic("grafana", READ).request("GET", "/api/schema").status == 200
    for _ in range(3):
        assert guarded.api.as_basic("paul", PASSWORD).request("GET", "/api/schema").status == 200
    assert status("Digest username=grafana") == 401
    assert status("") == 401
    assert guarded.api.as_basic("grafana", ADMIN).request("GET", "/api/schema").status == 401
    assert guarded.api.as_bearer(PASSWORD).request("GET", "/api/schema").status == 401


def test_a_browser_comes_to_the_dashboard(guarded):
    """And logs in there; what the page itself says is in everybody's copy of this project."""
    response = guarded.api.request("GET", "/", headers={"Accept": "text/html,*/*;q=0.8"})
    if guarded.api.request("GET", "/ui/").status == 404:
        pytest.skip("this server was built without its web pages")
    assert (response.status, response.headers["Location"]) == (303, "ui/")
    assert guarded.api.request("GET", "/").status == 401


def test_what_is_open_stays_so(guarded):
    """Probes and metrics, whatever credential comes along; what is not there is said to all."""
    for path in ("/health", "/readiness", "/liveness", "/metrics"):
        assert guarded.api.request("GET", path).status == 200
        assert guarded.metrics.request("GET", path).status == 200
        assert guarded.api.as_bearer("wrong").request("GET", path).status == 200
    assert guarded.api.request("GET", "/nosuch").status == 404
    assert guarded.api.request("DELETE", "/api/events").status == 405
    assert guarded.api.request("OPTIONS", "/api/events").status == 204


def test_protected_metrics(start_server, credentials):
    server = start_server("--credentials", credentials, "--protect-metrics")
    for client in (server.api, server.metrics):
        assert client.request("GET", "/metrics").status == 401
        assert client.as_bearer(READ).request("GET", "/metrics").status == 200
        assert client.request("GET", "/health").status == 200
        assert client.request("GET", "/readiness").status == 200
    document = document_of(server.api.as_bearer(READ))
    [metrics] = [operation for operation in operations(document) if operation.path == "/metrics"]
    assert needed_role(metrics) == "read"


def test_open_loopback(start_server, credentials):
    """Callers from here need none, unless a foreign page sends them; others need one."""
    server = start_server("--credentials", credentials, "--open-loopback", "--insecure",
                          "--addr", "0.0.0.0:0", "--metrics-addr", "off", defaults=False)
    server.api.host = "127.0.0.1"
    assert server.api.request("GET", "/api/schema").status == 200
    assert server.api.request("POST", f"/api/programs/{PROGRAM}/disable").status == 200
    assert server.api.request("GET", "/api/schema", headers={"Host": "evil.example"}).status == 401
    server.api.host = own_address()
    if server.api.host:
        assert server.api.request("GET", "/api/schema").status == 401
        assert server.api.as_bearer(READ).request("GET", "/api/schema").status == 200


def own_address():
    """One of this machine that is not loopback, or None. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_pages_of_other_origins_change_nothing(guarded):
    """A browser adds a stored name and secret to whatever a foreign page sends: Origin tells."""
    admin = guarded.api.as_basic("root", ADMIN)
    path = f"/api/programs/{PROGRAM}/disable"
    host = f"{guarded.api.host}:{guarded.api.port}"
    for origin in ("https://evil.example", "null", "http://localhost:1", f"http://{host}.evil"):
        response = admin.request("POST", path, headers={"Origin": origin})
        assert response.status == 403 and "origin" in response.json()["message"], origin
    assert admin(f"/api/programs/{PROGRAM}")["status"] == "running"
    assert admin.request("POST", path, headers={"Origin": f"http://{host}"}).status == 200


def test_foreign_names_of_a_loopback_address(guarded):
    response = guarded.api.as_bearer(ADMIN).request("GET", "/api/schema",
                                                    headers={"Host": "evil.example"})
    assert response.status == 403


def test_guessing_is_bounded(start_server, tmp_path):
    """Ten wrong ones, then 429 with Retry-After, for right ones from this address too; what needs
    no credential goes on."""
    path = write_credentials(tmp_path / "credentials", f"admin root {ADMIN}\n")
    server = start_server("--credentials", path)
    statuses = [server.api.as_bearer(f"wrong-{i}").request("GET", "/").status for i in range(17)]
    refused = statuses.count(429)
    # A slow machine takes so long that one or two are forgiven meanwhile.
    assert statuses[:10] == [401] * 10 and refused >= 4, statuses
    response = server.api.as_bearer(ADMIN).request("GET", "/")
    assert response.status == 429
    assert response.json()["error"] == "Too Many Requests"
    assert 1 <= int(response.headers["Retry-After"]) <= 5
    assert server.api.request("GET", "/health").status == 200
    assert server.api.request("GET", "/").status == 401
    wait_for(lambda: server.api.as_bearer(ADMIN).request("GET", "/").status == 200,
             "forgiveness", 20)


def test_the_file_is_read_again(start_server, tmp_path, credentials):
    path = write_credentials(tmp_path / "credentials", f"read one {READ}\n")
    server = start_server("--credentials", path)
    pid = child_of(server)
    assert server.api.as_bearer(READ).request("GET", "/").status == 200
    assert server.api.as_bearer(WRITE).request("GET", "/").status == 401

    def reload(said):
        before = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any(said in line for line in server.log[before:]), said)

    write_credentials(path, f"admin two {WRITE}\n")
    reload(b"credentials read again: 1")
    assert server.api.as_bearer(READ).request("GET", "/").status == 401
    assert server.api.as_bearer(WRITE).request("GET", "/").status == 200
    # What is no good changes nothing.
    write_credentials(path, f"admin two {WRITE}\nnonsense {READ}\n")
    reload(b"credentials stay as they were: " + str(path).encode() + b" line 2: ")
    assert server.api.as_bearer(WRITE).request("GET", "/").status == 200
    write_credentials(path, f"admin three {READ}\n").chmod(0o644)
    reload(b"mode 0644 lets others read it: chmod 600")
    assert server.api.as_bearer(WRITE).request("GET", "/").status == 200
    assert child_of(server) == pid
    # A server that is started anew has them too.
    os.kill(pid, signal.SIGKILL)
    wait_for_restart(server, pid)
    assert server.api.as_bearer(WRITE).request("GET", "/").status == 200
    assert server.api.as_bearer(READ).request("GET", "/").status == 401


def proc_texts(pid):
    """What /proc shows of a process to its owner."""
    for name in ("cmdline", "environ", "comm", "status", "maps", "mountinfo", "stat", "wchan"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                yield name, file.read()
        except OSError:
            pass
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            yield f"fd/{descriptor}", os.readlink(f"/proc/{pid}/fd/{descriptor}").encode()
    except OSError:
        pass


def test_no_secret_shows(guarded, credentials):
    """Not in the log, at debug level neither, not in /proc, not in any answer."""
    document_of(guarded.api.as_bearer(ADMIN))
    guarded.api.as_basic("grafana", READ).request("GET", "/?x=1")
    guarded.api.as_basic("paul", PASSWORD).request("GET", "/")
    guarded.api.as_basic(PASSWORD, "x").request("GET", "/")
    guarded.api.as_bearer(WRITE).request("POST", "/api/programs/x/enable")
    guarded.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(b"credentials read again" in line for line in guarded.log), "SIGHUP")
    guarded.api.as_bearer(ADMIN).request("GET", "/nosuch")
    texts = [("log", b"\n".join(guarded.log)), ("output", b"\n".join(guarded.output))]
    for pid in (guarded.pid, child_of(guarded)):
        found = list(proc_texts(pid))
        assert any(name == "cmdline" and b"--credentials" in text for name, text in found)
        texts += found
    for path in ("/", "/openapi.json", "/api/programs", "/metrics", "/health"):
        texts.append((path, guarded.api.as_bearer(ADMIN).request("GET", path).body))
    hashes = re.findall(r"(\$6\$\S+|sha256:\S+)", credentials.read_text())
    assert len(hashes) == 2
    for name, text in texts:
        for secret in [*SECRETS, *hashes]:
            assert secret.encode() not in text, f"{name} holds a secret"
    # Its text is in memory that others cannot read, and no core is written.
    with open(f"/proc/{child_of(guarded)}/limits", encoding="utf-8") as file:
        assert re.search(r"Max core file size\s+0 ", file.read())


# ---- what is refused at the start ----

@pytest.mark.parametrize("mode, said", [(0o644, "chmod 600"), (0o640, "chmod 600"),
                                        (0o606, "chmod 600")])
def test_a_file_that_others_can_read(mode, said, tmp_path):
    path = write_credentials(tmp_path / "credentials", f"read one {READ}\n")
    path.chmod(mode)
    line = refused("--credentials", path)
    assert str(path) in line and f"mode {mode:04o}" in line and said in line


@pytest.mark.parametrize("number, text", [(1, "root one {}"), (2, "read a b\nread {}"),
                                          (3, "read a b\n\nread a {}"), (1, "read one sha256:{}"),
                                          (1, "{} read one"), (1, "read one $6${}")])
def test_a_file_that_is_no_good(number, text, tmp_path):
    path = write_credentials(tmp_path / "credentials", text.format(READ) + "\n")
    line = refused("--credentials", path)
    assert line.startswith(f"{path} line {number}: "), line
    assert READ not in line


def test_files_that_are_none(tmp_path):
    assert "No such file" in refused("--credentials", tmp_path / "nosuch")
    assert "no regular file" in refused("--credentials", tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in refused("--credentials", tmp_path / "pipe")
    foreign = write_credentials(tmp_path / "foreign", f"read one {READ}\n")
    os.chown(foreign, 65534, 65534)
    assert "owned by root" in refused("--credentials", foreign)


def test_check_config_reads_the_file(tmp_path):
    path = write_credentials(tmp_path / "credentials", "nonsense\n")
    assert f"{path} line 1: " in refused("--check-config", "--credentials", path)
