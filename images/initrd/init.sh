#!/bin/busybox sh
# First program in every sandbox, alone in the initial RAM disk with a static busybox: loads the
# drivers, finds the two drives by their serials (their order is the VMM's own business), mounts
# them and hands over to wrenn-init.sh. When something is missing it says so in one line on the
# console and ends the machine.

DRIVE_WAIT_STEPS=250
DRIVE_WAIT_STEP_US=20000

fail() {
  echo "wrenn-initrd: $*"
  # A reset ends the VMM, with or without ACPI.
  /bin/busybox reboot -f
}

load_drivers() {
  while read -r module; do
    insmod "/modules/$module" || fail "the driver $module did not load"
  done < /modules/order
}

# Sets root_drive and tools_drive to the device nodes that exist so far.
find_drives() {
  root_drive=
  tools_drive=
  for block in /sys/block/vd*; do
    serial=
    [ -r "$block/serial" ] && read -r serial < "$block/serial"
    case $serial in
      rootfs) root_drive=/dev/${block##*/} ;;
      tools) tools_drive=/dev/${block##*/} ;;
    esac
  done
  [ -b "$root_drive" ] && [ -b "$tools_drive" ]
}

wait_for_drives() {
  step=0
  until find_drives; do
    [ "$step" -lt "$DRIVE_WAIT_STEPS" ] || break
    step=$((step + 1))
    usleep "$DRIVE_WAIT_STEP_US"
  done
  [ -n "$root_drive" ] || fail 'no drive with the serial "rootfs" appeared'
  [ -n "$tools_drive" ] || fail 'no drive with the serial "tools" appeared'
}

mount_drives() {
  mount -t ext4 -o noatime "$root_drive" /newroot || fail 'the root drive did not mount'
  mkdir -p /newroot/wrenn /newroot/proc /newroot/sys /newroot/dev /newroot/run
  mount -t squashfs -o ro "$tools_drive" /newroot/wrenn || fail 'the tools drive did not mount'
  [ -x /newroot/wrenn/wrenn-init.sh ] || fail 'the tools drive holds no wrenn-init.sh'
}

# Until /proc is there busybox cannot find itself: these two name its file.
/bin/busybox mount -a -T /kernel.mounts || fail 'a kernel filesystem did not mount'
load_drivers
wait_for_drives
mount_drives
umount /dev /sys /proc
exec /bin/busybox switch_root /newroot /wrenn/wrenn-init.sh
