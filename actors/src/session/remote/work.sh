# One attempt, in its pane: runs the command, and writes down durably what became of it.
#
# Before it begins it takes the attempt: whoever has given it up meanwhile has left `begun` there. The end is
# said when nothing of it runs any more, and after its last byte.

# halt REASON: ends the command; the one who waits for it sees why.
halt() {
  put_as=$1
  put "$at/stop" "$1"
  sweep "AIVCS_MARK=$id" "$(cut -d' ' -f1 "$at/pid" 2>/dev/null)" "$grace"
}

# beat PID GROUPS: as long as PID is there, the attempt's output stays within bounds, and where it is
# tied, somebody follows it.
beat() {
  beat_seen= beat_unseen=0
  # What is short is over by then.
  nap 1
  while kill -0 "$1" 2>/dev/null; do
    written "$at"
    if [ $((wrote_out + wrote_err + wrote_report)) -gt "$output_limit" ]; then halt output-limit; fi
    if [ "$tied" -gt 0 ]; then
      beat_now=
      [ ! -f "$at/followed" ] || read -r beat_now <"$at/followed"
      if [ "$beat_now" = "$beat_seen" ]; then beat_unseen=$((beat_unseen + 1)); else beat_unseen=0; fi
      beat_seen=$beat_now
      if [ "$beat_unseen" -ge "$tied" ]; then grace=0 && halt abandoned; fi
    fi
    nap 1
  done
  # Killed from outside: nobody else ends what only shows something.
  end_groups $2
}

# bound: the command is ended when its time is over.
bound() {
  [ "$timeout" -gt 0 ] || return 0
  (sleep "$timeout" && halt timed-out) </dev/null >/dev/null 2>&1 &
  helpers="$helpers $!"
}

end_groups() {
  for group in "$@"; do kill -KILL "-$group" 2>/dev/null; done
}

# become ENV_COUNT [NAME=VALUE...] COMMAND...: the command, which finds nothing of ours but its marks.
become() {
  become_left=$1
  shift
  AIVCS_MARK=$id AIVCS_SESSION_MARK=$session_mark AIVCS_SESSION=$public AIVCS_TOKEN=$token
  export AIVCS_MARK AIVCS_SESSION_MARK AIVCS_SESSION AIVCS_TOKEN
  unset TMUX_TMPDIR
  if [ "$reports" = yes ]; then
    CRAB_REPORT=$at/report
    export CRAB_REPORT
  fi
  while [ "$become_left" -gt 0 ]; do
    become_left=$((become_left - 1))
    export "$1"
    shift
  done
  [ "$input" != terminal ] || set -- /bin/sh -c "$in_front" sh "$@"
  exec "$@"
}

# end_with_work: a runner's pane goes with what ran in it; others stay, to be looked at.
end_with_work() {
  if [ "$ends" = yes ] && find_tmux; then t set-option -w -t "$pane" remain-on-exit off; fi
  ends=
}

# finish OUTCOME CODE
finish() {
  end_with_work
  conclude "$id" "$1" "$2" "$at/out" "$at/err"
  # Who had its terminal has somewhere else to be, also where the session stays.
  [ "$input" != terminal ] || t detach-client -s "=$name" 2>/dev/null
  say "[aivcs-session: $1, $2]"
  exit "$2"
}

# NAME PUBLIC ID TOKEN ENDS GRACE TIMEOUT OUTPUT_LIMIT TIED INPUT REPORTS BASE REPO DIRECTORY ENV_COUNT [NAME=VALUE...] COMMAND...
main() {
  name=$1 public=$2 id=$3 token=$4 ends=$5 grace=$6 timeout=$7 output_limit=$8
  find_session "$1" || exit 125
  at=$session/a/$id
  put "$at/begun" "$(boot) $$ $(birth $$) $(now)" || exit 125
  : >>"$at/out"
  : >>"$at/err"
  tied=$9
  input=${10} reports=${11}
  shift 11
  base=$1
  shift
  if ! enter "$base" "$1"; then
    say "cannot enter the directory any more: $enter_why" >>"$at/err"
    finish unstarted 125
  fi
  shift
  if [ -n "$1" ] && ! cd -P -- "$1" 2>>"$at/err"; then finish unstarted 125; fi
  shift
  if [ "$input" = terminal ]; then run_on_terminal "$@"; else run "$@"; fi
  [ -f "$at/stop" ] || finish exited "$code"
  read -r why <"$at/stop"
  [ "$why" = timed-out ] && code=124
  finish "$why" "$code"
}

run() {
  trap '' INT QUIT
  hung_up=
  trap 'hung_up=yes' HUP
  # Each in a group of its own, so that it can be ended whole.
  set -m
  tail -n +1 -f "$at/out" 2>/dev/null &
  helpers=$!
  tail -n +1 -f "$at/err" 2>/dev/null &
  helpers="$helpers $!"
  run_input=/dev/null
  if [ "$input" = pipe ] && mkfifo "$at/in"; then
    run_input=$at/in
    # Held open, so that nobody who says something waits for a reader, and the command meets no end.
    exec 3<>"$run_input"
  fi
  (
    trap - HUP INT QUIT
    exec 3<&-
    become "$@"
  ) <"$run_input" >>"$at/out" 2>>"$at/err" &
  root=$!
  note "$at/pid" "$root $(birth "$root")"
  # It need not wait for this.
  end_with_work
  bound
  beat "$$" "$helpers" </dev/null >/dev/null 2>&1 &
  helpers="$helpers $!"
  # With it a shell that starts something else hands it the terminal, and ends where the terminal has gone.
  set +m
  while :; do
    wait "$root"
    code=$?
    [ -n "$hung_up" ] || break
    hung_up=
    trap '' HUP
    # The terminal is gone, and with it the session: nothing goes on without one.
    halt hung-up
  done
  trap '' HUP
  sweep "AIVCS_MARK=$id" "$root" 0
  end_groups $helpers
}
