# SPDX-License-Identifier: MIT
"""The dashboard and Swagger UI in a real browser: each scenario of scenarios/*.mjs is a test."""
import json
import pathlib
import re
import select
import shutil
import subprocess

import pytest

from harness import tools

HERE = pathlib.Path(__file__).parent
MODULES = tools.ROOT / "build" / "test" / "web" / "node_modules"
OUTPUT = tools.ROOT / "build" / "test" / "web" / "pictures"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEADLINE = 180

SCENARIO = re.compile(r'^scenario\(\s*"([^"]+)"', re.MULTILINE)
FILES = sorted((HERE / "scenarios").glob("*.mjs"))
ALL = [name for file in FILES for name in SCENARIO.findall(file.read_text(encoding="utf-8"))]
OVERVIEW = SCENARIO.findall((HERE / "scenarios" / "overview.mjs").read_text(encoding="utf-8"))
# Those that need a server of their own have a test of their own.
DROPPED_IN = "a program that is dropped in has its tile, its panel and its table at once"
LOGIN = "a server that wants a credential is given one, kept by the tab"
OWN = {DROPPED_IN, LOGIN}


class Runner:
    """tests/web/runner.mjs: one browser for all scenarios."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["node", HERE / "runner.mjs", MODULES, CHROMIUM, OUTPUT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert sorted(self.reply()["ready"]) == sorted(ALL)

    def reply(self):
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        assert ready, f"no answer from the browser within {DEADLINE} s"
        line = self.process.stdout.readline()
        assert line, "the browser's runner ended"
        return json.loads(line)

    def run(self, name, server, **more):
        if server.api.request("GET", "/ui/").status == 404:
            pytest.skip("this server was built without its web pages")
        task = {"run": name, "url": server.api.url, "tools": str(tools.TOOLS), **more}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer = self.reply()
        if answer.get("measured"):
            print(f"measured: {answer['measured']}")
        if "skipped" in answer:
            pytest.skip(answer["skipped"])
        if "failed" in answer:
            pytest.fail(answer["failed"], pytrace=False)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("no chromium here: make deps-test installs Debian's")
    if not shutil.which("node"):
        pytest.skip("no node here: make deps installs it")
    runner = Runner()
    yield runner
    runner.close()


def test_scenarios_have_names_of_their_own():
    assert len(ALL) > 20
    assert len(set(ALL)) == len(ALL)
    assert OWN <= set(ALL)


@pytest.mark.parametrize("name", [name for name in ALL if name not in OWN | set(OVERVIEW)])
def test_scenario(browser, shared_server, name):
    browser.run(name, shared_server)


@pytest.mark.parametrize("name", [name for name in OVERVIEW if name not in OWN])
def test_overview(browser, start_server, name):
    """Sums over everything: of a server that records nobody else's events."""
    only = ("connection", "packet_drop")
    browser.run(name, start_server(*(f"--set={program}.only_command=overview" for program in only)))


DROPPED_SOURCE = r"""
/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Who asks for process groups");

struct group_asked_event {
	struct event_header header;
	__u32 asked_pid DESCRIPTION("Whose process group was asked for");
};

STREAM(group_asked, struct group_asked_event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int group_asked_enter(struct syscall_enter *context)
{
	__u32 asked = (__u32)context->arguments[0];
	struct group_asked_event *event;

	if (!stream_wants(group_asked))
		return 0;
	event = stream_reserve(group_asked, sizeof(*event));
	if (!event)
		return 0;
	event_header_fill(&event->header);
	event->asked_pid = asked;
	stream_submit(group_asked, event, sizeof(*event));
	return 0;
}
"""


def test_a_dropped_in_program(browser, start_server, tmp_path):
    source = tmp_path / "group_asked.bpf.c"
    source.write_text(DROPPED_SOURCE)
    made = tmp_path / "group_asked.bpf.o"
    subprocess.run(
        ["clang", "-target", "bpf", "-mcpu=v2", "-O2", "-g", "-std=gnu17", "-nostdlibinc",
         "-isystem", tools.ROOT / "build/bpf/include", "-I", tools.ROOT / "programs/include",
         "-D__TARGET_ARCH_x86", "-c", source, "-o", made], check=True)
    directory = tmp_path / "programs"
    directory.mkdir(mode=0o755)
    server = start_server("--program-dir", directory)
    browser.run(DROPPED_IN, server, dropped={
        "name": "group_asked", "source": str(made), "target": str(directory / made.name),
        "pid": server.pid})


def test_login(browser, start_server, tmp_path):
    token, password = "tok-web-9f31c2", "pass-web-71d0"
    hashed = subprocess.run(["openssl", "passwd", "-6", password], check=True, capture_output=True,
                            text=True).stdout.strip()
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    path.write_text(f"read page {token}\nread paul {hashed}\n")
    browser.run(LOGIN, start_server("--credentials", path), login={
        "token": token, "name": "paul", "password": password})
