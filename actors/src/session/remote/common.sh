# What every script for the other machine begins with. Plain POSIX sh: dash, bash and the sh of macOS read it.
#
# Nothing that a caller gave is ever part of this text: it comes as quoted words behind it. What a script says
# are lines of plain words; what may have any bytes is said in hexadecimal. The last line is `end`.
umask 077
pane=$TMUX_PANE
# A session made from within another one is not a part of that one.
unset TMUX TMUX_PANE AIVCS_MARK AIVCS_SESSION_MARK ENV BASH_ENV CDPATH
IFS=' 	
'
PATH=$PATH:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH
home=$HOME/.aivcs-session
TMUX_TMPDIR=$home
export TMUX_TMPDIR
# Seconds after which an attempt that was claimed and has not begun never begins, unless it says otherwise.
setup_limit=30
put_as=0

say() { printf '%s\n' "$*"; }
# A part of a script that does not wait for an answer says otherwise.
refused_as=0
refuse() { say refused "$@"; say end; exit "$refused_as"; }
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
now() { date +%s; }
nap() { sleep "$1" 2>/dev/null || sleep 1; }
# blink LOOKS: between two looks, of which the first come soon after each other: what is short is over by then.
blink() { if [ "$1" -lt 20 ]; then nap 0.02; else nap 0.1; fi; }
on_disk() { sync "$@" 2>/dev/null || sync; }

# put FILE TEXT [OTHER...]: whole or not at all, on disk when it returns, no sooner than the other files are; false where it
# is there already.
put() {
  put_at=$1 put_new=$1.$$.$put_as.new
  printf '%s\n' "$2" >"$put_new"
  put_done=$?
  shift 2
  [ "$put_done" -eq 0 ] && on_disk "$put_new" "$@" && ln "$put_new" "$put_at" 2>/dev/null
  put_done=$?
  rm -f "$put_new"
  on_disk "${put_at%/*}"
  return "$put_done"
}

# note FILE TEXT: whole or not at all. After a start of the machine nobody asks for it.
note() { printf '%s\n' "$2" >"$1.$$.new" && mv -f "$1.$$.new" "$1"; }

# Our directory, which nobody else may enter, and the options of our tmux server, whatever the user's own are.
prepare() {
  [ -e "$home/tmux-1.conf" ] && [ ! -L "$home" ] && return
  case $HOME in /*) ;; *) refuse no-home ;; esac
  mkdir -p "$home/s" 2>/dev/null && [ ! -L "$home" ] && chmod 700 "$home" 2>/dev/null ||
    refuse no-state "$(hex "$home")"
  put "$home/tmux-1.conf" 'set -g remain-on-exit on
set -g history-limit 20000
set -g status-left-length 120
set -g status-right ""
set -g set-titles off
set -s escape-time 10
set -g destroy-unattached off
set -g default-terminal screen-256color'
}

find_tmux() {
  tmux_at=
  for tmux_try in /opt/homebrew/bin/tmux /usr/local/bin/tmux "$(command -v tmux)" /usr/bin/tmux; do
    case $tmux_try in /*) [ -x "$tmux_try" ] && tmux_at=$tmux_try && break ;; esac
  done
  [ -n "$tmux_at" ]
}
t() { "$tmux_at" -L aivcs -f "$home/tmux-1.conf" "$@"; }

boot() {
  boot_id=
  [ -r /proc/sys/kernel/random/boot_id ] && read -r boot_id </proc/sys/kernel/random/boot_id && say "$boot_id" ||
    sysctl -n kern.bootsessionuuid 2>/dev/null || say none
}

# birth PID: when it was started, as one word; a number is used again, a number and a birth are not.
birth() {
  if [ -r /proc/self/stat ]; then
    [ -r "/proc/${1:-none}/stat" ] || return
    birth_line=
    # Its name may have any bytes.
    while read -r birth_more; do birth_line=$birth_more; done 2>/dev/null <"/proc/$1/stat"
    set -- ${birth_line##*) }
    say "${20}"
  else
    LC_ALL=C ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _
  fi
}

# enter BASE REPO: goes there; false where there is nothing, or where a link leads out of BASE.
enter() {
  case $1 in
    '~') enter_base=$HOME ;;
    '~/'*) enter_base=$HOME/${1#'~/'} ;;
    /*) enter_base=$1 ;;
    *) enter_base=$HOME/$1 ;;
  esac
  enter_dir=$enter_base/$2
  enter_why=no-directory
  [ -d "$enter_dir" ] || return 1
  enter_real=$(cd -P -- "$enter_base" 2>/dev/null && pwd -P && say .) || return 1
  enter_real=${enter_real%?.}
  cd -P -- "$enter_dir" 2>/dev/null || return 1
  enter_here=$(pwd -P && say .)
  enter_here=${enter_here%?.}
  enter_why=outside
  case $enter_here in "${enter_real%/}"/?*) ;; *) return 1 ;; esac
  enter_why=
}

# marked MARK [PREFIX]: the processes that have it in their environment.
marked() {
  if [ -r /proc/self/environ ]; then
    grep -lsF "$1" /proc/[0-9]*/environ | while IFS=/ read -r _ _ marked_pid _; do say "$2$marked_pid"; done
  else
    # The mark comes on standard input: else it would be found in what looks for it.
    { say "$1"; ps -axEww -o pid=,command=; } |
      awk -v prefix="$2" 'NR == 1 { mark = $0; next } index($0, mark) { print prefix $1 }'
  fi
}

# family MARK ROOTS: every living process that is marked, is one of the roots, is in a group of theirs, or is
# below one that is.
family() {
  family_marked=$(marked "$1" 'm ')
  # All others are found by these: where there is none there is no family, which costs less to see.
  [ -n "$family_marked" ] || living $2 || return 0
  { say "$family_marked"; ps -A -o pid= -o ppid= -o pgid= -o stat=; } | awk -v roots=" $2 " '
    $1 == "m" { own[$2] = 1; next }
    { pids[++count] = $1; parent[$1] = $2; dead[$1] = $4 ~ /^Z/
      if (index(roots, " " $1 " ") || index(roots, " " $3 " ")) own[$1] = 1 }
    END {
      do {
        more = 0
        for (i = 1; i <= count; i++)
          if (!own[pids[i]] && own[parent[pids[i]]]) { own[pids[i]] = 1; more = 1 }
      } while (more)
      for (i = 1; i <= count; i++) if (own[pids[i]] && !dead[pids[i]]) print pids[i]
    }'
}

# living PID...: whether there is one of these, or of a group of theirs.
living() {
  for living_pid in "$@"; do
    kill -0 "$living_pid" 2>/dev/null || kill -0 "-$living_pid" 2>/dev/null || continue
    return 0
  done
  return 1
}

# sweep MARK ROOTS GRACE: ends a family, after GRACE looks a tenth of a second apart by force. It is over when two
# looks in a row have found nothing; false where something cannot be killed.
sweep() {
  sweep_looks=0
  sweep_clean=0
  while [ "$sweep_clean" -lt 2 ]; do
    sweep_left=$(family "$1" "$2")
    if [ -z "$sweep_left" ]; then
      sweep_clean=$((sweep_clean + 1))
      continue
    fi
    sweep_clean=0
    if [ "$sweep_looks" -ge "$3" ]; then
      kill -KILL $sweep_left 2>/dev/null
    elif [ "$sweep_looks" -eq 0 ]; then
      kill -TERM $sweep_left 2>/dev/null
      kill -CONT $sweep_left 2>/dev/null
    fi
    sweep_looks=$((sweep_looks + 1))
    [ "$sweep_looks" -lt $(($3 + 100)) ] || return 1
    nap 0.1
  done
}

# find_session NAME: false where there are no files of it.
find_session() {
  session=$home/s/$1
  session_id= session_mark= session_made=
  [ -f "$session/identity" ] && read -r session_id session_mark session_made <"$session/identity"
}

# claim_session NAME IDENTITY MARK: it is ours from now on, or already is; somebody else's is refused.
claim_session() {
  mkdir -p "$home/s/$1/n" "$home/s/$1/a" 2>/dev/null || refuse no-state "$(hex "$home/s/$1")"
  [ -e "$home/s/$1/identity" ] || put "$home/s/$1/identity" "$2 $3 $(now)"
  find_session "$1" || refuse again
  [ "$session_id" = "$2" ] || refuse collision "$session_id"
}

# highest DIRECTORY: the largest number that is the name of a file there; 0 for none.
highest() {
  highest_n=0
  for highest_file in "$1"/*; do
    case ${highest_file##*/} in *[!0-9]*) continue ;; esac
    [ "${highest_file##*/}" -le "$highest_n" ] || highest_n=${highest_file##*/}
  done
}

# last: the latest attempt of the session found: its number (0 for none), id, token and when it was claimed.
last() {
  last_id= last_token=0 last_at=0
  highest "$session/n"
  last_n=$highest_n
  [ "$last_n" -eq 0 ] || read -r last_id last_token last_at <"$session/n/$last_n"
}

# has_ended ID: whether the end of the attempt that is looked at is written down.
has_ended() {
  [ -f "$look_at/exit" ] || return 1
  read -r look_id look_outcome look_code look_end <"$look_at/exit"
  # What an earlier attempt has left is never taken for the end of this one.
  [ "$look_id" = "$1" ] && look_state=ended && return
  look_outcome=- look_code=- look_end=-
  return 1
}

# look ID CLAIMED: what has become of an attempt.
look() {
  look_at=$session/a/$1
  look_state=starting look_outcome=- look_code=- look_end=- look_begun=-
  look_boot= look_pid= look_birth=
  [ -f "$look_at/begun" ] && read -r look_boot look_pid look_birth look_begun <"$look_at/begun"
  [ -n "$look_begun" ] || look_begun=-
  has_ended "$1" && return
  if [ -n "$look_boot" ]; then
    look_state=lost
    [ "$look_boot" = "$(boot)" ] && [ "$(birth "$look_pid")" = "$look_birth" ] && look_state=running
  else
    look_limit=$setup_limit
    [ -f "$look_at/limit" ] && read -r look_limit <"$look_at/limit"
    [ $(($(now) - $2)) -le "$look_limit" ] || look_state=lost
  fi
  # What does not run any more may have ended between the two looks.
  [ "$look_state" != lost ] || has_ended "$1" || :
}

# conclude ID OUTCOME CODE [OTHER...]: how an attempt ended; other files are on disk by then. Whoever says it first is believed.
conclude() {
  conclude_at=$session/a/$1/exit conclude_as="$1 $2 $3 $(now)"
  shift 3
  put "$conclude_at" "$conclude_as" "$@"
}

# bury ID: an attempt that was looked at and is lost: nothing of it runs on, and it never begins.
bury() {
  put "$session/a/$1/begun" "void 0 0 0"
  bury_root=
  if [ -f "$session/a/$1/pid" ]; then
    read -r bury_pid bury_birth <"$session/a/$1/pid"
    [ "$(birth "$bury_pid")" = "$bury_birth" ] && bury_root=$bury_pid
  fi
  sweep "AIVCS_MARK=$1" "$bury_root" 0
  conclude "$1" lost 125
}

# written DIRECTORY: how many bytes an attempt has written to each of its streams: `wrote_out`, `wrote_err`, `wrote_report`; 0
# where there are none, also where they have just gone.
written() {
  wrote_out=0 wrote_err=0 wrote_report=0
  set -- $(cd "$1" 2>/dev/null && wc -c out err report 2>/dev/null)
  while [ $# -gt 1 ]; do
    case $2 in out) wrote_out=$1 ;; err) wrote_err=$1 ;; report) wrote_report=$1 ;; esac
    shift 2
  done
}

# report ID NUMBER TOKEN CLAIMED
report() {
  look "$1" "$4"
  written "$look_at"
  say attempt "$1" "$2" "$3" "$look_state" "$look_begun" "$look_end" "$look_outcome" "$look_code" \
    "$wrote_out" "$wrote_err" "$wrote_report"
}
