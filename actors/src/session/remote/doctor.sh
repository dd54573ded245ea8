# Looks whether everything is there that sessions need. Changes nothing but our own directory.

# BASE
main() {
  prepare
  say now "$(now)"
  say system "$(hex "$(uname -sr)")"
  if find_tmux; then say tmux "$(hex "$tmux_at ($(t -V 2>&1))")"; else say tmux; fi
  say home "$(hex "$home")" "$(ls -ld "$home" | cut -c1-10)"
  enter "$1" . || :
  if [ -d "$enter_base" ]; then say base yes "$(hex "$enter_base")"; else say base no "$(hex "$enter_base")"; fi
  AIVCS_MARK=doctor.$$ sleep 5 &
  doctor_pid=$!
  doctor_looks=0
  # The mark can be read a little after the process is there.
  while [ "$doctor_looks" -lt 10 ] && [ -z "$doctor_found" ]; do
    doctor_found=$(marked "AIVCS_MARK=doctor.$$" | grep -x "$doctor_pid")
    doctor_looks=$((doctor_looks + 1))
    nap 0.1
  done
  kill "$doctor_pid" 2>/dev/null
  say marks "${doctor_found:+yes}"
  say family "$(family "AIVCS_MARK=none" "$$" | grep -qx "$$" && say yes)"
  say birth "$(birth $$)"
  say boot "$(boot)"
  if sync "$home" 2>/dev/null; then say sync file; else say sync all; fi
  say free "$(df -Pk "$home" | awk 'NR == 2 { print $4 }')"
  doctor_strange=0
  for doctor_name in $(t list-sessions -F '#{session_name}' 2>/dev/null); do
    find_session "$doctor_name" || doctor_strange=$((doctor_strange + 1))
  done
  say strange "$doctor_strange"
  say end
}
