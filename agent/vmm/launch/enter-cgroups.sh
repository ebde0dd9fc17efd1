#!/bin/sh
# First step of a VMM's launch: enters the given cgroups and goes on as the
# command, in the same process.
#
#   enter-cgroups.sh CGROUP... -- COMMAND [ARGUMENT...]
#
# File descriptor 3 is the pipe for messages. It becomes standard error here
# and not in the agent, which would make it blocking on the way.
set -eu
exec 2>&3 3>&-

while [ "$1" != -- ]; do
	echo 0 >"$1/cgroup.procs"
	shift
done
shift

exec "$@"
