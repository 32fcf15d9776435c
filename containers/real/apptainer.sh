#!/usr/bin/env bash
# Real Apptainer in a folder of its own, for tests on a Debian 12 machine that has none: nothing of the system is replaced.
#
#   containers/real/apptainer.sh /tmp/apptainer     prints the path of the program; the second call takes no time
#
# Only Debian's sid packages Apptainer, against a newer libc. So sid is read through an apt configuration of this folder's
# own (from the mirror that the machine's sources name), the packages are unpacked here, and the two programs are told to
# use the libc beside them. The tools that Apptainer calls (squashfs, fuse, uidmap) come from the machine's own release.
#
# Exit codes: 0 it runs; 2 a bad call; 3 it cannot be had here, and one line says why.
set -euo pipefail

readonly TOOLS=(patchelf squashfs-tools squashfuse fuse2fs fuse-overlayfs uidmap fakeroot mmdebstrap)
readonly FROM_SID=(apptainer libc6 libseccomp2 libsqlite3-0)

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
}

none_here() {
    echo "Apptainer cannot be had here: $*" >&2
    exit 3
}

case "${1:-}" in
-h | --help) usage; exit 0 ;;
"" | -*) echo "apptainer.sh: say which folder: containers/real/apptainer.sh /tmp/apptainer" >&2; exit 2 ;;
esac
[ $# = 1 ] || { echo "apptainer.sh: one folder, not $#" >&2; exit 2; }

mkdir -p "$1" 2>/dev/null && [ -w "$1" ] || { echo "apptainer.sh: $1: cannot be written; name another folder" >&2; exit 2; }
readonly FOLDER=$(cd "$1" && pwd)
readonly PROGRAM=$FOLDER/root/usr/bin/apptainer

# Two tests may ask at once; the second waits and finds it done.
exec 9>"$FOLDER/lock"
flock 9

# What only root can give: packages, and a range of user ids for builds with --fakeroot.
prepare() {
    local missing=() tool
    for tool in "${TOOLS[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null | grep -qx installed || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(id -u)" = 0 ] || none_here "not root, and these packages are missing: ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        {
            apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"
        } >"$FOLDER/apt.log" 2>&1 || none_here "apt-get could not install ${missing[*]}; see $FOLDER/apt.log"
    fi
    local user file
    user=$(id -un)
    for file in /etc/subuid /etc/subgid; do
        grep -q "^$user:" "$file" 2>/dev/null && continue
        [ -w "$file" ] || [ "$(id -u)" = 0 ] || none_here "$file gives $user no range of ids; as root: echo $user:1000000:65536 >>$file"
        echo "$user:1000000:65536" >>"$file"
    done
}

# mirror: where this machine's Debian packages come from.
mirror() {
    # shellcheck disable=SC2016  # apt's own fields
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Identifier: Packages' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "Debian" {print $1; exit}'
}

unpack() {
    local from keyring=/usr/share/keyrings/debian-archive-keyring.gpg apt=$FOLDER/apt
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || none_here "no apt-get: this is not Debian"
    [ "$(dpkg --print-architecture)" = amd64 ] || none_here "tried on amd64 only, this is $(dpkg --print-architecture)"
    from=$(mirror)
    [ -n "$from" ] || none_here "apt's sources name no Debian archive (run apt-get update first)"
    [ -r "$keyring" ] || none_here "$keyring is missing (apt-get install debian-archive-keyring)"
    rm -rf "$apt" "$FOLDER/debs" "$FOLDER/root"
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,parts} "$FOLDER/debs" "$FOLDER/root"
    touch "$apt/status"
    printf 'deb [signed-by=%s] %s sid main\n' "$keyring" "$from" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::Etc::preferencesparts "$apt/parts";
Dir::Etc::preferences "$apt/none";
Acquire::Languages "none";
APT::Sandbox::User "root";
END
    (
        export APT_CONFIG=$apt/apt.conf
        cd "$FOLDER/debs"
        apt-get update -qq && apt-get download -qq "${FROM_SID[@]}"
    ) >"$FOLDER/apt-sid.log" 2>&1 || none_here "sid does not give ${FROM_SID[*]}; see $FOLDER/apt-sid.log"
    local deb
    for deb in "$FOLDER"/debs/*.deb; do
        dpkg-deb -x "$deb" "$FOLDER/root"
    done
    rm -rf "$FOLDER/debs" "$apt"
}

# relink: the programs find the libc beside them, and their configuration where they look for it.
relink() {
    local root=$FOLDER/root loader library program
    loader=$(find "$root" -name 'ld-linux-x86-64.so.2' -not -type d | head -n 1)
    library=$root/usr/lib/x86_64-linux-gnu
    [ -n "$loader" ] && [ -d "$library" ] || none_here "sid's libc6 is laid out in a way this script does not know"
    while read -r program; do
        patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$library" "$program" ||
            none_here "patchelf cannot change ${program##*/}"
    done < <(find "$root" -type f \( -path '*/usr/bin/apptainer' -o -path '*/apptainer/bin/starter' \))
    ln -sfn ../etc "$root/usr/etc"
    ln -sfn ../../etc "$root/usr/lib/etc"
    mkdir -p "$root"/usr/{var,lib/var}/lib/apptainer/mnt/session
    chmod -R go+rX "$root"
}

started=$SECONDS
prepare
if ! "$PROGRAM" --version >/dev/null 2>&1; then
    unpack
    relink
    why=$("$PROGRAM" --version 2>&1) || none_here "it was unpacked but does not start: ${why##*$'\n'}"
    echo "$why in $FOLDER, $((SECONDS - started)) s" >&2
fi
echo "$PROGRAM"
