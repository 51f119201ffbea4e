#!/bin/sh
# Makes a machine ready to run and test MasterWeaver: Deno, and a software
# Vulkan driver where there is no GPU. Safe to run again; changes only what is
# missing. Debian and Ubuntu; elsewhere it says what to do.
#
#   sh tools/setup.sh [--with-landmarks] [--with-mpi] [--with-tests] [--check] [--help]
#
#   --with-landmarks  also install dlib's 68-point face model (Debian's
#                     libdlib-data; its training data excludes commercial use)
#                     and convert it to weights/landmarks.weave
#   --with-mpi        also install Open MPI, for training in several processes
#   --with-tests      also install all that tests use: both of the above,
#                     Chromium, Redis, npm, Python's venv for real API clients,
#                     and Dawn, Chrome's WebGPU (npm package webgpu)
#   --check           change nothing, report only; exit 1 where something lacks
set -eu

DENO_VERSION=2.9.6
# Debian 12's own Mesa works but is 7 to 10 times slower than this one.
MESA_MAJOR=24

# A test puts another root here; it is empty on a real machine.
ROOT="${SETUP_ROOT:-}"
HERE=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

with_landmarks=no
with_mpi=no
with_tests=no
check_only=no
lacking=0

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
fail() {
  warn "$*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

usage() { sed -n '2,17s/^# \{0,1\}//p' "$0"; }

# lacks WHAT: under --check it is counted and reported, nothing is done.
lacks() {
  lacking=$((lacking + 1))
  warn "Missing: $*"
}

# as_root COMMAND…: as it is for root, through sudo for others.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "This needs root: run \`$*\` as root, then this script again"
  fi
}

# os_field NAME: a field of os-release, empty where there is none.
os_field() {
  [ -r "$ROOT/etc/os-release" ] || return 0
  sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$ROOT/etc/os-release" |
    head -n 1
}

is_debian() {
  case " $(os_field ID) $(os_field ID_LIKE) " in
    *" debian "* | *" ubuntu "*) has apt-get ;;
    *) return 1 ;;
  esac
}

# at_least HAVE WANT: dotted numbers, compared field by field.
at_least() {
  [ "$1" = "$2" ] && return 0
  first=$(printf '%s\n%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
  [ "$first" = "$2" ]
}

updated=no
apt_install() {
  if [ "$updated" = no ]; then
    as_root apt-get update -q
    updated=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
    --no-install-recommends "$@"
}

# --- Deno -----------------------------------------------------------------

deno_version() {
  has deno || return 0
  deno --version 2>/dev/null | sed -n 's/^deno \([0-9.]*\).*/\1/p'
}

set_up_deno() {
  have=$(deno_version)
  if [ -n "$have" ] && at_least "$have" "$DENO_VERSION"; then
    return 0
  fi
  if [ "$check_only" = yes ]; then
    lacks "Deno $DENO_VERSION or later (found: ${have:-none})"
    return 0
  fi
  say "Installing Deno $DENO_VERSION from the npm registry (found: ${have:-none})"
  if ! has npm; then
    if is_debian; then
      apt_install npm
    else
      fail "Cannot install Deno: there is no npm. Install Node.js, or Deno $DENO_VERSION itself, then run this again"
    fi
  fi
  prefix=$(npm prefix -g)
  if [ -w "$prefix/lib" ] || [ -w "$prefix" ]; then
    npm install --global "deno@$DENO_VERSION"
  else
    as_root npm install --global "deno@$DENO_VERSION"
  fi
  hash -r
  have=$(deno_version)
  if [ -z "$have" ] || ! at_least "$have" "$DENO_VERSION"; then
    fail "Deno ${have:-is not found} after installing it to $prefix/bin: put $prefix/bin first on PATH and run this again"
  fi
}

# --- Vulkan ---------------------------------------------------------------

# A GPU with a driver of its own brings its Vulkan driver.
has_gpu() {
  if has nvidia-smi && nvidia-smi -L >/dev/null 2>&1; then return 0; fi
  for node in "$ROOT"/dev/dri/renderD*; do
    [ -e "$node" ] && return 0
  done
  return 1
}

package_version() {
  dpkg-query -W -f '${Status} ${Version}\n' "$1" 2>/dev/null |
    sed -n 's/^install ok installed //p'
}

has_loader() { [ -n "$(package_version libvulkan1)" ]; }

# The mirror of the distribution, read from the machine's own sources: the
# first address for the release itself, in either format.
mirror() {
  codename=$1
  for file in "$ROOT"/etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    awk -v want="$codename" '
      function flush(  i, n, list) {
        n = split(suites, list, " ")
        for (i = 1; i <= n; i++)
          if (list[i] == want && uri != "") { print uri; exit }
        uri = ""; suites = ""
      }
      /^[ \t]*$/ { flush(); next }
      tolower($1) == "uris:" { uri = $2 }
      tolower($1) == "suites:" { $1 = ""; suites = $0 }
      END { flush() }' "$file"
  done
  for file in "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    awk -v want="$codename" '
      $1 == "deb" {
        sub(/\[[^]]*\]/, "")
        if ($3 == want) print $2
      }' "$file"
  done
}

# Debian 12 gets Mesa from backports; where that fails, its own will do.
enable_backports() {
  codename=$1
  list="$ROOT/etc/apt/sources.list.d/masterweaver-backports.list"
  [ -e "$list" ] && return 0
  if apt-cache policy 2>/dev/null | grep -q "$codename-backports"; then
    return 0
  fi
  from=$(mirror "$codename" | head -n 1)
  [ -n "$from" ] || return 1
  say "Enabling $codename-backports for a faster software driver"
  printf 'deb %s %s-backports main\n' "$from" "$codename" |
    as_root tee "$list" >/dev/null
  if ! as_root apt-get update -q; then
    as_root rm -f "$list"
    return 1
  fi
}

set_up_vulkan() {
  if has_gpu && has_loader; then return 0; fi
  if ! is_debian; then
    has_gpu && return 0
    warn "Cannot install a Vulkan driver here: this script knows Debian and Ubuntu."
    warn "Install the Vulkan loader and Mesa's software driver (lavapipe), for example"
    warn "  Fedora: dnf install vulkan-loader mesa-vulkan-drivers"
    warn "  Arch:   pacman -S vulkan-icd-loader vulkan-swrast"
    warn "  macOS and Windows bring their own drivers: nothing to do"
    return 0
  fi
  if has_gpu; then
    if [ "$check_only" = yes ]; then
      lacks "the Vulkan loader (package libvulkan1)"
    else
      apt_install libvulkan1
    fi
    return 0
  fi
  mesa=$(package_version mesa-vulkan-drivers)
  major=${mesa%%.*}
  major=${major##*:}
  if has_loader && [ -n "$mesa" ] && [ "$major" -ge "$MESA_MAJOR" ]; then
    return 0
  fi
  codename=$(os_field VERSION_CODENAME)
  if [ "$check_only" = yes ]; then
    if [ -z "$mesa" ] || ! has_loader; then
      lacks "a software Vulkan driver (packages libvulkan1, mesa-vulkan-drivers)"
    else
      warn "Mesa $mesa works, but is several times slower than $MESA_MAJOR and later"
    fi
    return 0
  fi
  if [ "$codename" = bookworm ] && enable_backports "$codename"; then
    if apt_install -t "$codename-backports" libvulkan1 mesa-vulkan-drivers; then
      return 0
    fi
  fi
  [ "$codename" = bookworm ] &&
    warn "Mesa from backports cannot be had: the distribution's own is 7 to 10 times slower"
  apt_install libvulkan1 mesa-vulkan-drivers
}

# --- Landmarks ------------------------------------------------------------

set_up_landmarks() {
  target="$HERE/weights/landmarks.weave"
  [ -e "$target" ] && return 0
  source="$ROOT/usr/share/dlib/shape_predictor_68_face_landmarks.dat"
  if [ "$check_only" = yes ]; then
    lacks "weights/landmarks.weave"
    return 0
  fi
  if [ ! -e "$source" ]; then
    is_debian || fail "Cannot install the landmark model here: get shape_predictor_68_face_landmarks.dat from dlib and run \`deno run -A tools/convert.ts FILE --output weights\`"
    apt_install libdlib-data
  fi
  say "Converting the landmark model (its training data excludes commercial use)"
  (cd "$HERE" && deno run -A tools/convert.ts "$source" --output weights)
}

# --- Programs for some uses -----------------------------------------------

# need FOUND NAME PACKAGE ELSEWHERE: installs a program where it is not FOUND;
# ELSEWHERE says what to do on systems other than Debian's.
need() {
  if "$1"; then return 0; fi
  if [ "$check_only" = yes ]; then
    lacks "$2 (package $3)"
    return 0
  fi
  is_debian || fail "Cannot install $2 here: $4"
  apt_install "$3"
}

has_mpi() { has mpirun && mpirun --version 2>/dev/null | grep -q "Open MPI"; }
# It brings the library, whose package has another name in each release.
set_up_mpi() {
  need has_mpi "Open MPI" openmpi-bin "install it (Fedora: openmpi; Arch: openmpi; macOS: open-mpi) and put its mpirun on PATH"
}

has_chromium() { has chromium || has chromium-browser || has google-chrome; }
set_up_chromium() {
  need has_chromium Chromium chromium "install Chromium or Chrome, or leave the page's tests out"
}

has_redis() { has redis-server || has valkey-server; }
set_up_redis() {
  need has_redis Redis redis-server "install redis or valkey, or leave the tests of several machines out"
}

# Deno may have come without it; tests of the npm package need it.
has_npm() { has npm; }
set_up_npm() {
  need has_npm npm npm "install Node.js, or leave the tests of the npm package out"
}

has_venv() { has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; }
set_up_python() {
  need has_venv "Python's venv" python3-venv "install Python 3 with venv, or leave the tests with Python's API clients out"
}

# run_dawn OPTION…: only tests use it; it has a lock of its own, and is fetched by
# being run.
run_dawn() {
  (cd "$HERE" &&
    deno run --allow-all --quiet --lock=tests/dawn/deno.lock --frozen "$@" \
      tests/dawn/install.ts)
}
set_up_dawn() {
  if [ "$check_only" = yes ]; then
    run_dawn --cached-only 2>/dev/null || lacks "Dawn (npm package webgpu)"
    return 0
  fi
  run_dawn ||
    fail "Cannot fetch the npm package webgpu: check that npm's registry can be reached, or leave the tests of Dawn out"
}

# --- Packages -------------------------------------------------------------

# Fetches the npm packages once, and what bundles the studio's page, so that
# later runs need no network.
set_up_packages() {
  [ "$check_only" = yes ] && return 0
  (cd "$HERE" &&
    deno cache --quiet mod.ts src/host/command/command.ts src/studio/command/*.ts tools/*.ts &&
    deno bundle --quiet --platform=browser src/studio/page/main.tsx >/dev/null)
}

main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --with-landmarks) with_landmarks=yes ;;
      --with-mpi) with_mpi=yes ;;
      --with-tests) with_landmarks=yes with_mpi=yes with_tests=yes ;;
      --check) check_only=yes ;;
      --help)
        usage
        exit 0
        ;;
      *)
        warn "Unknown option $1; see sh tools/setup.sh --help"
        exit 2
        ;;
    esac
    shift
  done
  set_up_deno
  set_up_vulkan
  set_up_packages
  if [ "$with_landmarks" = yes ]; then set_up_landmarks; fi
  if [ "$with_mpi" = yes ]; then set_up_mpi; fi
  if [ "$with_tests" = yes ]; then
    set_up_chromium
    set_up_redis
    set_up_python
    set_up_npm
    set_up_dawn
  fi
  if [ "$lacking" -gt 0 ]; then
    fail "$lacking missing; run \`sh tools/setup.sh\` without --check"
  fi
  say "Ready: Deno $(deno_version), Vulkan $(
    if has_gpu; then echo "on the GPU"; else echo "in software (Mesa $(package_version mesa-vulkan-drivers || true))"; fi
  )"
}

# A test reads the functions and calls them itself.
[ "${SETUP_SOURCED:-}" = yes ] || main "$@"
