#!/usr/bin/env bash
# A small Debian root with Python as an image file: the local base that tests build containers/firstsight.def from.
#
#   containers/real/root.sh /tmp/apptainer      prints /tmp/apptainer/root.sif; made once (a minute), from the mirror
#                                               that the machine's own apt sources name
#
# It needs what containers/real/apptainer.sh FOLDER made. Exit codes: 0; 2 a bad call; 3 it cannot be had here, and why.
set -euo pipefail

readonly PACKAGES=python3,python3-venv,ca-certificates

none_here() {
    echo "no local Debian root here: $*" >&2
    exit 3
}

case "${1:-}" in
-h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
"" | -*) echo "root.sh: say which folder: containers/real/root.sh /tmp/apptainer" >&2; exit 2 ;;
esac
readonly FOLDER=$(realpath -m "$1")
readonly APPTAINER=$FOLDER/root/usr/bin/apptainer IMAGE=$FOLDER/root.sif
[ -x "$APPTAINER" ] || { echo "root.sh: no Apptainer in $1; first: containers/real/apptainer.sh $1" >&2; exit 2; }

exec 9>"$FOLDER/lock"
flock 9
[ ! -s "$IMAGE" ] || { echo "$IMAGE"; exit 0; }

# shellcheck disable=SC2016  # apt's own fields
read -r mirror suite < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN) $(LABEL)' 'Identifier: Packages' |
    awk '$3 == "Debian" && $4 == "Debian" {print $1, $2; exit}') || none_here "apt's sources name no Debian archive"
[ "$(id -u)" = 0 ] || none_here "mmdebstrap is called as root here"

started=$SECONDS
work=$(mktemp -d "$FOLDER/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=minbase --include="$PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$work/root" "$mirror" >"$FOLDER/mmdebstrap.log" 2>&1 || none_here "mmdebstrap failed; see $FOLDER/mmdebstrap.log"
find "$work/root/dev" -mindepth 1 -delete # devices are the host's business, and cannot be copied by an ordinary user
"$APPTAINER" --quiet build --fakeroot --mksquashfs-args '-comp lz4' "$work/root.sif" "$work/root" >"$FOLDER/root.log" 2>&1 ||
    none_here "Apptainer could not pack it; see $FOLDER/root.log"
mv "$work/root.sif" "$IMAGE"
echo "Debian $suite with $PACKAGES: $(du -h "$IMAGE" | cut -f1), $((SECONDS - started)) s" >&2
echo "$IMAGE"
