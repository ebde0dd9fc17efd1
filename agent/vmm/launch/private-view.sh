#!/bin/sh
# Second step of a VMM's launch, in a mount namespace of its own: leaves in view
# only what the VMM needs, and goes on as the command, in the same process.
#
#   private-view.sh STEP... -- COMMAND [ARGUMENT...]
#
# The steps put new views together, one after another:
#
#   begin                               starts an empty view
#   device PATH MODE MAJOR MINOR UID    adds a device
#   show rw|ro FOLDER PATH              adds a folder of the host
#   cover FOLDER                        puts the view, read-only, over a folder, if there is one
#
# PATHs start at the view's top. At last everything that is not a `show rw`
# becomes read-only, and other users' processes go out of sight.
#
# A view is read-only as a mount, not as a file system: show-folder (native/host) adds to it later,
# through another mount of it.
#
# mount -n: nobody keeps a table of these mounts.
set -eu
umask 022

# Where a view is put together, while the old one is still in sight.
stage=/sys

while [ "$1" != -- ]; do
	case $1 in
	begin)
		mount -n -t tmpfs -o mode=755,size=64k,nosuid,noexec tmpfs "$stage"
		shift
		;;
	device)
		mkdir -p "$(dirname "$stage/$2")"
		mknod -m "$3" "$stage/$2" c "$4" "$5"
		chown "$6" "$stage/$2"
		shift 6
		;;
	show)
		mkdir -p "$stage/$4"
		mount -n --bind "$3" "$stage/$4"
		mount -n -o "remount,bind,$2,nosuid,nodev,noexec" "$stage/$4"
		shift 4
		;;
	cover)
		mount -n -o remount,bind,ro,nosuid,noexec "$stage"
		if [ -d "$2" ]; then mount -n --move "$stage" "$2"; else umount -n -R "$stage"; fi
		shift 2
		;;
	*)
		echo "private-view: unknown step $1" >&2
		exit 64
		;;
	esac
done
shift

mount -n -o remount,bind,ro /

# Kernels before 5.8 refuse this as a whole; there the view of processes stays.
mount -n -t proc -o hidepid=invisible,subset=pid proc /proc 2>/dev/null || :

umask 077
exec "$@"
