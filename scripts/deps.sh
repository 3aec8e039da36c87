#!/bin/sh
# SPDX-License-Identifier: MIT
# What the distribution must provide, by purpose.
#   deps.sh install PURPOSE...   installs what is missing; sudo only when not root
#   deps.sh check PURPOSE...     names what is missing; exit status 1 when something is
# Purposes: run (build and run), test (run the tests), dev (lint and format), bench (tools to
# compare with), cross (other architectures).
set -eu

packages_apt() {
	case $1 in
	run) echo gcc libc6-dev make clang llvm libbpf-dev libelf-dev zlib1g-dev \
		libmicrohttpd-dev libgnutls28-dev nettle-dev libcrypt-dev libjansson-dev \
		libinih-dev libsqlite3-dev "$(apt_node)" ;;
	test) echo libcmocka-dev python3 python3-pytest python3-jsonschema iproute2 nftables \
		openssl slowhttptest util-linux valgrind strace "$(apt_bpftool)" "$(apt_chromium)" \
		"$(apt_fuzzer)" fonts-dejavu-core help2man man-db bash-completion lintian \
		dpkg-dev ;;
	dev) echo clang-format shellcheck python3-pyflakes git ;;
	bench) echo python3 iproute2 binutils bpftrace libbpf-tools bpfcc-tools tcpdump ;;
	cross) echo gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-riscv64-linux-gnu ;;
	docs) echo help2man ;;
	deb) echo help2man dpkg-dev ;;
	esac
}

# Debian has a package of that name; Ubuntu ships the tool with the kernel's.
apt_bpftool() {
	if command -v bpftool >/dev/null || [ -x /usr/sbin/bpftool ]; then
		return
	fi
	if grep -qs '^ID=ubuntu' /etc/os-release; then
		echo linux-tools-common linux-tools-generic
	else
		echo bpftool
	fi
}

# What clang links fuzzers with; before there was this package it came with clang.
apt_fuzzer() {
	if apt-cache show libclang-rt-dev >/dev/null 2>&1; then
		echo libclang-rt-dev
	fi
}

# Those who have node from elsewhere keep it: that package may hold npm and bar the distribution's.
apt_node() {
	if command -v node >/dev/null && command -v npm >/dev/null; then
		return
	fi
	echo nodejs npm
}

# Ubuntu has it under another name.
apt_chromium() {
	if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
		return
	fi
	if grep -qs '^ID=ubuntu' /etc/os-release; then
		echo chromium-browser
	else
		echo chromium
	fi
}

packages_dnf() {
	case $1 in
	run) echo gcc glibc-devel make clang llvm libbpf-devel elfutils-libelf-devel zlib-devel \
		libmicrohttpd-devel gnutls-devel nettle-devel libxcrypt-devel jansson-devel \
		inih-devel sqlite-devel nodejs npm ;;
	test) echo libcmocka-devel libasan libubsan libtsan compiler-rt python3 python3-pytest \
		python3-jsonschema iproute nftables openssl util-linux \
		valgrind strace bpftool chromium \
		dejavu-sans-fonts dejavu-sans-mono-fonts help2man man-db bash-completion ;;
	dev) echo clang-tools-extra ShellCheck python3-pyflakes git ;;
	bench) echo python3 iproute binutils bpftrace bcc-tools tcpdump ;;
	cross) echo gcc-aarch64-linux-gnu gcc-arm-linux-gnu gcc-riscv64-linux-gnu ;;
	docs) echo help2man ;;
	deb) echo help2man dpkg-dev ;;
	esac
}

packages_pacman() {
	case $1 in
	run) echo gcc make clang llvm libbpf libelf zlib libmicrohttpd gnutls nettle libxcrypt \
		jansson libinih sqlite nodejs npm ;;
	test) echo cmocka compiler-rt python python-pytest python-jsonschema iproute2 nftables \
		openssl util-linux valgrind strace bpf chromium ttf-dejavu help2man man-db \
		bash-completion ;;
	dev) echo clang shellcheck python-pyflakes git ;;
	bench) echo python iproute2 binutils bpftrace bcc-tools tcpdump ;;
	cross) echo aarch64-linux-gnu-gcc riscv64-linux-gnu-gcc ;;
	docs) echo help2man ;;
	deb) echo help2man dpkg ;;
	esac
}

missing_apt() {
	for package; do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || echo "$package"
	done
}

missing_dnf() {
	for package; do
		rpm -q --whatprovides "$package" >/dev/null 2>&1 || echo "$package"
	done
}

missing_pacman() {
	pacman -T "$@" || true
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "deps: root is needed and there is no sudo; run as root: $*" >&2
		exit 1
	fi
}

install_apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 install "$@" </dev/null
}

install_dnf() {
	as_root dnf -q -y install "$@" </dev/null
}

install_pacman() {
	as_root pacman -Sy --noconfirm --needed "$@" </dev/null
}

usage() {
	sed -n '4,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

[ $# -ge 2 ] || usage
action=$1
shift

manager=
for candidate in apt:apt-get dnf:dnf pacman:pacman; do
	if command -v "${candidate#*:}" >/dev/null; then
		manager=${candidate%%:*}
		break
	fi
done
if [ -z "$manager" ]; then
	echo "deps: no apt, dnf or pacman here; install by hand what corresponds to Debian's" >&2
	for purpose; do
		echo "  $(packages_apt "$purpose")" >&2
	done
	exit 1
fi

wanted=
for purpose; do
	list=$("packages_$manager" "$purpose")
	[ -n "$list" ] || usage
	wanted="$wanted $list"
done
# shellcheck disable=SC2086 # a list of words
missing=$("missing_$manager" $wanted)

case $action in
check)
	if [ -n "$missing" ]; then
		echo "missing packages: $(echo "$missing" | tr '\n' ' ')"
		echo "'make deps' installs what building and running need, 'make dev-setup' all"
		exit 1
	fi
	echo "nothing is missing"
	;;
install)
	if [ -n "$missing" ]; then
		echo "installing: $(echo "$missing" | tr '\n' ' ')"
		# shellcheck disable=SC2086 # a list of words
		"install_$manager" $missing
	fi
	;;
*)
	usage
	;;
esac
