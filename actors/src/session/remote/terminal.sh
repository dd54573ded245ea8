# A command that has the pane's terminal, for the person in front of it.

# Waits until its process group is the one in front: what is there sooner is stopped when it reads.
in_front='until [ "$(ps -o tpgid= -p $$)" -eq $$ ]; do sleep 0.05 2>/dev/null || sleep 1; done; exec "$@"'

# awaited NAME: whether somebody has come to look at the session; what is over before that would have been seen by nobody.
awaited() {
  awaited_looks=0
  until [ -n "$(t list-clients -t "=$1" 2>/dev/null)" ]; do
    awaited_looks=$((awaited_looks + 1))
    [ "$awaited_looks" -lt $((setup_limit * 10)) ] || return 1
    nap 0.1
  done
}

# watch PID: ends the command where the terminal has gone, and says so where the one who waits for it cannot: without a
# terminal some shells end in the middle of that.
watch() {
  while kill -0 "$1" 2>/dev/null && (: </dev/tty) 2>/dev/null; do nap 1; done
  halt hung-up
  nap 1
  conclude "$id" hung-up 129
}

# shown: what the pane shows at the end, with what has gone off its top, as the command's output.
shown() {
  t capture-pane -p -J -S - -t "$pane" 2>/dev/null | awk '
    /[^ ]/ { while (empty > 0) { print ""; empty-- } print; next } { empty++ }' >>"$at/out"
}

# run_on_terminal ENV_COUNT [NAME=VALUE...] COMMAND...
run_on_terminal() {
  find_tmux || finish unstarted 125
  t set-option -w -t "$pane" remain-on-exit off
  t select-window -t "$pane"
  awaited "$name" || finish unstarted 125
  helpers=
  trap '' INT QUIT HUP
  set -m
  (
    trap - HUP INT QUIT
    # Nobody could wake it: a session is left by detaching from it.
    trap '' TSTP
    become "$@"
  ) </dev/tty >/dev/tty 2>&1 &
  root=$!
  note "$at/pid" "$root $(birth "$root")"
  bound
  beat "$$" "" </dev/null >/dev/null 2>&1 &
  helpers="$helpers $!"
  watch "$$" >/dev/null 2>&1 &
  helpers="$helpers $!"
  # It is in front from now on, and hears what is typed. By our standard error bash finds the terminal.
  fg %1 >/dev/null
  code=$?
  set +m
  # Who has ended with the terminal has ended because of it.
  (: </dev/tty) 2>/dev/null || put "$at/stop" hung-up
  sweep "AIVCS_MARK=$id" "$root" 0
  end_groups $helpers
  shown
}
