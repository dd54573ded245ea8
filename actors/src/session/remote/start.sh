# Starts an attempt in a session, which is made where it is not there: once, however often it is asked for.

# claim_attempt ID TOKEN: the next attempt of the session is ours, or already was.
claim_attempt() {
  while :; do
    # In this order: what was there before the look at the last one is the last one or an earlier one.
    claim_known=no
    [ -d "$session/a/$1" ] && claim_known=yes
    last
    [ "$last_id" = "$1" ] && return
    [ "$claim_known" = no ] || refuse superseded "$last_id"
    if [ "$last_n" -gt 0 ]; then
      [ "$2" -ge "$last_token" ] || refuse fenced "$last_token"
      look "$last_id" "$last_at"
      case $look_state in
      ended) ;;
      lost) bury "$last_id" ;;
      *) refuse busy "$last_id" ;;
      esac
    fi
    forget_attempts
    # Two who have seen the same last one: one of them makes this link, the other looks again.
    put "$session/n/$((last_n + 1))" "$1 $2 $(now)" && last && return
  done
}

# Of old attempts so many are kept; what they wrote goes with the others.
forget_attempts() {
  for forget_file in "$session"/n/*; do
    case ${forget_file##*/} in *[!0-9]*) continue ;; esac
    [ "${forget_file##*/}" -le $((last_n - kept_attempts)) ] || continue
    read -r forget_id _ <"$forget_file" && rm -rf "$session/a/$forget_id"
    rm -f "$forget_file"
  done
}

launch() {
  launch_said=$(t new-session -d -s "$1" -n work -x 200 -y 50 /bin/sh "$2" 2>&1 </dev/null) && return
  # It is there already.
  t new-window -d -t "=$1:" -n work /bin/sh "$2" 2>/dev/null && return
  conclude "$last_id" unstarted 125
  refuse tmux "$(hex "$launch_said")"
}

# SETUP_LIMIT NAME IDENTITY MARK ID TOKEN KEPT_ATTEMPTS BASE REPO SCRIPT
main() {
  setup_usual=$setup_limit setup_limit=$1
  shift
  kept_attempts=$6
  prepare
  find_tmux || refuse no-tmux
  enter "$7" "$8" || refuse "$enter_why" "$(hex "$enter_dir")"
  claim_session "$1" "$2" "$3"
  claim_attempt "$4" "$5"
  start_at=$session/a/$4
  mkdir -p "$start_at"
  [ "$setup_limit" = "$setup_usual" ] || note "$start_at/limit" "$setup_limit"
  # Of identical calls one launches.
  if mkdir "$start_at/launched" 2>/dev/null; then
    say "$9" >"$start_at/run"
    launch "$1" "$start_at/run"
  fi
  start_looks=0
  while [ "$start_looks" -lt $((setup_limit * 10)) ]; do
    [ -f "$start_at/exit" ] && break
    # What is short has ended by the time that its start is told.
    [ -f "$start_at/begun" ] && [ "$start_looks" -ge 15 ] && break
    start_looks=$((start_looks + 1))
    blink "$start_looks"
  done
  say now "$(now)"
  report "$4" "$last_n" "$last_token" "$last_at"
  say end
}
