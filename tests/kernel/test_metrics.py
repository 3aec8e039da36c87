# SPDX-License-Identifier: MIT
"""/metrics: its formats, the server's own families, and the real Prometheus reading them."""
import contextlib
import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest

from harness import exposition, tools
from harness.wait import wait_for

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# As Prometheus 2.42 asks.
ACCEPT_OPENMETRICS = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                      "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
NASTY = b'a"b\\c\n\xff</sc'
UID = 64996
FAMILY = "tcp_connects_by_pid"
OUTCOMES = ("stored", "filtered", "sampled_out", "lost", "malformed")


def prometheus_tool(name):
    path = tools.ROOT / "build" / "test" / "prometheus" / name
    if not path.exists():
        pytest.skip(f"{name} is not here: scripts/fetch-prometheus.sh could not get it")
    return str(path)


def get(client, accept=None):
    response = client.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    assert response.status == 200
    return response


def families(client, accept=None):
    return exposition.parse(get(client, accept).body, openmetrics=accept is not None)


@pytest.fixture
def only(start_server):
    return start_server("--set", f"tcp_connect.only_uid={UID}")


@pytest.fixture
def nasty(start_trigger):
    """A process of a name that would break a careless writer, with 3 connects; its pid."""
    started = start_trigger("tcp4", "127.0.0.1:1", count=3, uid=UID, stay=True, command=NASTY)
    return started.made().pid


def test_both_listeners_and_both_formats(only, nasty):
    for client in (only.metrics, only.api):
        text = get(client)
        assert text.headers["Content-Type"] == TEXT
        assert "Accept" in text.headers.get_all("Vary")
        response = get(client, ACCEPT_OPENMETRICS)
        assert response.headers["Content-Type"] == OPENMETRICS
        plain = exposition.parse(text.body)
        opened = exposition.parse(response.body, openmetrics=True)
        labels = {"comm": 'a"b\\c\n\ufffd</sc', "pid": nasty}
        for parsed in (plain, opened):
            assert parsed[FAMILY].type == "gauge"
            assert parsed[FAMILY].help == "Number of tcp_connect() calls observed per PID"
            assert parsed[FAMILY].of(FAMILY, **labels) == 3
        assert {name.removesuffix("_total") for name in plain} == set(opened)
        assert opened["process_cpu_seconds"].unit == "seconds"
        assert all(family.help for family in plain.values())


def test_it_is_a_get_without_parameters(server):
    for client in (server.metrics, server.api):
        assert client.request("GET", "/metrics", params={"a": 1}).status == 400
        refused = client.request("POST", "/metrics", body=b"{}")
        assert refused.status == 405
        assert refused.headers["Allow"] == "GET, HEAD, OPTIONS"
        head = client.request("HEAD", "/metrics")
        assert head.status == 200 and head.body == b""
    compressed = server.metrics.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["Content-Encoding"] == "gzip"


def test_own_families_say_what_the_api_says(only, trigger):
    made = trigger("udp4", "127.0.0.1:1", count=7)
    only.events("connection", 7, pid=made.pid)
    # Others connect meanwhile: what the API says before and after are the bounds.
    before = ledger(only)
    parsed = families(only.metrics)
    after = ledger(only)
    labels = {"program": "connection", "stream": "connection"}
    for outcome in OUTCOMES:
        value = parsed["ebpf_server_stream_events_total"].of(
            "ebpf_server_stream_events_total", outcome=outcome, **labels)
        assert before[outcome] <= value <= after[outcome], outcome
    produced = parsed["ebpf_server_stream_events_produced_total"].of(
        "ebpf_server_stream_events_produced_total", **labels)
    assert before["produced"] <= produced <= after["produced"]
    assert parsed["ebpf_server_stream_ring_bytes"].of(
        "ebpf_server_stream_ring_bytes", **labels) == 4 << 20
    used = parsed["ebpf_server_stream_ring_used_bytes"].of(
        "ebpf_server_stream_ring_used_bytes", **labels)
    assert 0 <= used < 4 << 20
    for program in ("connection", "packet_drop", "tcp_connect"):
        assert parsed["ebpf_server_program_running"].of(
            "ebpf_server_program_running", program=program) == 1
    [build] = parsed["ebpf_server_build_info"].samples["ebpf_server_build_info"]
    assert dict(build) == {"version": only.api("/")["version"], "kernel": os.uname().release,
                           "architecture": os.uname().machine}
    [lag] = parsed["ebpf_server_drain_lag_seconds"].samples[
        "ebpf_server_drain_lag_seconds"].values()
    assert 0 <= lag < 2
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total",
                 "ebpf_server_memory_limit_bytes"):
        assert parsed[name].of(name) > 0, name


def ledger(server):
    [stream] = [stream for stream in server.api("/api/programs/connection")["streams"]
                if not stream["superseded"]]
    counts = stream["ledger"]
    return counts | {"lost": counts["lost"] - counts["malformed"]}


def test_requests_are_counted_by_route_and_status(server):
    def count(route, status):
        return families(server.metrics)["ebpf_server_api_requests_total"].of(
            "ebpf_server_api_requests_total", route=route, status=status) or 0
    for _ in range(3):
        server.api("/api/programs")
    assert server.api.request("GET", "/api/programs/nobody").status == 404
    assert server.api.request("GET", "/nothing/here").status == 404
    assert server.api.request("POST", "/api/programs").status == 405
    assert server.api.request("GET", "/api/events", params={"limit": "x"}).status == 400
    assert count("/api/programs", 200) == 3
    assert count("/api/programs", 405) == 1
    assert count("/api/programs/{name}", 404) == 1
    assert count("none", 404) == 1
    assert count("/api/events", 400) == 1
    assert count("/metrics", 200) == 5


def test_run_counts_when_the_kernel_measures(start_server, trigger):
    server = start_server("--program-stats")
    trigger("tcp4", "127.0.0.1:1", count=11)
    parsed = families(server.metrics)
    runs = parsed["ebpf_server_program_runs_total"].of(
        "ebpf_server_program_runs_total", program="connection")
    seconds = parsed["ebpf_server_program_run_time_seconds_total"].of(
        "ebpf_server_program_run_time_seconds_total", program="connection")
    assert runs >= 22
    assert 0 < seconds < 1


def test_series_are_bounded_and_add_up(start_server, start_trigger):
    server = start_server("--set", f"tcp_connect.only_uid={UID}", "--max-series", 2)
    counts = [3, 5, 7, 11, 13]
    pids = [start_trigger("tcp4", "127.0.0.1:1", count=count, uid=UID, stay=True).made().pid
            for count in counts]
    samples = families(server.metrics)[FAMILY].samples[FAMILY]
    assert samples == {
        frozenset({("comm", "trigger"), ("pid", str(pids[4]))}): 13,
        frozenset({("comm", "trigger"), ("pid", str(pids[3]))}): 11,
        frozenset({("comm", "other"), ("pid", "other")}): 15,
    }
    assert server.api("/api/programs/tcp_connect")["metrics"][0]["series"] == 3


@pytest.mark.parametrize("value", ["0", "-1", "x", "1000001"])
def test_a_bad_limit_is_refused(start_server, value):
    server = start_server("--max-series", value, ready=False)
    assert server.wait_for_exit() == 2
    [line] = server.log
    assert b"--max-series" in line and b"from 1 to 1000000" in line


def test_a_program_that_is_switched_off_has_no_series(only, nasty):
    assert families(only.metrics)[FAMILY].samples
    assert only.api.request("POST", "/api/programs/tcp_connect/disable").status == 200
    parsed = families(only.metrics)
    assert FAMILY not in parsed
    assert parsed["ebpf_server_program_running"].of(
        "ebpf_server_program_running", program="tcp_connect") == 0
    [metric] = only.api("/api/programs/tcp_connect")["metrics"]
    assert (metric["name"], metric["series"]) == (FAMILY, 0)
    assert only.api.request("POST", "/api/programs/tcp_connect/enable").status == 200
    assert families(only.metrics)[FAMILY].samples == {}


def test_a_changed_parameter_keeps_the_counts(only, nasty, start_trigger):
    answer = only.api.request(
        "PATCH", "/api/programs/tcp_connect", headers={"Content-Type": "application/json"},
        body=json.dumps({"parameters": {"only_uid": UID + 1}}).encode())
    assert answer.status == 200
    other = start_trigger("tcp4", "127.0.0.1:1", count=2, uid=UID + 1, stay=True).made().pid
    counts = {dict(labels)["pid"]: count
              for labels, count in families(only.metrics)[FAMILY].samples[FAMILY].items()}
    assert counts == {str(nasty): 3, str(other): 2}


def test_promtool_finds_nothing(only, nasty):
    # It reads the older format alone.
    checked = subprocess.run([prometheus_tool("promtool"), "check", "metrics"],
                             input=get(only.metrics).body, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


# ---- the real Prometheus ----


@contextlib.contextmanager
def prometheus(folder, target):
    """A running Prometheus that scrapes `target` twice a second; its URL."""
    config = folder / "prometheus.yml"
    config.write_text(f"""
global: {{ scrape_interval: 500ms, scrape_timeout: 500ms }}
scrape_configs:
  - job_name: ebpf
    static_configs: [{{ targets: ["{target}"] }}]
""")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [prometheus_tool("prometheus"), f"--config.file={config}",
         f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        log = process.communicate(timeout=30)[1].decode(errors="replace")
    complaints = [line for line in log.splitlines()
                  if "level=info" not in line and "Received SIGTERM" not in line]
    assert not complaints, log


def ask(url, query):
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            return json.loads(answer.read())["data"]["result"]
    except OSError:
        return []


def test_prometheus_scrapes_it(only, nasty, start_trigger, tmp_path):
    brief = start_trigger("tcp4", "127.0.0.1:1", count=5, uid=UID, stay=True)
    pid = brief.made().pid
    target = f"{only.metrics.host}:{only.metrics.port}"
    with prometheus(tmp_path, target) as url:
        wait_for(lambda: len(ask(url, FAMILY)) == 2, "both series", 30)
        [up] = ask(url, "up")
        assert up["value"][1] == "1"
        [sample] = ask(url, f'{FAMILY}{{pid="{nasty}"}}')
        assert sample["metric"]["comm"] == 'a"b\\c\n\ufffd</sc'
        assert sample["value"][1] == "3"
        brief.finish()
        # It ends, its count stays in the sum, and the last value was seen.
        wait_for(lambda: not ask(url, f'{FAMILY}{{pid="{pid}"}}'), "the end of the series")
        [total] = ask(url, f"sum({FAMILY})")
        assert total["value"][1] == "8"
        [last] = ask(url, f'last_over_time({FAMILY}{{pid="{pid}"}}[5m])')
        assert last["value"][1] == "5"
        assert ask(url, 'ebpf_server_stream_events_total{outcome="stored"}')
