# A task's own worktree of a repository: made, looked through, measured, removed.
#
# git is called without what the user's environment says to it, without hooks, housekeeping or questions. Whoever adds
# or removes a worktree holds a lock on the repository; whoever makes or removes this one, a lock on it. What is made is
# stopped and undone as soon as nobody waits for it any more.

# Looks, a tenth of a second apart, from asking what makes one to end until it is ended by force: git removes its lock files.
stop_looks=5

g() {
  git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c maintenance.auto=false \
    -c advice.detachedHead=false "$@"
}

prepare_git() {
  command -v git >/dev/null || refuse no-git
  for git_own in $(env | sed -n 's/^\(GIT_[A-Z0-9_]*\)=.*/\1/p'); do unset "$git_own"; done
  LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_ASKPASS=/bin/false SSH_ASKPASS=/bin/false GIT_PAGER=cat
  export LC_ALL GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS GIT_ASKPASS SSH_ASKPASS GIT_PAGER
}

# into BASE REPO: goes there; a repository further out is none of ours.
into() {
  enter "$1" "$2" || return 1
  GIT_CEILING_DIRECTORIES=${enter_here%/*}
  export GIT_CEILING_DIRECTORIES
}

# told TEXT: the end of what git said.
told() { hex "$(say "$1" | tail -n 4 | cut -c 1-200)"; }

# holder NAME: sets `hold_pid` to the process that holds it. Who holds it has the highest number; one that has let go, or
# whose process is gone, holds nothing, and neither does a part of this one: parts are over before others begin.
holder() {
  hold_at=$home/l/$1
  highest "$hold_at"
  hold_boot= hold_pid= hold_birth=
  [ -f "$hold_at/$highest_n" ] && read -r hold_boot hold_pid hold_birth <"$hold_at/$highest_n"
  if [ -e "$hold_at/$highest_n.free" ] || [ "$hold_pid" = $$ ] || [ "$hold_boot" != "$(boot)" ] ||
    [ "$(birth "$hold_pid")" != "$hold_birth" ]; then hold_pid=; fi
}

# hold NAME: waits until nobody else does, and sets `held`; false where that takes too long. Each number is made once.
hold() {
  hold_looks=0
  while :; do
    mkdir -p "$home/l/$1"
    holder "$1"
    if [ -z "$hold_pid" ]; then
      hold_mine=$((highest_n + 1))
      if put "$hold_at/$hold_mine" "$(boot) $$ $(birth $$)"; then
        highest "$hold_at"
        if [ "$highest_n" -eq "$hold_mine" ]; then
          held=$hold_at/$hold_mine
          forget_lower "$hold_at" "$hold_mine"
          return 0
        fi
        # Others were faster than the look: their number is the one that counts.
        rm -f "$hold_at/$hold_mine"
      fi
    fi
    hold_looks=$((hold_looks + 1))
    [ "$hold_looks" -lt "$hold_limit" ] || return 1
    nap 0.1
  done
}

forget_lower() {
  for forget_file in "$1"/*; do
    forget_n=${forget_file##*/}
    forget_n=${forget_n%.free}
    case $forget_n in *[!0-9]*) continue ;; esac
    [ "$forget_n" -ge "$2" ] || rm -f "$forget_file"
  done
}

let_go() { put "$1.free" free; }

# repository_lock: the name of the lock of the repository that we are in, whichever of its worktrees that is.
repository_lock() {
  lock_common=$(g rev-parse --path-format=absolute --git-common-dir 2>/dev/null) || return 1
  lock_name=r-$(printf %s "$lock_common" | cksum | tr -s ' ' -)
}

# NAME KEY BASE REPO COMMIT: as long as whoever asked is there. Nothing is left of one that was not made, whatever the reason.
add() {
  hold "w-$1" || refuse held
  add_own=$held
  # Of an earlier try, or of a later one that was faster: not ours to take away.
  [ ! -e "$space" ] || refuse git "$(told "$space is there already")"
  (
    refused_as=1
    # By this all of it is found.
    AIVCS_MARK=$2
    export AIVCS_MARK
    make "$1" "$3" "$4" "$5"
  ) 3<&- &
  add_maker=$!
  # Our input ends when nobody waits any more.
  (cat <&3; sweep "AIVCS_MARK=$2" "$add_maker" "$stop_looks") >/dev/null 2>&1 &
  add_watch=$!
  if wait "$add_maker" && kill -0 "$add_watch" 2>/dev/null; then
    kill "$add_watch" 2>/dev/null
    let_go "$add_own"
    return
  fi
  # What it has started may still be there.
  sweep "AIVCS_MARK=$2" "" "$stop_looks" || refuse unkillable
  take_away "$1" "$3" "$4"
  exit
}

# NAME BASE REPO COMMIT
make() {
  into "$2" "$3" || refuse "$enter_why" "$(hex "$enter_dir")"
  repository_lock || refuse no-repository "$(hex "$enter_here")"
  case $4 in '' | -*) refuse no-commit "$(hex "$enter_here")" ;; esac
  make_id=$(g rev-parse --verify --quiet "$4^{commit}" 2>/dev/null) || refuse no-commit "$(hex "$enter_here")"
  mkdir -p "$home/w"
  hold "$lock_name" || refuse held
  make_said=$(g worktree add --detach --no-checkout --quiet "$space" "$make_id" 2>&1) || refuse git "$(told "$make_said")"
  let_go "$held"
  make_said=$(g -C "$space" reset --hard --quiet 2>&1) || refuse git "$(told "$make_said")"
  make_admin=$(g -C "$space" rev-parse --absolute-git-dir 2>&1) || refuse git "$(told "$make_admin")"
  say made "$(hex "$space")" "$(hex "$make_admin")" "$make_id"
}

# unknown TEXT: whether it holds something that is nowhere else cannot be told.
unknown() {
  rm -f "$space.looked"
  say unknown "$(told "$1")"
}

# NAME KEY ADMIN COMMIT: what it holds that is nowhere else, when nothing of the attempt works in it any more.
look_through() {
  sweep "AIVCS_MARK=$2" "" 0 || refuse unkillable
  if [ ! -d "$3" ]; then
    if [ -d "$space" ]; then unknown "its repository does not know it any more"; else say unsaved 0 0; fi
    return
  fi
  through_changed=0
  if [ -d "$space" ]; then
    through_said=$(g -C "$space" --git-dir="$3" --work-tree="$space" status --porcelain=v1 -z --no-renames \
      --untracked-files=all --ignore-submodules=none 2>&1 >"$space.looked") || { unknown "$through_said"; return; }
    through_changed=$(tr -dc '\000' <"$space.looked" | wc -c | tr -d ' ')
    rm -f "$space.looked"
  fi
  through_commits=$(g --git-dir="$3" rev-list --max-count=1000 --count HEAD --not "$4" \
    --branches --remotes --tags 2>&1) || { unknown "$through_commits"; return; }
  case $through_commits in '' | *[!0-9]*) unknown "$through_commits" ;; *) say unsaved "$through_changed" "$through_commits" ;; esac
}

# NAME
measure_it() { say bytes "$(du -sk "$space" 2>/dev/null | awk 'NR == 1 { printf "%.0f", $1 * 1024 }')"; }

# NAME KEY BASE REPO: also one that is still being made, or whose removal was begun by somebody who is not heard of any more.
erase() {
  holder "w-$1"
  if [ -n "$hold_pid" ]; then sweep "AIVCS_MARK=$2" "$hold_pid" "$stop_looks" || refuse unkillable; fi
  hold "w-$1" || refuse held
  sweep "AIVCS_MARK=$2" "" 0 || refuse unkillable
  take_away "$1" "$3" "$4"
  say erased
}

# NAME BASE REPO: from the disk, and from what git knows. Whoever calls holds it.
take_away() {
  if ! rm -rf "$space" 2>/dev/null; then
    # Such as the caches of Go, whose directories cannot be written.
    chmod -R u+rwx "$space" 2>/dev/null
    take_said=$(rm -rf "$space" 2>&1) || refuse git "$(told "$take_said")"
  fi
  rm -f "$space.looked"
  # Where there is no repository any more nobody remembers it.
  if into "$2" "$3" && repository_lock && ! forgotten "$1"; then
    hold "$lock_name" || refuse held
    take_said=$(g worktree remove --force --force "$space" 2>&1)
    take_half "$1"
    forgotten "$1" || refuse git "$(told "$take_said")"
    let_go "$held"
  fi
  rm -rf "$home/l/w-$1"
}

# take_half NAME: git does not list, and never removes, what it was stopped at while it wrote it.
take_half() {
  half_at=$lock_common/worktrees/$1
  half_of=
  [ -f "$half_at/gitdir" ] && read -r half_of <"$half_at/gitdir"
  case $half_of in '' | */.aivcs-session/w/"$1"/.git) rm -rf "$half_at" ;; esac
}

# forgotten NAME: whether git knows of no worktree of this name. Looked at while another one is added, it cannot say.
forgotten() {
  [ ! -e "$lock_common/worktrees/$1" ] || return 1
  forgotten_list=$(g worktree list --porcelain 2>/dev/null) || return 1
  ! say "$forgotten_list" | grep -q "^worktree .*/$1\$"
}

# HOLD_LIMIT ACTION NAME ...
main() {
  hold_limit=$1 space_do=$2
  shift 2
  prepare
  prepare_git
  space=$home/w/$1
  case $space_do in
  add) add "$@" ;;
  look) look_through "$@" ;;
  measure) measure_it "$@" ;;
  erase) erase "$@" ;;
  esac
  say end
}
