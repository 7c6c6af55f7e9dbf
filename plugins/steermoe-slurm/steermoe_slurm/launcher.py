"""Workers as an array of Slurm jobs, submitted by sbatch."""

from __future__ import annotations

import math
import shlex
import subprocess
from typing import TYPE_CHECKING

from steermoe_core import Launcher, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from steermoe_core import Workers
    from steermoe_slurm.config import SlurmConfig

#: The submitted script, in the folder of the sweep.
SCRIPT = "slurm.sh"
#: Seconds before the time limit at which a worker is told to write a checkpoint.
NOTICE = 120
#: Times that a killed worker returns to the queue.
RESTARTS = 3

#: The worker is in the background, since a shell acts on signals only while it waits. A signal of Slurm goes
#: to the shell, to the worker, or to both; the shell passes its own on.
_BODY = """
{command} &
worker=$!
trap 'told=yes; kill -USR1 $worker 2>/dev/null' USR1
trap 'kill -USR1 $worker 2>/dev/null' TERM
while :; do
    wait $worker
    code=$?
    kill -0 $worker 2>/dev/null || break
done

# 130: stopped by a signal, with a checkpoint. 137: killed, as for lack of memory. 138: ended by SIGUSR1,
# before it listened to signals.
case $code in
130 | 138) again=yes ;;
137) [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ] && again=yes ;;
esac
if [ -n "$again" ]; then
    # SLURM_JOB_ID of one job of an array is the number of the whole array. A job that Slurm ends, by SIGTERM,
    # is COMPLETING: a cancelled one stays cancelled, and Slurm itself requeues a preempted one.
    job="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
    if [ -n "$told" ] || scontrol show job "$job" | grep -q JobState=RUNNING; then
        scontrol requeue "$job"
    fi
fi
exit $code
"""


class Slurm(Launcher):
    """Submits the jobs; nothing has to wait for them."""

    def __init__(self, config: SlurmConfig) -> None:
        self.config = config

    def start(self, workers: Workers) -> str:
        script = workers.folder / SCRIPT
        script.write_text(self.script(workers), encoding="utf-8")
        job = _submitted(script)
        count = min(self.config.workers, workers.runs)
        noun = "worker" if count == 1 else "workers"
        return f"{count} {noun} as Slurm job {job}, logs {workers.folder}/slurm-{job}_*.log"

    def script(self, workers: Workers) -> str:
        """Return the batch script of every worker."""
        arguments = "".join(f"#SBATCH {shlex.quote(one)}\n" for one in self._arguments(workers))
        return f"#!/bin/bash\n{arguments}" + _BODY.format(
            command=shlex.join(workers.command), restarts=RESTARTS
        )

    def _arguments(self, workers: Workers) -> Iterator[str]:
        """Yield arguments of sbatch; of two that set the same, the later one holds."""
        config = self.config
        yield f"--job-name=steermoe-{workers.name}"
        yield f"--array=1-{min(config.workers, workers.runs)}"
        yield f"--output={workers.folder}/slurm-%A_%a.log"
        yield "--open-mode=append"
        yield "--requeue"
        yield f"--signal=B:USR1@{NOTICE}"
        if config.hours:
            yield f"--time={math.ceil(config.hours * 60)}"
        if config.partition:
            yield f"--partition={config.partition}"
        if config.gpus:
            yield f"--gpus={config.gpus}"
        yield from config.sbatch


def _submitted(script: Path) -> str:
    """Submit a script and return the number of its job.

    :raises SetupError: there is no sbatch, or it refuses.
    """
    try:
        command = ["sbatch", "--parsable", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - of the user's PATH
    except FileNotFoundError:
        msg = "there is no sbatch here: run the same command on a login node of the cluster"
        raise SetupError(msg) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        msg = f"sbatch did not take {script}: {reason[-1].removeprefix('sbatch: error: ')}"
        raise SetupError(msg) from error
    return done.stdout.strip().partition(";")[0]
