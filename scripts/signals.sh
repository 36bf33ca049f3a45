# For the scripts in sh, as command.py is for those in Python: a signal that ends the script ends
# what it has started with run(), and its code is 128 + N. The script defines interrupted(), which
# says so.
# shellcheck shell=sh

child=
starting= # signals wait until the child just made is known
caught=
exec 3>&1 # the output of a command that is ended may go elsewhere

# A shell starts what runs beside it without Ctrl-C, and tests send that to their programs.
undo='env --default-signal=INT,QUIT'
$undo true 2>/dev/null || undo=

# Runs a command to its end; returns its code. In a session of its own, so that one kill finds it
# and all that it starts. Not for what asks a terminal, such as sudo.
run() {
  starting=yes
  # shellcheck disable=SC2086 # a list of words
  setsid $undo "$@" 3>&- &
  child=$!
  starting=
  [ -z "$caught" ] || came "$caught"
  wait "$child"
  set -- $?
  child=
  return "$1"
}

# The session of the child may not be made yet.
signal_child() {
  kill -s "$1" -- "-$child" 2>/dev/null || kill -s "$1" "$child" 2>/dev/null
}

came() { # the number of the signal
  caught=$1
  [ -z "$starting" ] || return 0
  trap '' INT TERM HUP # a terminal's signal comes again with its end
  if [ -n "$child" ]; then
    signal_child TERM
    tries=0
    while signal_child 0 && [ $tries -lt 100 ]; do # ten seconds
      sleep 0.1
      tries=$((tries + 1))
    done
    signal_child KILL
  fi
  interrupted >&3
  exit $((128 + $1))
}
trap 'came 1' HUP
trap 'came 2' INT
trap 'came 15' TERM
