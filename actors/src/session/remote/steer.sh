# Says a line to the command that runs in a session, on its standard input.

# NAME TEXT
main() {
  find_session "$1" || refuse no-session
  last
  look_state=none
  if [ "$last_n" -gt 0 ]; then look "$last_id" "$last_at"; fi
  [ "$look_state" = running ] || refuse idle
  steer_to=$session/a/$last_id/in
  [ -p "$steer_to" ] || refuse deaf
  # Who waits for the command holds it open, so that only what is never read fills it.
  printf '%s\n' "$2" >"$steer_to" &
  steer_pid=$!
  steer_looks=0
  while kill -0 "$steer_pid" 2>/dev/null; do
    [ "$steer_looks" -lt 20 ] || { kill -KILL "$steer_pid" 2>/dev/null; refuse full; }
    steer_looks=$((steer_looks + 1))
    nap 0.1
  done
  wait "$steer_pid" || refuse full
  say said "$last_id"
  say end
}
