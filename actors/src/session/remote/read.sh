# Gives what an attempt wrote to one of its streams, from a byte on, exactly, and nothing else.

# read NAME ID STREAM FROM: all that is there now.
now_there() { tail -c "+$(($4 + 1))" "$home/s/$1/a/$2/$3" 2>/dev/null; }

# The same, going on until the attempt has ended, or until whoever reads has gone: our input ends then.
as_it_comes() {
  session=$home/s/$1
  tail -c "+$(($4 + 1))" -f "$session/a/$2/$3" 2>/dev/null &
  tail_pid=$!
  cat <&3 >/dev/null &
  reader_pid=$!
  comes_looks=0
  while kill -0 "$reader_pid" 2>/dev/null && kill -0 "$tail_pid" 2>/dev/null; do
    [ -f "$session/a/$2/exit" ] && break
    # Something new each time, by which one that is tied to us sees that we are there.
    if [ $((comes_looks % 10)) -eq 0 ]; then say "$$ $comes_looks" >"$session/a/$2/followed"; fi
    comes_looks=$((comes_looks + 1))
    if [ $((comes_looks % 20)) -eq 0 ]; then
      look "$2" 0
      [ "$look_state" = running ] || break
    fi
    blink "$comes_looks"
  done
  kill "$tail_pid" "$reader_pid" 2>/dev/null
}

# FOLLOWS NAME ID STREAM FROM
main() {
  read_follows=$1
  shift
  if [ "$read_follows" = yes ]; then as_it_comes "$@"; else now_there "$@"; fi
}
