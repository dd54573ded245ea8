# Makes a session with a shell in it, where it is not there.

# NAME IDENTITY MARK BASE REPO SCRIPT_NAME SCRIPT
main() {
  prepare
  find_tmux || refuse no-tmux
  enter "$4" "$5" || refuse "$enter_why" "$(hex "$enter_dir")"
  claim_session "$1" "$2" "$3"
  made=no
  if t has-session -t "=$1" 2>/dev/null; then
    # What has ended in it stays to be looked at, beside a new shell.
    if ! t list-panes -s -t "=$1" -F '#{pane_dead}' 2>/dev/null | grep -q 0; then
      put "$session/$6" "$7"
      t new-window -t "=$1:" -n shell /bin/sh "$session/$6" 2>/dev/null
    fi
  else
    put "$session/$6" "$7"
    if ensure_said=$(t new-session -d -s "$1" -n shell -x 200 -y 50 /bin/sh "$session/$6" 2>&1 </dev/null); then
      made=yes
    else
      # Of identical calls one makes it.
      t has-session -t "=$1" 2>/dev/null || refuse tmux "$(hex "$ensure_said")"
      rm -f "$session/$6"
    fi
  fi
  say made "$made"
  say tmux "$tmux_at"
  say end
}
