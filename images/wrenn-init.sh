#!/wrenn/bin/busybox sh
# PID 1 of every sandbox. It runs on the tools drive (/wrenn, read-only) with that drive's static
# busybox and uses nothing of the guest's own distribution, so any root filesystem boots unchanged.
#
# It mounts the kernel's filesystems, sets hostname, network and resolver, starts envd, reaps
# orphans (the shell's `wait` collects every child), starts envd again when it ends, and on a
# request to power off stops what runs, syncs and ends the machine.
#
# Kernel arguments it reads:
#   wrenn.ip=ADDRESS/PREFIX    address of eth0
#   wrenn.gateway=ADDRESS      default route, and the resolver named in /etc/resolv.conf
#
# Every process costs milliseconds under emulation, so what the shell can do itself it does. The
# applets named without a path are busybox's own: this busybox prefers them over programs in PATH.

RESTART_DELAY_FIRST_MS=100
RESTART_DELAY_MAX_MS=5000
# An envd that lived this long was healthy: the next restart starts from the first delay again.
HEALTHY_AFTER_SEC=10
STOP_WAIT_STEPS=30
STOP_WAIT_STEP_SEC=0.1

say() {
  echo "wrenn-init: $*"
}

mount_kernel_filesystems() {
  # Until /proc is there busybox cannot find itself: the first mount names its file.
  /wrenn/bin/busybox mount -a -T /wrenn/kernel.mounts || say 'a kernel filesystem did not mount'
  mkdir -p /dev/pts /dev/shm
  mount -a -T /wrenn/runtime.mounts || say 'a runtime filesystem did not mount'
  # What udev would make; shells need /dev/fd for process substitution.
  ln -sfn /proc/self/fd /dev/fd
  ln -sfn /proc/self/fd/0 /dev/stdin
  ln -sfn /proc/self/fd/1 /dev/stdout
  ln -sfn /proc/self/fd/2 /dev/stderr
  mkdir -p -m 0755 /run/wrenn /run/lock
}

read_kernel_arguments() {
  guest_address=
  gateway_address=
  read -r kernel_arguments < /proc/cmdline
  for argument in $kernel_arguments; do
    case $argument in
      wrenn.ip=*) guest_address=${argument#*=} ;;
      wrenn.gateway=*) gateway_address=${argument#*=} ;;
    esac
  done
}

set_hostname() {
  name=
  [ -r /etc/hostname ] && read -r name < /etc/hostname
  echo "${name:-wrenn}" > /proc/sys/kernel/hostname
}

set_network() {
  ip link set lo up
  if [ -z "$guest_address" ] || [ -z "$gateway_address" ]; then
    say 'no network: the kernel arguments wrenn.ip and wrenn.gateway are missing'
    return
  fi
  ip address add "$guest_address" dev eth0 &&
    ip link set eth0 up &&
    ip route add default via "$gateway_address" ||
    say "the network of eth0 could not be set to $guest_address"
}

# The file is replaced by a rename: when it is a symbolic link into a path that a service of the
# distribution would fill, the link goes and its target stays untouched.
set_resolver() {
  [ -n "$gateway_address" ] || return
  wanted="nameserver $gateway_address"
  if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
    read -r present < /etc/resolv.conf
    [ "$present" = "$wanted" ] && return
  fi
  mkdir -p /etc
  echo "$wanted" > /etc/.resolv.conf.wrenn &&
    mv -f /etc/.resolv.conf.wrenn /etc/resolv.conf ||
    say '/etc/resolv.conf could not be written'
}

uptime_sec() {
  read -r uptime _ < /proc/uptime
}

start_envd() {
  /wrenn/lib/ld-linux-x86-64.so.2 --library-path /wrenn/lib /wrenn/bin/node /wrenn/envd.js \
    < /dev/null &
  envd_pid=$!
  uptime_sec
  say "envd started (pid $envd_pid, $uptime s after boot)"
}

# Returns when envd has ended; meanwhile every orphan that ends is collected as well.
wait_for_envd() {
  wait "$envd_pid"
  envd_status=$?
}

supervise_envd() {
  delay_ms=$RESTART_DELAY_FIRST_MS
  while :; do
    start_envd
    started_at_sec=${uptime%.*}
    wait_for_envd
    uptime_sec
    if [ $((${uptime%.*} - started_at_sec)) -ge "$HEALTHY_AFTER_SEC" ]; then
      delay_ms=$RESTART_DELAY_FIRST_MS
    fi
    say "envd ended with status $envd_status, next start in $delay_ms ms"
    usleep $((delay_ms * 1000))
    delay_ms=$((delay_ms * 2))
    [ "$delay_ms" -gt "$RESTART_DELAY_MAX_MS" ] && delay_ms=$RESTART_DELAY_MAX_MS
  done
}

# The machine ends by a reset: the VMM is told to exit on one, and unlike a power-off it needs no
# ACPI, so every VMM understands it.
power_off() {
  trap '' TERM INT USR1 USR2 PWR
  say 'powering off'
  kill -TERM -1
  step=0
  while [ "$step" -lt "$STOP_WAIT_STEPS" ] && kill -0 "$envd_pid" 2> /dev/null; do
    step=$((step + 1))
    sleep "$STOP_WAIT_STEP_SEC"
  done
  kill -KILL -1
  sync
  mount -o remount,ro /
  reboot -f
}

main() {
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export HOME=/root USER=root LOGNAME=root SHELL=/bin/sh LANG=C.UTF-8
  unset TERM
  cd /
  umask 022
  ulimit -Hn 524288

  mount_kernel_filesystems
  read_kernel_arguments
  set_hostname
  set_network
  set_resolver
  trap power_off TERM INT USR1 USR2 PWR
  supervise_envd
}

main
