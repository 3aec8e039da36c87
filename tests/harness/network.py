# SPDX-License-Identifier: MIT
"""Network namespaces with virtual Ethernet between them; all gone at the end, whatever happened."""
import itertools
import json
import os
import subprocess

_numbers = itertools.count(1)


def _run(*command, stdin=None):
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr.strip()}"
    return result.stdout


class Namespace:
    """A network namespace; its loopback is up."""

    def __init__(self):
        self.name = f"ebpf-test-{os.getpid()}-{next(_numbers)}"
        _run("ip", "netns", "add", self.name)
        self.path = f"/run/netns/{self.name}"
        try:
            self.ip("link", "set", "lo", "up")
        except AssertionError:
            self.delete()
            raise

    @property
    def inode(self):
        """The number by which the kernel names it: lsns, /proc/PID/ns/net."""
        return os.stat(self.path).st_ino

    def command(self, *arguments):
        """The command that runs `arguments` inside. Only the network differs from outside."""
        return ["nsenter", f"--net={self.path}", "--", *arguments]

    def run(self, *arguments, stdin=None):
        """Runs to the end inside; returns standard output, fails with standard error."""
        return _run(*self.command(*arguments), stdin=stdin)

    def ip(self, *arguments):
        return _run("ip", "-netns", self.name, *arguments)

    def nft(self, rules):
        """Loads nftables rules, in the syntax of `nft -f`."""
        return self.run("nft", "-f", "-", stdin=rules)

    def sysctl(self, key, value):
        """sysctl("net.ipv4.ping_group_range", "0 65535")"""
        return self.run("sh", "-c", 'printf "%s" "$1" > "/proc/sys/$2"', "sh", str(value),
                        key.replace(".", "/"))

    def interface_index(self, interface):
        return json.loads(self.ip("-json", "link", "show", "dev", interface))[0]["ifindex"]

    def delete(self):
        _run("ip", "netns", "delete", self.name)


class Network:
    """Makes namespaces and the wires between them."""

    def __init__(self):
        self.namespaces = []

    def namespace(self):
        namespace = Namespace()
        self.namespaces.append(namespace)
        return namespace

    def veth(self, one, other, one_addresses, other_addresses, names=("veth0", "veth0")):
        """A pair of interfaces, up, with addresses such as "10.77.0.1/24" and "fd77::1/64"."""
        one.ip("link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns",
               other.name)
        for namespace, name, addresses in ((one, names[0], one_addresses),
                                           (other, names[1], other_addresses)):
            for address in addresses:
                # No duplicate address detection: the address can be used at once.
                nodad = ["nodad"] if ":" in address else []
                namespace.ip("address", "add", address, "dev", name, *nodad)
            namespace.ip("link", "set", name, "up")

    def pair(self):
        """Two namespaces joined: 10.77.0.1, fd77::1 on `veth0` of one; .2, ::2 on that of the
        other."""
        one, other = self.namespace(), self.namespace()
        self.veth(one, other, ["10.77.0.1/24", "fd77::1/64"], ["10.77.0.2/24", "fd77::2/64"])
        return one, other

    def close(self):
        failures = []
        for namespace in reversed(self.namespaces):
            try:
                namespace.delete()
            except AssertionError as error:
                failures.append(str(error))
        self.namespaces = []
        assert not failures, failures
