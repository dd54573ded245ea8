# Tells how strained the machine is: what its kernel says of memory, stalls and load, and the disk of the home directory.

# sign NAME VALUE: where it can be told.
sign() {
  case $2 in '' | *[!0-9]*) ;; *) say sign "$1" "$2" ;; esac
}

# stall FILE WHO: the part of the last ten seconds, in percent.
stall() { sed -n "s/^$2 avg10=\([0-9]*\).*/\1/p" "/proc/pressure/$1" 2>/dev/null; }

# level NUMBER: macOS says 1, 2 or 4.
level() { case $1 in 4) say 2 ;; 2) say 1 ;; 1) say 0 ;; esac; }

main() {
  prepare
  LC_ALL=C
  export LC_ALL
  measure_cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null)
  measure_load=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || sysctl -n vm.loadavg 2>/dev/null | cut -d' ' -f2)
  sign load "$(say "$measure_load ${measure_cores:-0}" | awk '$2 > 0 { printf "%d", $1 * 100 / $2 }')"
  if [ -r /proc/meminfo ]; then
    sign memory-free "$(awk '/^MemTotal:/ { all = $2 } /^MemAvailable:/ { free = $2 }
      END { if (all > 0 && free != "") printf "%d", free * 100 / all }' /proc/meminfo)"
    sign memory-stall "$(stall memory some)"
    sign io-stall "$(stall io full)"
  else
    sign memory "$(level "$(sysctl -n kern.memorystatus_vm_pressure_level 2>/dev/null)")"
  fi
  sign disk-free "$(df -Pk "$home" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')"
  say end
}
