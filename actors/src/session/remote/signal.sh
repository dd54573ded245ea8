# Signals something to the process group of the command that runs in a session.

# NAME ID SIGNAL
main() {
  find_session "$1" || refuse no-session
  look "$2" 0
  [ "$look_state" = running ] || refuse idle
  # It is about to be there.
  signal_looks=0
  until [ -f "$look_at/pid" ]; do
    signal_looks=$((signal_looks + 1))
    [ "$signal_looks" -lt 20 ] || refuse idle
    nap 0.1
  done
  read -r signal_pid signal_birth <"$look_at/pid"
  [ "$(birth "$signal_pid")" = "$signal_birth" ] && kill "-$3" "-$signal_pid" 2>/dev/null || refuse idle
  say signalled "$2"
  say end
}
