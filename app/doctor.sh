#!/bin/sh
# Names everything this machine lacks, with the command that gets it. `--python` prints the interpreter that set-up will use,
# `--cargo` says by its exit code whether the native prover can be built.
# Plain sh, because it must run before anything is installed.

find_python() {
  for candidate in "$WATTPROOF_PYTHON" python3.13 python3.12 python3.11 python3; do
    [ -n "$candidate" ] || continue
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 &&
      { command -v "$candidate"; return 0; }
  done
  return 1
}

# The native prover's sources need this compiler or a newer one. No cargo, or a shim without a toolchain, prints no line.
new_cargo() { cargo --version 2>/dev/null | awk '{ split($2, v, "."); ok = v[1] > 1 || v[2] >= 89 } END { exit !ok }'; }
linker() { command -v cc >/dev/null 2>&1; }

if [ "$1" = "--cargo" ]; then new_cargo && linker; exit; fi
if [ "$1" = "--python" ]; then find_python || echo python3; exit 0; fi

missing=0
found=""
has() { found="$found${found:+, }$1"; }
need() { missing=1; printf 'missing   %s\n          get it: %s\n' "$1" "$2"; }
note() { printf 'optional  %s\n          get it: %s\n' "$1" "$2"; }

if python=$(find_python); then has "$("$python" --version)"
else need "Python 3.11 to 3.13 with venv" "apt-get install python3 python3-venv   (or set WATTPROOF_PYTHON to one)"; fi
node_ok='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
if ! command -v node >/dev/null 2>&1; then need "Node.js 20.19 or newer" "apt-get install nodejs npm, or your system's Node.js package"
elif ! node -e "$node_ok"; then need "Node.js 20.19 or newer (found $(node --version))" "install a newer Node.js package"
else has "Node.js $(node --version)"; fi
command -v npm >/dev/null 2>&1 || need "npm" "apt-get install npm"
command -v make >/dev/null 2>&1 || need "make" "apt-get install make"
if command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || [ -n "$WATTPROOF_CHROMIUM" ]; then has Chromium
else note "Chromium (browser tests)" "apt-get install chromium   (or set WATTPROOF_CHROMIUM to its path)"; fi
if ! new_cargo; then
  note "cargo 1.89 or newer (native prover; without it snarkjs proves, slower)" "apt-get install rustup && rustup default stable"
elif ! linker; then note "a C linker, cc (native prover; without it snarkjs proves, slower)" "apt-get install gcc libc6-dev"
else has "$(cargo --version | cut -d' ' -f1,2)"; fi
[ "$missing" = 0 ] || { echo "Nothing was changed. Get what is missing, then run the same command again."; exit 1; }
echo "found     $found"
