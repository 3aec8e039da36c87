#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-prometheus.sh FOLDER: puts prometheus and promtool there, out of the distribution's package
# where that is a .deb. It is unpacked, not installed: installing it would start a service.
# Without it, or without a network, the tests that need it say so and are skipped.
set -u

folder=$1
mkdir -p "$folder"
for tool in prometheus promtool; do
	path=$(command -v "$tool") && ln -sf "$path" "$folder/$tool"
done
[ -e "$folder/promtool" ] && [ -e "$folder/prometheus" ] && exit 0

unavailable() {
	echo "prometheus: $1; the tests that need it are skipped" >&2
	exit 0
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	unavailable "it is not installed"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
apt-get -qq download prometheus >/dev/null 2>&1 || {
	# The lists of packages may be missing, or old.
	if [ "$(id -u)" -eq 0 ]; then
		apt-get -qq update >/dev/null 2>&1
	elif command -v sudo >/dev/null; then
		sudo apt-get -qq update >/dev/null 2>&1
	fi
	apt-get -qq download prometheus >/dev/null 2>&1
} || unavailable "apt-get cannot download it"
dpkg-deb -x prometheus_*.deb . || unavailable "its package cannot be unpacked"
cd - >/dev/null || exit 1
mv "$work/usr/bin/prometheus" "$work/usr/bin/promtool" "$folder/" ||
	unavailable "its package holds something else"
