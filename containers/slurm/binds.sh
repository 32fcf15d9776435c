# Which folders the image must see for what a command names. Sourced by containers/firstsight and by the single jobs;
# `firstsight submit` reckons the same for the jobs of a chain (harness/cluster/submit.py).
#
#   bound PATH…              A,B,…: each folder, of a file its folder, by its name and, where a link leads elsewhere, as it really is
#   data_path DATASET:P[:PART]   P: the longest reading that is there
#   paths_in FILE.yaml       the whole paths that a pair file (data.path, weights) or a cluster file (scratch) names, a line each
#   single                   of a single job: PAIR as a whole path, BINDS with all that PAIR and DATA need
# shellcheck shell=bash

bound() {
    local path at found=''
    for path in "$@"; do
        [[ -e $path ]] || continue
        for at in "$(realpath -s -- "$path")" "$(realpath -- "$path")"; do
            [[ -d $at ]] || at=${at%/*}
            if [[ $at == *[,:]* ]]; then
                echo "$at: Apptainer cannot bind a folder with a comma or a colon in its path: move it, or name it otherwise" >&2
                return 2
            fi
            [[ -z $at || $at == / || ,$found, == *,"$at",* ]] || found+=${found:+,}$at
        done
    done
    echo "$found"
}

data_path() {
    local path=${1#*:}
    while [[ ! -e ${path/#\~\//$HOME/} && $path == *:* ]]; do path=${path%:*}; done
    echo "${path/#\~\//$HOME/}"
}

paths_in() {
    local path name
    [[ -f $1 ]] || return 0
    sed -nE "s/^ *(path|weights|scratch): *[\"']?([/~\$][^\"'#]*[^\"'# ]).*/\2/p" "$1" | while read -r path; do
        path=${path/#\~\//$HOME/}
        if [[ $path =~ ^\$\{?([A-Za-z_]+)\}?(/.*)?$ ]]; then
            name=${BASH_REMATCH[1]}
            path=${!name:-}${BASH_REMATCH[2]:-}
        fi
        echo "$path"
    done
}

single() {
    local found file=$CHECKOUT/models/$PAIR.yaml
    if [[ $PAIR == *.yaml || $PAIR == *.yml || $PAIR == */* ]]; then
        file=$(cd "$CHECKOUT" && realpath -s -- "$PAIR")
        PAIR=$file
    fi
    if [[ -z $DATA ]] && grep -qE '^ *dataset: *synthetic\b' "$file" 2>/dev/null; then
        echo "$PAIR has no clips of its own: say which, --export=ALL,DATA=egothink:/path/to/EgoThink" >&2
        exit 2
    fi
    if [[ -z $IMAGE ]]; then return; fi
    mapfile -t found < <(paths_in "$file")
    [[ $file != "$PAIR" ]] || found+=("$file")
    [[ -z $DATA ]] || found+=("$(data_path "$DATA")")
    found=$(bound ${found[@]+"${found[@]}"}) || exit 2
    BINDS+=${found:+${BINDS:+,}$found}
}
