#!/usr/bin/env bash
# A sweep on SLURM: one Ray over the nodes of a job, and the sweep's driver on the first of them.
#
# In the project's folder, on a file system that all nodes mount, with `.venv` made by `make setup`:
#   sbatch --nodes=4 --gpus-per-node=4 deploy/slurm.sh --scale gpu --configs 64
#
# Arguments are flags of sweeps/gan_loss_weights.py. Settings from the environment of `sbatch`:
#   SWEEP_SCRIPT   another script of sweeps/ [gan_loss_weights]
#   SWEEP_NAME     the sweep's name [slurm-JOBID]; that of an interrupted sweep resumes it
#   SWEEP_STORAGE  the folder that all nodes mount [runs, in the project's folder]
#   RAY_HEAD_IP    an address of the first node that the others reach [the first of `hostname -I`]
#
# Five minutes before its time is up the sweep stops and saves, and the job is requeued. A job that comes back, for this
# reason or after a preemption or the loss of a node, resumes its sweep. `scancel JOBID` ends it for good.
#
#SBATCH --job-name=adsweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=1-00:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=adsweep-%j.log

set -euo pipefail

script=${SWEEP_SCRIPT:-gan_loss_weights}
name=${SWEEP_NAME:-slurm-$SLURM_JOB_ID}
storage=${SWEEP_STORAGE:-$SLURM_SUBMIT_DIR/runs}

cd "$SLURM_SUBMIT_DIR"
if [ ! -f "sweeps/$script.py" ]; then
    echo "error: $SLURM_SUBMIT_DIR has no sweeps/$script.py; call sbatch in the project's folder" >&2
    exit 2
fi
PATH=$SLURM_SUBMIT_DIR/.venv/bin:$PATH
export PATH PYTHONPATH=$SLURM_SUBMIT_DIR${PYTHONPATH:+:$PYTHONPATH}

# A token for this job alone, in the environment of its processes: no file holds it, and no command line.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
export RAY_TMPDIR=/tmp/ray-$SLURM_JOB_ID # /tmp/ray may be another user's, and names of sockets must be short
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600 # seconds; Ray's own 30 are short for Python on a network disk

# The batch script runs on the job's first node, which becomes Ray's head. By name the head might find 127.0.1.1.
head=${RAY_HEAD_IP:-$(hostname -I | cut -d' ' -f1)}
port=$((20000 + SLURM_JOB_ID % 10000)) # between Ray's worker ports and the system's ephemeral ones

if [ -f "$storage/$name/study.db" ]; then
    sweep=(--resume "$name")
else
    sweep=(--name "$name")
fi

# symmetric-run returns 0 if Ray does not start, and srun what the slowest node returns: the driver's own exit code
# counts, which its wrapper leaves here.
notes=$(mktemp -d)
# shellcheck disable=SC2016  # expanded on the head
wrapper='"${@:2}" & echo $! >"$1/pid"; wait $!; echo $? >"$1/exit"'
# shellcheck disable=SC2016  # expanded on each node
on_each_node='exec ray symmetric-run --address "$1" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_ON_NODE" -- "${@:2}"'

stopped=
# shellcheck disable=SC2329  # called by the trap
stop() {
    stopped=yes
    if [ -s "$notes/pid" ]; then
        kill -USR1 "$(cat "$notes/pid")" # the driver alone: in Ray's processes the signal would end the cluster
    else
        kill "$step"
    fi
}

# --cpu-bind=none: a step's single task would be bound to one core.
srun --ntasks-per-node=1 --cpu-bind=none --kill-on-bad-exit=1 --wait=30 \
    bash -c "$on_each_node" symmetric-run "$head:$port" \
    bash -c "$wrapper" driver "$notes" \
    python "sweeps/$script.py" "${sweep[@]}" --address "$head:$port" --storage "$storage" "$@" &
step=$!
trap stop USR1
wait "$step" || true # also ended by the signal
wait "$step" || true

code=$(cat "$notes/exit" 2>/dev/null || echo none)
if [ -s "$notes/pid" ]; then
    srun --ntasks-per-node=1 rm -rf "$RAY_TMPDIR"
elif [ -z "$stopped" ]; then
    echo "error: Ray did not start on all nodes; its logs are in $RAY_TMPDIR there" >&2
fi
rm -rf "$notes"
case $code in
    none | 130)
        if [ -n "$stopped" ]; then
            echo "the time of this job is up: it is requeued, and resumes $name"
            scontrol requeue "$SLURM_JOB_ID"
        fi
        exit 1
        ;;
    *) exit "$code" ;;
esac
