# Ends a session with every process of it: those below its panes, and those that carry its marks wherever they
# have gone. What it wrote stays, unless that is to go as well.

# The living processes of its panes, without the one of ours that waits for an attempt: it must say how that ended, or has said it.
panes() {
  t list-panes -s -t "=$1" -F '#{pane_dead} #{pane_pid}' 2>/dev/null | while read -r panes_dead panes_pid; do
    [ "$panes_dead" = 1 ] || [ "$panes_pid" = "$2" ] || say "$panes_pid"
  done | tr '\n' ' '
}

# unused NAME SEEN: whether nobody has used it since it was looked at, and nothing runs in it.
unused() {
  case $look_state in running | starting) return 1 ;; esac
  unused_now=$(t list-sessions -F '#{session_name} #{session_activity} #{session_attached}' 2>/dev/null |
    awk -v name="$1" '$1 == name { print ($3 > 0 ? "attached" : $2) }')
  [ "${unused_now:-0}" = "$2" ]
}

# NAME GRACE GOES SEEN: with SEEN, when it was seen to have been used last (0: not in tmux), only if that is still so.
main() {
  prepare
  find_session "$1" || refuse no-session
  find_tmux || tmux_at=false
  last
  look_state=none look_pid=
  if [ "$last_n" -gt 0 ]; then look "$last_id" "$last_at"; fi
  if [ "$4" != - ]; then unused "$1" "$4" || refuse used; fi
  case $look_state in
  running) put "$session/a/$last_id/stop" killed ;;
  # Who has not begun never does.
  starting | lost) mkdir -p "$session/a/$last_id" && put "$session/a/$last_id/begun" "void 0 0 0" ;;
  # It has said how it ended, and goes with its pane.
  ended) ;;
  *) look_pid= ;;
  esac
  end_roots=$(panes "$1" "$look_pid")
  # A shell at its prompt hears only this.
  for end_pane in $end_roots; do kill -HUP "$end_pane" 2>/dev/null; done
  if [ "$look_state" = running ] && [ -f "$session/a/$last_id/pid" ]; then
    end_roots="$end_roots $(cut -d' ' -f1 "$session/a/$last_id/pid")"
  fi
  end_swept=0
  # Where it has ended by itself all that it had started has gone before that was told, and this looks once for what others have left.
  if [ "$look_state" != ended ] || [ -n "${end_roots# }$(marked "AIVCS_SESSION_MARK=$session_mark")" ]; then
    sweep "AIVCS_SESSION_MARK=$session_mark" "$end_roots" "$2"
    end_swept=$?
  fi
  end_looks=0
  while [ "$look_state" = running ] && [ ! -f "$session/a/$last_id/exit" ] && [ "$end_looks" -lt 50 ]; do
    end_looks=$((end_looks + 1))
    nap 0.1
  done
  t kill-session -t "=$1" 2>/dev/null
  case $look_state in running | starting | lost)
    sweep "AIVCS_SESSION_MARK=$session_mark" "" 0 || end_swept=1
    conclude "$last_id" killed 137
    ;;
  esac
  [ "$end_swept" -eq 0 ] || refuse unkillable
  say ended "$look_state"
  if [ "$3" = yes ]; then
    mv "$session" "$home/gone.$$" 2>/dev/null
    rm -rf "$home"/gone.*
  fi
  say end
}
