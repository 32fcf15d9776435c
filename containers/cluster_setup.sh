#!/usr/bin/env bash
# On a login node: image, weights and data onto scratch, whole and verified. Run again, it goes on where it was and fetches
# nothing twice.
#
#   containers/cluster_setup.sh --scratch $SCRATCH/firstsight --image ~/firstsight.sif
#   containers/cluster_setup.sh --scratch $SCRATCH/firstsight --image https://…/firstsight.sif --sha256 3f2a…
#   containers/cluster_setup.sh --scratch $SCRATCH/firstsight --weights lmms-lab/EgoGPT-7b-EgoIT-EgoLife --weights Qwen/Qwen2-VL-2B-Instruct
#   containers/cluster_setup.sh --scratch $SCRATCH/firstsight --data https://…/EgoThink.tar --sha256 90c1…
#   containers/cluster_setup.sh --scratch $SCRATCH/firstsight --verify
#
#   --scratch DIR      the cluster file's scratch: image, weights/, data/ lie below it    (required)
#   --image SOURCE     a file, or an address, of the Apptainer image                      becomes firstsight.sif
#   --weights REPO     a Hugging Face repository, or REPO@REVISION; may be repeated       into weights/ (HF_HOME)
#   --dataset REPO     a Hugging Face data set; may be repeated                           into data/<its name>/
#   --data SOURCE      a file or an address of a clip collection; .tar, .tar.gz and .zip are unpacked, into data/<its name>/
#   --sha256 DIGEST    of the --image or --data before it; without it, SOURCE.sha256 beside it is asked
#   --verify           hash again all that is there, also what was verified before
#
# Weights and data sets need huggingface_hub: the image's; without one, of $PYTHON, .venv or python3. A repository that asks
# for consent needs your token in the environment, as HF_TOKEN. Exit codes: 0 all is there; 2 a bad call, or something that
# cannot be had or is not what it should be, and one line says which.
set -euo pipefail
umask 027

refuse() {
    echo "cluster_setup.sh: $*" >&2
    exit 2
}

scratch='' verify='' image='' image_sum='' last=''
weights=() datasets=() data=() data_sums=()
while [ $# -gt 0 ]; do
    case "$1" in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --verify) verify=yes; shift; continue ;;
    --scratch | --image | --weights | --dataset | --data | --sha256) [ -n "${2:-}" ] || refuse "$1: a value is missing; --help" ;;
    *) refuse "$1: unknown; containers/cluster_setup.sh --help" ;;
    esac
    case "$1" in
    --scratch) scratch=$2 ;;
    --image) image=$2; last=image ;;
    --weights) weights+=("$2") ;;
    --dataset) datasets+=("$2") ;;
    --data) data+=("$2"); data_sums+=(''); last=data ;;
    --sha256)
        [[ $2 =~ ^[0-9a-f]{64}$ ]] || refuse "--sha256 $2: 64 hexadecimal digits"
        case "$last" in
        image) image_sum=$2 ;;
        data) data_sums[${#data[@]} - 1]=$2 ;;
        *) refuse "--sha256 belongs after the --image or --data that it is of" ;;
        esac
        ;;
    esac
    shift 2
done
[ -n "$scratch" ] || refuse "--scratch is missing: the folder that the cluster file names; --help"
mkdir -p "$scratch"/{weights,data,artifacts,results,runs} 2>/dev/null && [ -w "$scratch" ] ||
    refuse "--scratch $scratch: cannot be written; a folder of yours that all nodes share"
scratch=$(cd "$scratch" && pwd)

# Two at once would write the same files.
exec 9>"$scratch/.setup.lock"
flock -n 9 || refuse "another cluster_setup.sh is at work in $scratch; wait for it"

room() { df -Pk "$scratch" | awk 'NR == 2 {printf "%.0f", $4 / 1000000}'; }

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

# expected SOURCE GIVEN: the digest that a source should have; nothing where nobody says.
expected() {
    local said=$2
    if [ -z "$said" ]; then
        case "$1" in
        http://* | https://* | file://*) said=$(curl -fsSL --max-time 60 "$1.sha256" 2>/dev/null | head -c 64) || said='' ;;
        *) said=$(head -c 64 "$1.sha256" 2>/dev/null) || said='' ;;
        esac
    fi
    [[ $said =~ ^[0-9a-f]{64}$ ]] && echo "$said" || true
}

# fetch SOURCE TARGET DIGEST: TARGET is there and has this digest; what an interrupted call left is gone on with.
fetch() {
    local source=$1 target=$2 digest=$3 mark=$2.verified stamp
    if [ -f "$target" ]; then
        stamp="$(stat -c '%s %Y' "$target") $(head -c 64 "$target.sha256" 2>/dev/null || true)"
        if [ -z "$verify" ] && [ "$(cat "$mark" 2>/dev/null)" = "$stamp" ] && { [ -z "$digest" ] || [[ $stamp == *" $digest" ]]; }; then
            echo "there: $target"
            return
        fi
        if [ -n "$digest" ] && [ "$(sum_of "$target")" = "$digest" ]; then
            seal "$target" "$digest"
            return
        fi
        echo "$target is another than $source says: fetched again" >&2
    fi
    case "$source" in
    http://* | https://* | file://*)
        local attempt
        for attempt in 1 2 3; do # a server that cannot go on in the middle makes curl begin anew
            if curl -fL --retry 3 --no-progress-meter --continue-at - --output "$target.partial" "$source"; then break; fi
            case $? in
            33 | 36) rm -f "$target.partial" ;;
            23) refuse "$target: cannot be written ($(room) GB free in $scratch, or less by your quota); free some, run again to go on" ;;
            22) [ "$attempt" = 3 ] && refuse "$source: not to be had (an address that is wrong, or needs a login)" ;;
            esac
            [ "$attempt" = 3 ] && refuse "$source: could not be fetched; run again to go on with $target.partial"
        done
        ;;
    *)
        [ -f "$source" ] || refuse "$source: no such file"
        cp "$source" "$target.partial" || refuse "$target: cannot be written ($(room) GB free in $scratch, or less by your quota); free some, run again"
        ;;
    esac
    local seen
    seen=$(sum_of "$target.partial")
    if [ -n "$digest" ] && [ "$seen" != "$digest" ]; then
        rm -f "$target.partial"
        refuse "$source: sha256 is $seen, and should be $digest: cut short or altered; it was removed, run again"
    fi
    [ -n "$digest" ] || echo "$source: nobody says its sha256; it is $seen" >&2
    mv "$target.partial" "$target"
    seal "$target" "$seen"
}

# seal FILE DIGEST: as verified, and by which size and time it is known again.
seal() {
    printf '%s  %s\n' "$2" "$(basename "$1")" >"$1.sha256"
    echo "$(stat -c '%s %Y' "$1") $2" >"$1.verified"
    echo "verified: $1, sha256 $2"
}

if [ -n "$image" ]; then
    fetch "$image" "$scratch/firstsight.sif" "$(expected "$image" "$image_sum")"
    # As containers/build writes it: records then name the image without hashing it.
    printf '{\n "sha256": "%s",\n "size": %s,\n "modified": %s\n}\n' "$(head -c 64 "$scratch/firstsight.sif.sha256")" \
        $(stat -c '%s %Y' "$scratch/firstsight.sif") >"$scratch/firstsight.sif.json"
fi

# --- Hugging Face -------------------------------------------------------------------------------------------------------
export HF_HOME=$scratch/weights HF_HUB_DISABLE_TELEMETRY=1
readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# hub REPO REVISION [FOLDER]: weights into the cache, every shard of their index; with FOLDER a data set, into it. By the
# library, as patterns mean different things to `hf` of different years.
hub() {
    local python name
    if [ -f "$scratch/firstsight.sif" ] && command -v "${APPTAINER:-apptainer}" >/dev/null; then
        # By the environment: a token that stands in a command line is seen by everybody on the node.
        for name in HF_TOKEN HF_HOME HF_ENDPOINT HF_HUB_DISABLE_TELEMETRY http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
            [ -z "${!name:-}" ] || export "APPTAINERENV_$name=${!name}"
        done
        "${APPTAINER:-apptainer}" exec --cleanenv --no-home --bind "$scratch" "$scratch/firstsight.sif" python -c "$HUB" "$@"
        return
    fi
    for python in ${PYTHON:-} "$HERE/.venv/bin/python" python3; do
        if "$python" -c 'import huggingface_hub' 2>/dev/null; then
            "$python" -c "$HUB" "$@"
            return
        fi
    done
    refuse "no huggingface_hub here, and no image to find it in: --image first, or PYTHON=/path/to/a/python that has it"
}
readonly HUB='
import json, sys
from pathlib import Path
from huggingface_hub import snapshot_download

repository, revision, *into = sys.argv[1:]
try:
    if into:
        snapshot_download(repository, repo_type="dataset", local_dir=into[0])
        sys.exit()
    wanted = ["*.safetensors", "*.json", "*.txt", "*.model"]  # no pickles, no code
    folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
except Exception as error:
    sys.exit(" ".join(f"{type(error).__name__}: {error}".split())[:400])
index = folder / "model.safetensors.index.json"
shards = sorted({*json.loads(index.read_bytes())["weight_map"].values()}) if index.exists() else ["model.safetensors"]
absent = [name for name in ("config.json", *shards) if not (folder / name).is_file()]
if absent:
    sys.exit(f"{folder}: no {absent[0]}" + (f" and {len(absent) - 1} more" if absent[1:] else ""))
print(f"whole: {repository}, {len(shards)} of {len(shards)} shards")
'

# blobs FOLDER: every file of a Hugging Face cache is named by its digest: sha256 for the large, git's sha1 for the small.
blobs() {
    local folder=$1 blob name seen count=0 mark=$1/.verified
    touch "$mark"
    for blob in "$folder"/blobs/*; do
        name=${blob##*/}
        [ -f "$blob" ] || continue
        [[ $name != *.incomplete ]] || refuse "$folder: ${name%.incomplete} is incomplete; name the repository again to go on"
        count=$((count + 1))
        if [ -z "$verify" ] && grep -qxF "$name $(stat -c '%s %Y' "$blob")" "$mark"; then continue; fi
        case ${#name} in
        64) seen=$(sum_of "$blob") ;;
        40) seen=$({ printf 'blob %s\0' "$(stat -c %s "$blob")"; cat "$blob"; } | sha1sum | cut -d' ' -f1) ;;
        *) continue ;;
        esac
        if [ "$seen" != "$name" ]; then
            rm -f "$blob"
            refuse "$blob: altered (its digest is $seen); it was removed, name the repository again to fetch it"
        fi
        echo "$name $(stat -c '%s %Y' "$blob")" >>"$mark"
    done
    [ "$count" -gt 0 ] || refuse "$folder: nothing in it"
    echo "verified: ${folder##*/}, $count files by digest"
}

for repository in ${weights[@]+"${weights[@]}"}; do
    [[ $repository =~ ^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?$ ]] || refuse "--weights $repository: OWNER/NAME, or OWNER/NAME@REVISION"
    revision=''
    [[ $repository != *@* ]] || revision=${repository#*@}
    hub "${repository%@*}" "$revision" ||
        refuse "$repository: could not be fetched; if it asks for consent, give it on its page and export HF_TOKEN; run again to go on"
done
for repository in ${datasets[@]+"${datasets[@]}"}; do
    [[ $repository =~ ^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+$ ]] || refuse "--dataset $repository: OWNER/NAME"
    hub "$repository" '' "$scratch/data/${repository#*/}" ||
        refuse "$repository: could not be fetched; run again to go on"
    echo "there: $scratch/data/${repository#*/}"
done
for folder in "$HF_HOME"/hub/models--*; do
    [ -d "$folder" ] && blobs "$folder"
done

# --- data ---------------------------------------------------------------------------------------------------------------
for at in ${data[@]+"${!data[@]}"}; do
    source=${data[at]}
    name=$(basename "${source%%\?*}")
    fetch "$source" "$scratch/data/$name" "$(expected "$source" "${data_sums[at]}")"
    folder=$scratch/data/${name%%.*}
    digest=$(head -c 64 "$scratch/data/$name.sha256")
    case "$name" in
    *.tar | *.tar.gz | *.tgz | *.zip)
        if [ "$(cat "$folder.unpacked" 2>/dev/null)" != "$digest" ]; then
            rm -rf "$folder.partial"
            mkdir "$folder.partial"
            case "$name" in
            *.zip) python3 -m zipfile -e "$scratch/data/$name" "$folder.partial" ;;
            *) tar -xf "$scratch/data/$name" -C "$folder.partial" --no-same-owner ;;
            esac || refuse "$scratch/data/$name: cannot be unpacked ($(room) GB free in $scratch, or less by your quota)"
            rm -rf "$folder"
            mv "$folder.partial" "$folder"
            echo "$digest" >"$folder.unpacked"
        fi
        echo "unpacked: $folder"
        ;;
    esac
done

echo "$scratch: $(room) GB free, or less by your quota. Next: firstsight submit --pair NAME --cluster FILE --dry-run"
