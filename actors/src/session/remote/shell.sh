# A person's shell in a session's pane.

# NAME PUBLIC ROLE BASE REPO
main() {
  rm -f "$0"
  find_session "$1" || exit 125
  if [ "$3" = runner ] && find_tmux; then t set-option -w -t "$pane" remain-on-exit off; fi
  if ! enter "$4" "$5"; then
    say "cannot enter the directory any more: $enter_why"
    exit 125
  fi
  AIVCS_SESSION_MARK=$session_mark AIVCS_SESSION=$2
  export AIVCS_SESSION_MARK AIVCS_SESSION
  unset TMUX_TMPDIR
  exec "${SHELL:-/bin/sh}" -l
}
