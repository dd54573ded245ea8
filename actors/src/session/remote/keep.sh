# What an attempt has left where it ran: tells what is there, and gives files, each of them whole.
#
# No link is followed, neither at its end nor on the way. What has changed while it was given is said to have changed.

newline='
'

# there MARK BASE REPO DIRECTORY: goes to where it ran, when nothing of it runs any more.
there() {
  if [ "$1" != - ]; then sweep "AIVCS_MARK=$1" "" 0 || refuse unkillable; fi
  enter "$2" "$3" || refuse "$enter_why" "$(hex "$enter_dir")"
  [ -z "$4" ] || cd -P -- "$4" 2>/dev/null || refuse no-directory "$(hex "$4")"
}

# straight PATH: whether no link is on the way to it.
straight() {
  straight_rest=$1 straight_at=.
  while :; do
    case $straight_rest in */*) ;; *) return 0 ;; esac
    straight_at=$straight_at/${straight_rest%%/*}
    straight_rest=${straight_rest#*/}
    [ ! -L "$straight_at" ] || return 1
  done
}

# find_all ROOT...: of everything there but directories, except a root itself, its mode, size and name; how the look at each
# root went. A name with a newline is only said to be there.
find_all() {
  # Linux, and macOS.
  if stat -c %f . >/dev/null 2>&1; then find_with=-c find_as='%f %s %n'; else find_with=-f find_as='%p %z %N'; fi
  say mode "$find_with"
  for find_root in "$@"; do
    find_at=./$find_root
    [ "$find_root" != . ] || find_at=.
    [ -e "$find_at" ] || [ -L "$find_at" ] || continue
    straight "$find_root" || continue
    if [ "$find_at" != . ] && [ ! -L "$find_at" ] && [ -d "$find_at" ]; then
      stat "$find_with" "$find_as" "$find_at" 2>/dev/null
    fi
    find "$find_at" -path "*$newline*" -prune -exec echo unnamed \; -o \
      ! -type d -exec stat "$find_with" "$find_as" {} + 2>/dev/null
    say looked "$?"
  done
}

# LINES SECONDS ROOT...: no more lines than these, and no longer than that, nor when nobody waits any more.
find_them() {
  find_lines=$1 find_limit=$(($2 * 10))
  shift 2
  LC_ALL=C
  export LC_ALL
  (find_all "$@" | head -n "$find_lines") 3<&- &
  find_pid=$!
  cat <&3 >/dev/null 2>&1 &
  find_reader=$!
  find_looks=0
  while kill -0 "$find_pid" 2>/dev/null; do
    if [ "$find_looks" -ge "$find_limit" ] || ! kill -0 "$find_reader" 2>/dev/null; then
      sweep "AIVCS_MARK=$$.none" "$find_pid" 0
      # What it was just writing stays half a line.
      say
      say late
      break
    fi
    find_looks=$((find_looks + 1))
    blink "$find_looks"
  done
  kill "$find_reader" 2>/dev/null
}

# give NUMBER SIZE PATH: so many bytes of it, and whether that was all; or why not.
give() {
  give_at=./$3
  if ! straight "$3" || [ -L "$give_at" ] || { [ -e "$give_at" ] && [ ! -f "$give_at" ]; }; then
    say "special-$1" 0
    return
  fi
  if [ ! -e "$give_at" ]; then say "gone-$1" 0; return; fi
  if [ ! -r "$give_at" ]; then say "unreadable-$1" 0; return; fi
  give_read=0
  if [ "$2" -gt 0 ]; then
    say "file-$1" "$2"
    # Zeros stand for what is missing: as many bytes come as were said, and then that they are not right.
    give_read=$({
      { cat "$give_at"; say "$?" >&4; exec 4>&-; cat /dev/zero; } 2>/dev/null | head -c "$2" >&5 4>&-
    } 4>&1)
  fi
  if [ "$(($(wc -c <"$give_at")))" -ne "$2" ]; then
    say "changed-$1" 0
  elif [ "$give_read" != 0 ]; then
    say "unreadable-$1" 0
  else
    say "whole-$1" 0
  fi
}

# NUMBER SIZE PATH ...
give_them() {
  exec 5>&1
  while [ $# -gt 0 ]; do
    give "$1" "$2" "$3"
    shift 3
  done
}

# MARK BASE REPO DIRECTORY ACTION ...
main() {
  keep_do=$5
  there "$1" "$2" "$3" "$4"
  shift 5
  case $keep_do in
  find) find_them "$@" ;;
  give) give_them "$@" ;;
  esac
  say end
}
