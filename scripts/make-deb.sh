#!/bin/sh
# SPDX-License-Identifier: MIT
# Packs an installed tree for Debian.
#   make-deb.sh TREE VERSION ARCHITECTURE MAINTAINER OUTPUT
set -eu

tree=$1 version=$2 architecture=$3 maintainer=$4 output=$5
name=ebpf-server
docs=$tree/usr/share/doc/$name

# Debian's policy: pages and changelogs are compressed, without the time of the packing.
find "$tree/usr/share/man" -type f ! -name '*.gz' -exec gzip -9nf {} +
mkdir -p "$docs" "$tree/DEBIAN"
install -m 0644 deploy/debian/copyright "$docs/copyright"
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")
{
	printf '%s (%s) unstable; urgency=medium\n\n' "$name" "$version"
	printf '  * See the history of the project.\n\n -- %s  %s\n' "$maintainer" "$date"
} | gzip -9n > "$docs/changelog.gz"

# Libraries that the programs are linked with, by the distribution's own reckoning.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$name" "$name" > "$work/debian/control"
tree=$(realpath "$tree")
depends=$(cd "$work" && dpkg-shlibdeps -O "$tree"/usr/bin/* 2>/dev/null |
	sed -n 's/^shlibs:Depends=//p')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
	-e "s/@DEPENDS@/$depends/" -e "s/@MAINTAINER@/$maintainer/" \
	-e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$tree" | cut -f1)/" \
	deploy/debian/control > "$tree/DEBIAN/control"
echo /etc/ebpf-server/ebpf-server.conf > "$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
	install -m 0755 "deploy/debian/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find usr etc lib -type f -exec md5sum {} + > DEBIAN/md5sums)
dpkg-deb --root-owner-group --build "$tree" "$output"
