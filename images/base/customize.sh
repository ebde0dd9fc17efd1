#!/bin/sh
# Last step of the base image, run on the host with the image's root folder as $1: a user beside
# root, and none of the host's own names.
set -eu
root=$1

chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash user

echo wrenn > "$root/etc/hostname"
chmod 0644 "$root/etc/hostname"
cat > "$root/etc/hosts" << 'HOSTS'
127.0.0.1 localhost
127.0.1.1 wrenn
::1 localhost ip6-localhost ip6-loopback
HOSTS
# wrenn-init.sh writes it at boot, with the gateway as resolver.
rm -f "$root/etc/resolv.conf"
# Empty means: this system has no identity yet.
: > "$root/etc/machine-id"

mkdir "$root/wrenn"
find "$root/var/log" -type f -delete
