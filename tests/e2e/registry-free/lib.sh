# shellcheck shell=bash
# Functions of node-image and python-base: progress, the recipe's digest, the cache, the cleanup.
# Sourced after "set -euo pipefail".

: "${me:?set by the caller: the name that it speaks under}"

# One date for all that is made here, so that two makings differ only where their packages do
# (https://reproducible-builds.org/specs/source-date-epoch/). 2026-11-01 00:00 UTC.
export SOURCE_DATE_EPOCH=1793491200

cache=${ECHO_E2E_CACHE:-$HOME/.cache/echo-e2e}

# say WORDS...: one line of progress, with the seconds since the start. Only results go to stdout.
say() { printf '%5d s  %s: %s\n' "$SECONDS" "$me" "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# usage: the comment at the head of the calling script.
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

# need PROGRAM PACKAGE: fails, with what to install, where there is no such program.
need() { command -v "$1" >/dev/null || fail "$1 is missing (Debian: apt-get install $2)"; }

# recipe_digest PATH...: sha256 over the names and contents of these files and folders.
# Run it in the recipe's own folder, so that the names don't depend on where the clone is.
recipe_digest() {
  find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# work_in_progress NAME: makes the folder $work, and sees to it that neither it nor a $container, nor an
# image $unloaded that nothing was made of, outlives this run. One run at a time: a second one waits here, and then finds the result.
work_in_progress() {
  mkdir -p "$cache"
  exec 9>"$cache/$1.lock"
  flock --nonblock 9 || {
    say "another run is at it: waiting for it to end"
    flock 9
  }
  work=$(mktemp -d)
  chmod 755 "$work" # without root, mmdebstrap works under other user ids
  container='' unloaded=''
  trap take_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

take_down() {
  if [ -n "$container" ]; then docker rm --force --volumes "$container" >/dev/null 2>&1 || true; fi
  # refused where it has become a layer of the image that was to be made, and that is right
  if [ -n "$unloaded" ]; then docker rmi "$unloaded" >/dev/null 2>&1 || true; fi
  rm -rf --one-file-system "$work"
}

# cache_load NAME REFERENCE: loads REFERENCE from the cache; false if it is not there. A file that
# is not what was stored (its sum, or what it holds) is never believed: it is said and deleted.
cache_load() {
  local file=$cache/$1.tar.zst
  [ -f "$file" ] || return 1
  if ! (cd "$cache" && sha256sum --check --status "$1.tar.zst.sha256" 2>/dev/null); then
    say "$file is not what was stored there (sha256): deleted, made again"
  else
    say "loading $file ($(du -h "$file" | cut -f1))"
    if zstd --quiet --decompress --stdout "$file" | docker load --quiet >&2 && has_image "$2"; then
      return
    fi
    say "$file does not hold $2: deleted, made again"
  fi
  rm -f "$file" "$file.sha256"
  return 1
}

# cache_save NAME REFERENCE: stores REFERENCE. The sum comes last: without it the file doesn't count.
cache_save() {
  local file=$cache/$1.tar.zst
  say "storing it in $file"
  rm -f "$file.sha256"
  docker save "$2" | zstd --quiet --threads=0 --stdout >"$work/archive"
  # beside its place first, then renamed: the work folder may be on another file system
  mv "$work/archive" "$file.part"
  mv "$file.part" "$file"
  (cd "$cache" && sha256sum "$1.tar.zst" >"$1.tar.zst.sha256.part" && mv "$1.tar.zst.sha256.part" "$1.tar.zst.sha256")
}

# debian SUITE TARGET.tar OPTION...: a root file system of Debian packages, which apt checks by
# Debian's signatures. Manuals and translations are left out: nobody reads them in a container.
debian() {
  local suite=$1 target=$2 exclude options=()
  shift 2
  for exclude in doc info locale man; do
    options+=(--dpkgopt="path-exclude=/usr/share/$exclude/*")
  done
  # mmdebstrap lends the new root this machine's resolv.conf and hostname; they are not part of an image
  # shellcheck disable=SC2016 # $1 is for the hook: the root
  mmdebstrap --quiet "${options[@]}" "$@" \
    --customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname"' \
    "$suite" "$target" 9>&- >&2 || fail "mmdebstrap could not make $suite (its words are above)"
}

# plain_tar FOLDER TARGET.tar: FOLDER's contents as root's, readable for all whatever the umask was when
# the files came here, sorted, with one date.
plain_tar() {
  tar --create --file "$2" --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" .
}
