# Tells of all sessions that are ours, and of what ran last in each.

# list_one NAME: what its files and tmux's lists say.
list_one() {
  find_session "$1" || return
  list_live=
  # Name, made, attached, last used, panes, dead panes, status of the last that died.
  list_live=$(say "$list_tmux" | awk -v name="$1" '$1 == name { print $2, $3, $4 }')
  list_panes=$(say "$list_all_panes" | awk -v name="$1" '
    $1 == name { panes++; if ($2 == 1) { dead++; status = $3 } }
    END { print panes + 0, dead + 0, (status == "" ? "-" : status) }')
  say session "$1" "$session_id" "$session_made" ${list_live:-- - -} $list_panes
  last
  [ "$last_n" -gt 0 ] && report "$last_id" "$last_n" "$last_token" "$last_at"
}

all_panes() { t list-panes -a -F '#{session_name} #{pane_dead} #{pane_dead_status}' 2>/dev/null; }

# NAME..., or none for all
main() {
  prepare
  say now "$(now)"
  list_tmux= list_all_panes=
  if find_tmux; then
    say tmux "$tmux_at"
    # No server is no session.
    list_tmux=$(t list-sessions -F '#{session_name} #{session_created} #{session_attached} #{session_activity}' 2>/dev/null)
    list_all_panes=$(all_panes)
    # tmux may not have asked yet how what ran in a pane has ended: it does so whenever a child of its own ends.
    if say "$list_all_panes" | grep -q ' 1 $' && t run-shell true >/dev/null 2>&1; then list_all_panes=$(all_panes); fi
  fi
  [ $# -gt 0 ] || set -- "$home"/s/*
  for list_session in "$@"; do list_one "${list_session##*/}"; done
  say end
}
