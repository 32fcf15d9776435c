#!/usr/bin/env bash
# From your machine to a cluster: rsync of exactly what is needed there, this repository's code and, if you name one, the
# image. Without --go it only shows what would be sent; run again, it sends what has changed.
#
#   containers/upload.sh me@login.example.org:firstsight                    what would be sent
#   containers/upload.sh me@login.example.org:firstsight --go               send it
#   containers/upload.sh me@login.example.org:firstsight --image firstsight.sif --go
#
#   --image FILE   the image with its digest (FILE.sha256, FILE.json), into the same folder
#   --go           send; without it nothing leaves this machine
#
# Not sent: tests, benchmarks, results, what git does not track, and .git itself; the commit goes along as COMMIT, which
# records name. An upload that was cut off goes on where it was. Exit codes: 0; 2 a bad call, or what rsync
# says in one line.
set -euo pipefail

refuse() {
    echo "upload.sh: $*" >&2
    exit 2
}

target='' image='' go=''
while [ $# -gt 0 ]; do
    case "$1" in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --image) [ -n "${2:-}" ] || refuse "--image: a file is missing"; image=$2; shift 2 ;;
    --go) go=yes; shift ;;
    -*) refuse "$1: unknown; containers/upload.sh --help" ;;
    *) [ -z "$target" ] || refuse "one place to send to, not $target and $1"; target=$1; shift ;;
    esac
done
[ -n "$target" ] || refuse "where to? HOST:FOLDER, as me@login.example.org:firstsight; --help"
[[ $target == ?*:?* || $target == /* ]] || refuse "$target: HOST:FOLDER, as me@login.example.org:firstsight"
command -v rsync >/dev/null || refuse "no rsync here: install it (Debian: apt-get install rsync)"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
git rev-parse --git-dir >/dev/null 2>&1 || refuse "$PWD is no git repository: what belongs to it cannot be told"
if [ -n "$image" ]; then
    [ -f "$image" ] || refuse "--image $image: no such file; containers/build makes one"
    [ -f "$image.sha256" ] || refuse "--image $image: $image.sha256 is missing, by which it is verified there"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z -- . ':!tests' ':!benchmarks' ':!results' | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done >"$work/files"
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit=$commit,dirty
echo "$commit" >"$work/COMMIT"

options=(--archive --compress --partial --human-readable)
if [ -z "$go" ]; then options+=(--dry-run --itemize-changes); else options+=(--info=stats1); fi
send() { rsync "${options[@]}" "$@" 2>"$work/said" || refuse "rsync: $(head -n 1 "$work/said")"; }

send --from0 --files-from="$work/files" ./ "$target/"
send "$work/COMMIT" "$target/"
if [ -n "$image" ]; then
    beside=("$image" "$image.sha256")
    [ ! -f "$image.json" ] || beside+=("$image.json")
    send "${beside[@]}" "$target/"
fi
if [ -z "$go" ]; then
    echo "nothing was sent: this is what would be, $(tr -cd '\0' <"$work/files" | wc -c) files at most; --go sends it"
else
    echo "sent to $target: commit $commit${image:+, $(basename "$image")}. There: containers/cluster_setup.sh --help"
fi
