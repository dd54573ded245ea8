# Gives what an attempt writes to its streams, each from a byte on, exactly, as it comes; when it has ended, tells how.
#
# What a stream says is a line with its name and how many bytes follow, and these bytes.

# Bytes that are given at once: whoever reads slowly is seen to be there in between.
piece_limit=262144

# piece STREAM FROM TO: sets `piece_end`.
piece() {
  piece_end=$2
  # Nobody asks for it, or it has nothing new.
  [ "$2" != - ] && [ "$3" -gt "$2" ] || return 0
  piece_size=$(($3 - $2))
  [ "$piece_size" -le "$piece_limit" ] || piece_size=$piece_limit piece_more=yes
  piece_end=$(($2 + piece_size))
  say "$1" "$piece_size"
  tail -c "+$(($2 + 1))" "$1" | head -c "$piece_size"
}

# pieces: what has come of all three, or some of it: then `piece_more` says so.
pieces() {
  piece_more=
  written .
  piece out "$follow_out" "$wrote_out" && follow_out=$piece_end
  piece err "$follow_err" "$wrote_err" && follow_err=$piece_end
  piece report "$follow_report" "$wrote_report" && follow_report=$piece_end
}

# show_presence READER: something new each second, by which an attempt that is tied to us sees that we are there.
show_presence() {
  presence_n=0
  while kill -0 "$1"; do
    presence_n=$((presence_n + 1))
    say "$$ $presence_n" >followed
    nap 1
  done
}

# over ID: whether nothing more comes of it.
over() {
  [ ! -f exit ] || return 0
  follow_looks=$((follow_looks + 1))
  [ $((follow_looks % 20)) -eq 0 ] || return 1
  look "$1" "$last_at"
  case $look_state in running | starting) return 1 ;; esac
}

# told_all ID: how it is, and no more.
told_all() {
  report "$1" "$last_n" "$last_token" "$last_at"
  say end
  exit
}

# NAME ID FROM_OUT FROM_ERR FROM_REPORT: `-` for a stream that is not wanted.
main() {
  find_session "$1" || refuse no-session
  last
  [ "$last_id" = "$2" ] || refuse superseded "$last_id"
  # Claimed a moment ago: whoever asks looks again.
  cd "$session/a/$2" 2>/dev/null || told_all "$2"
  follow_out=$3 follow_err=$4 follow_report=$5
  # Our input ends when whoever reads has gone.
  cat <&3 >/dev/null 2>&1 &
  follow_reader=$!
  show_presence "$follow_reader" 3<&- >/dev/null 2>&1 &
  follow_shown=$!
  follow_looks=0 follow_over=no
  while kill -0 "$follow_reader" 2>/dev/null; do
    # In this order: what it has written before it was over is all there is.
    over "$2" && follow_over=yes
    pieces
    [ -z "$piece_more" ] || continue
    [ "$follow_over" = no ] || break
    blink "$follow_looks"
  done
  kill "$follow_reader" "$follow_shown" 2>/dev/null
  told_all "$2"
}
