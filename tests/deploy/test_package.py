# SPDX-License-Identifier: MIT
"""What is installed, as a tree and as a Debian package: what is there, that the checkers find
nothing, and that the package comes, serves and goes without a trace."""
import os
import re
import shutil
import subprocess

import pytest

from harness import kernel
from harness.client import Client
from harness.tools import ROOT
from harness.wait import wait_for

ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def run(*command, status=0, **keywords):
    result = subprocess.run([str(word) for word in command], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                            env=keywords.pop("env", ENVIRONMENT), timeout=600, **keywords)
    assert status is None or result.returncode == status, result.stdout
    return result.stdout


def needs(*commands):
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    path = tmp_path_factory.mktemp("installed")
    run("make", "install", f"DESTDIR={path}", "PREFIX=/usr")
    return path


@pytest.fixture(scope="module")
def package():
    needs("dpkg-deb", "dpkg-shlibdeps", "help2man")
    run("make", "deb")
    version = (ROOT / "VERSION").read_text().strip()
    packages = list((ROOT / "build").glob(f"ebpf-server_{version}_*.deb"))
    assert len(packages) == 1
    return packages[0]


def test_programs_are_installed_and_run(tree):
    for name in ("ebpf-server", "monitor_ebpf_loader", "monitor_ebpf_reader"):
        assert run(tree / "usr/bin" / name, "--version").startswith(f"{name} ")


def test_a_program_of_ones_own_builds_with_what_is_installed(tree, tmp_path):
    source = tmp_path / "own.bpf.c"
    source.write_text('#include "program.bpf.h"\nPROGRAM("nothing");\n')
    run("clang", "-target", "bpf", "-mcpu=v2", "-O2", "-g", "-std=gnu17",
        f"-I{tree}/usr/include/ebpf-server", "-c", source, "-o", tmp_path / "own.bpf.o")


def test_another_prefix_is_in_the_unit(tmp_path):
    run("make", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/monitor")
    unit = (tmp_path / "opt/monitor/lib/systemd/system/ebpf-server.service").read_text()
    assert "\nExecStart=/opt/monitor/bin/ebpf-server --config " \
        "/opt/monitor/etc/ebpf-server/ebpf-server.conf\n" in unit


def test_a_configuration_that_is_there_stays(tmp_path):
    own = tmp_path / "etc/ebpf-server/ebpf-server.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[server]\nmemory = 32MiB\n")
    run("make", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert own.read_text() == "[server]\nmemory = 32MiB\n"


def test_the_shipped_configuration_is_valid(tree):
    path = tree / "etc/ebpf-server/ebpf-server.conf"
    said = run(tree / "usr/bin/ebpf-server", "--check-config", "--config", path)
    assert "configuration is valid" in said
    # What it offers in comments is valid too, but for what names files and interfaces.
    offered = re.sub(r"^# (?=[\[a-z_-]+( =|\]))", "", path.read_text(), flags=re.M)
    offered = re.sub(r"^(credentials|tls-cert|tls-key|addr = :8080).*\n", "", offered, flags=re.M)
    own = path.with_name("offered.conf")
    own.write_text(offered)
    assert "only_command = curl" in offered.splitlines()
    assert "configuration is valid" in run(tree / "usr/bin/ebpf-server", "--check-config",
                                           "--config", own)
    own.unlink()


def test_the_unit_is_valid(tree, tmp_path):
    needs("systemd-analyze")
    unit = (tree / "usr/lib/systemd/system/ebpf-server.service").read_text()
    # Where the programs are now.
    (tmp_path / "ebpf-server.service").write_text(
        unit.replace("/usr/bin/ebpf-server", f"{tree}/usr/bin/ebpf-server")
        .replace("Documentation=man:ebpf-server(8)\n", ""))
    said = run("systemd-analyze", "verify", tmp_path / "ebpf-server.service", status=None)
    assert "ebpf-server.service" not in said, said


def test_man_pages(tree):
    needs("help2man", "man")
    for page in ("man8/ebpf-server.8", "man8/monitor_ebpf_loader.8", "man1/monitor_ebpf_reader.1"):
        path = tree / "usr/share/man" / page
        warnings = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", path],
                                  capture_output=True, text=True, check=True,
                                  env=ENVIRONMENT | {"MANWIDTH": "80"})
        assert warnings.stderr == ""
        assert "--version" in re.sub(".\b", "", warnings.stdout)
    page = (tree / "usr/share/man/man8/ebpf-server.8").read_text().replace("\\-", "-")
    for option in re.findall(r"^  (--[a-z-]+)", run(tree / "usr/bin/ebpf-server", "--help"),
                             re.M):
        assert option in page, option


def test_completion_offers_every_option(tree):
    helper = "/usr/share/bash-completion/bash_completion"
    if not os.path.exists(helper):
        pytest.skip("bash-completion is not installed")
    script = (f". {helper}; . {tree}/usr/share/bash-completion/completions/ebpf-server; "
              "COMP_WORDS=(ebpf-server --mem); COMP_CWORD=1; COMP_LINE='ebpf-server --mem'; "
              "COMP_POINT=17; _longopt ebpf-server --mem; echo \"${COMPREPLY[@]}\"")
    environment = ENVIRONMENT | {"PATH": f"{tree}/usr/bin:{os.environ['PATH']}"}
    assert "--memory" in run("bash", "-c", script, env=environment)


def test_lintian_finds_nothing(package):
    needs("lintian")
    said = run("lintian", "--fail-on=none", package)
    assert [line for line in said.splitlines() if re.match("[EW]: ", line)] == []


def test_the_package_comes_and_goes(package):
    """Installed, started as its unit starts it, asked, and purged: nothing of it is left."""
    if not shutil.which("dpkg") or os.geteuid() != 0:
        pytest.skip("needs dpkg and root")
    if run("dpkg-query", "-W", "-f=${Status}", "ebpf-server", status=None).endswith("installed"):
        pytest.skip("the package is installed on this machine already")
    if os.path.exists("/etc/ebpf-server") or os.path.exists("/var/lib/ebpf-server"):
        pytest.skip("this machine has files of a server already")
    before = kernel.bpf_objects()
    run("dpkg", "-i", package)
    try:
        assert run("getent", "passwd", "ebpf-server").startswith("ebpf-server:")
        assert run("getent", "group", "ebpf-monitor").startswith("ebpf-monitor:")
        serve_once()
    finally:
        run("dpkg", "--purge", "ebpf-server")
    assert not os.path.exists("/etc/ebpf-server")
    assert not os.path.exists("/var/lib/ebpf-server")
    assert not os.path.exists("/usr/bin/ebpf-server")
    for database, name in (("passwd", "ebpf-server"), ("group", "ebpf-monitor")):
        assert run("getent", database, name, status=None) == ""
    wait_for(lambda: not kernel.bpf_leftovers(before), "programs and links gone")


def serve_once():
    """The command of the unit, on ports of its own."""
    with open("/lib/systemd/system/ebpf-server.service", encoding="utf-8") as file:
        command = re.search("^ExecStart=(.*)$", file.read(), re.M)[1].split()
    with subprocess.Popen([*command, "--addr", "127.0.0.1:0", "--metrics-addr", "off"],
                          stderr=subprocess.PIPE) as process:
        try:
            address = re.search(rb"API on http://127\.0\.0\.1:(\d+)/", process.stderr.readline())
            assert address
            api = Client("127.0.0.1", int(address[1]))
            wait_for(lambda: api.request("GET", "/readiness").status == 200, "ready")
            owner = os.stat("/var/lib/ebpf-server").st_uid
            assert run("getent", "passwd", str(owner)).startswith("ebpf-server:")
            assert api("/api/programs")["running_programs"] >= 3
        finally:
            process.terminate()
            process.stderr.read()
        assert process.wait(15) == 0
