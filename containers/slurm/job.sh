# What every job does around its commands. Sourced by the sbatch files, which say before:
#   SCRATCH, RUN    the shared folder, and this run's own below it (logs/, state/, parts/)
#   IMAGE           the Apptainer image, run by APPTAINER; empty: PYTHON with the checkout at CHECKOUT
#   BINDS, MODULES, REQUEUES, GPUS
#
#   begin suites baseline int8     the job's name, and its array's tasks by label: says TASK and TASKS
#   firstsight make …              in the image or the checkout
#   suites --pair …                pytest suites, likewise
#   spread make …                  firstsight in a process for every GPU of every node: srun accelerate launch
#   finish                         all went well
#
# Signals: USR1 (SLURM's --signal=B:USR1@300, before the time limit) is passed to the command, which saves and ends; the
# job requeues itself and goes on with what was made and answered: only times are taken anew. TERM (preemption, scancel) is passed on as well, but whether the job comes
# back is SLURM's to say. A command that fails ends the job with its exit code: nothing that waits for it is run.
# shellcheck shell=bash
set -uo pipefail

: "${SCRATCH:?}" "${RUN:?}" "${IMAGE:=}" "${APPTAINER:=apptainer}" "${BINDS:=}" "${MODULES:=}" "${REQUEUES:=50}" "${GPUS:=0}"
AGAIN=75 # EX_TEMPFAIL: how a command says that it was stopped, saved, and is to be run again
CHILD='' ASKED='' PASSED='' JOB='' TASK='' NUMBER='' TASKS=0 STATE='' RESTARTS=${SLURM_RESTART_COUNT:-0}

begin() {
    JOB=$1
    shift
    TASKS=$#
    if ((TASKS)); then
        local at=$((SLURM_ARRAY_TASK_ID + 1))
        TASK=${!at}
        NUMBER=$(printf '%02d' "$at")
    fi
    STATE=$RUN/state/$JOB${TASK:+.$TASK}
    mkdir -p "$RUN/state" "$SCRATCH/artifacts" "$SCRATCH/results" || exit 2
    export FIRSTSIGHT_RESUME=$RUN/kept/$JOB${TASK:+.$TASK} # of this job alone: what a variant has answered so far
    trap 'ask USR1' USR1
    trap 'ask TERM' TERM
    note running 0
    echo "── $JOB${TASK:+ $TASK}: job ${SLURM_JOB_ID:-} on ${SLURMD_NODENAME:-this machine}, restart $RESTARTS, $(date +%FT%T)"
    if [[ -n $MODULES ]]; then
        # A shell that is no login shell may not know the command.
        if ! type module &>/dev/null; then
            set +u
            # shellcheck disable=SC1091
            source /etc/profile
            set -u
        fi
        # shellcheck disable=SC2086  # several words
        module load $MODULES || fail 2 "module load $MODULES"
    fi
    # Where containers/cluster_setup.sh put them, whatever a login shell's own files say.
    unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE
    export PYTHONUNBUFFERED=1 FIRSTSIGHT_BARS=lines HF_HUB_OFFLINE=1 HF_HOME=$SCRATCH/weights
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}
    if [[ -z $IMAGE ]]; then
        export PYTHONNOUSERSITE=1
        cd "$CHECKOUT" || fail 2 "no checkout at $CHECKOUT"
        INSIDE=()
        PYTHON=("$PYTHON")
        return
    fi
    [[ -r $IMAGE ]] || fail 2 "no image at $IMAGE: containers/cluster_setup.sh brings it"
    command -v "$APPTAINER" >/dev/null || fail 2 "no $APPTAINER on this node: name its module in the cluster file (modules)"
    # The image sees itself, so that records name it by its digest.
    INSIDE=("$APPTAINER" exec --cleanenv --no-home --pwd "$RUN" --bind "$SCRATCH,${IMAGE%/*}${BINDS:+,$BINDS}")
    if ((GPUS)); then INSIDE+=(--nv --env FIRSTSIGHT_NV=1); fi
    local name
    for name in PYTHONUNBUFFERED FIRSTSIGHT_BARS HF_HUB_OFFLINE HF_HOME OMP_NUM_THREADS FIRSTSIGHT_RESUME \
        "${!NCCL_@}" "${!GLOO_@}"; do
        if [[ -n ${!name:-} ]]; then INSIDE+=(--env "$name=${!name}"); fi
    done
    INSIDE+=("$IMAGE")
    PYTHON=(python)
    cards
}

# Which GPUs are ours, into the image: by the environment, as every node of a job has its own.
cards() {
    if [[ -n ${CUDA_VISIBLE_DEVICES:-} ]]; then export APPTAINERENV_CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES; fi
}

firstsight() { run ${INSIDE[@]+"${INSIDE[@]}"} "${PYTHON[@]}" -m harness.cli "$@"; }

suites() {
    if [[ -n $IMAGE ]]; then
        run "${INSIDE[@]}" pytest suites "$@"
    else
        run "${PYTHON[@]}" -m pytest -p no:cacheprovider suites "$@"
    fi
}

# On every node a launcher, which starts a process for each GPU. The launchers are deaf to USR1, or it would end them; the
# processes are not: they agree on a step, save, and end. Apptainer gives what it runs a signal's default back, so that a
# shell inside makes the launcher deaf.
spread() {
    local first
    first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    first=$(scontrol -o show node "$first" | grep -o 'NodeAddr=[^ ]*' | cut -d= -f2)
    local launch=(-m accelerate.commands.launch --num_machines "$SLURM_NNODES" --num_processes $((SLURM_NNODES * (GPUS > 0 ? GPUS : 1)))
        --main_process_ip "$first" --main_process_port $((20000 + SLURM_JOB_ID % 20000))
        --multi_gpu --mixed_precision no --dynamo_backend no)
    # srun has what this shell has: not --export=NONE, by which the job itself began, nor one core where it was given more.
    unset SLURM_EXPORT_ENV
    # shellcheck disable=SC2016  # each node's own shell says which node it is, and which GPUs it has
    run srun --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 \
        bash -c "$(declare -f cards)"'; trap "" USR1; cards; exec "${@//@RANK@/$SLURM_NODEID}"' spread \
        ${INSIDE[@]+"${INSIDE[@]}"} sh -c 'trap "" USR1; exec "$@"' launcher \
        "${PYTHON[@]}" "${launch[@]}" --machine_rank @RANK@ -m harness.cli "$@"
}

run() {
    if [[ -n $ASKED ]]; then stopped "$AGAIN"; fi
    "$@" &
    CHILD=$!
    # A signal that came before the shell knew its child was noted and not passed on.
    if [[ -n $ASKED && -z $PASSED ]]; then ask "$ASKED"; fi
    local code
    wait "$CHILD"
    code=$?
    while ((code > 128)) && kill -0 "$CHILD" 2>/dev/null; do # a signal woke us, and the command still runs
        wait "$CHILD"
        code=$?
    done
    CHILD=''
    if ((code == 0)); then return 0; fi
    if [[ -n $ASKED ]] || ((code == AGAIN)); then stopped "$code"; fi
    fail "$code"
}

ask() {
    echo "── $1 at $(date +%T): saving"
    if [[ $ASKED != USR1 ]]; then ASKED=$1; fi # a limit that is met while the command still saves: requeue all the same
    if [[ -n $CHILD ]]; then
        PASSED=$1
        kill -s "$1" "$CHILD" 2>/dev/null
    fi
}

stopped() {
    if [[ $ASKED != TERM ]]; then
        if ((RESTARTS >= REQUEUES)); then fail "$1" "requeued $RESTARTS times already (requeues in the cluster file)"; fi
        note requeued "$1"
        echo "── saved; requeued, to go on with what was made and answered; times are taken anew"
        scontrol requeue "$SLURM_JOB_ID" || fail "$1" "SLURM would not requeue it; submit again: what was made is kept"
    else
        note stopped "$1"
        echo "── saved; stopped by SLURM or by scancel"
    fi
    exit "$AGAIN"
}

fail() {
    note failed "$1"
    echo "── FAILED with exit code $1${2:+: $2}: $JOB${TASK:+ $TASK}; what waits for it is not run. What is wrong stands above;" \
        "mend it and submit again: what was made is kept"
    exit "$1"
}

finish() {
    rm -rf "$FIRSTSIGHT_RESUME"
    note done 0
    echo "── done, $(date +%FT%T)"
}

# Whole or not at all: `firstsight status` may read it at any time.
note() {
    printf 'state=%s\ncode=%s\njob=%s\narray=%s\nnode=%s\nrestarts=%s\nat=%s\n' "$1" "$2" "${SLURM_JOB_ID:-}" \
        "${SLURM_ARRAY_JOB_ID:-}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" "${SLURMD_NODENAME:-}" "$RESTARTS" "$(date +%s)" \
        >"$STATE.$$" && mv "$STATE.$$" "$STATE"
}
