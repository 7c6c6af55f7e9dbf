"""`steermoe launch --nproc N FILE`: run an experiment in several processes, on several GPUs or machines.

Under `srun`, each process of the step is one of them, and no number is given.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_runs, add_set, count

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    parser.add_argument("--nproc", type=count, metavar="N", help="processes on each machine, one a GPU")
    parser.add_argument(
        "--hostfile", type=Path, metavar="HOSTS", help="machines, a line for each: worker-1 slots=8"
    )
    parser.add_argument(
        "--include", default="", metavar="WHERE", help="machines and their GPUs: localhost:0,1 or a@b:0,2"
    )
    parser.add_argument(
        "--master-port", type=count, metavar="PORT", help="where processes meet (default a free one)"
    )
    add_set(parser)
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Check the experiment here, so that a mistake is told once; then start the processes."""
    from steermoe_core.config.resolve import resolve
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.run_folder import RunFolder
    from steermoe_core.study.compiler_locks import clear_locks
    from steermoe_core.study.launch import Places, become_rank, command, environment, launch
    from steermoe_core.system.slurm import step_ranks

    counted = args.nproc or args.hostfile or args.include
    ranks = None if counted else step_ranks(os.environ)
    places = Places.step(ranks) if ranks else Places.chosen(args.nproc, args.hostfile, args.include)
    resolved = resolve(args.file, args.set, session.registry)
    folder, train = RunFolder.of(resolved, args.runs).path, resolved.experiment.train
    words, variables = ["run", *_words(args)], environment(places, train)
    if ranks:
        port = {"MASTER_PORT": str(args.master_port)} if args.master_port else {}
        become_rank(folder, words, {**variables, **ranks, **port})
    words = command(places, args.master_port, folder, words)
    clear_locks(Console().note)
    return launch(words, variables, local=places.hostfile is None)


def _words(args: Namespace) -> list[str]:
    """Return the arguments of `steermoe run` in each process."""
    from steermoe_core.config.text.unset import Unset

    unset = [value for value in args.set if isinstance(value, Unset)]
    overrides = [value for value in args.set if not isinstance(value, Unset)]
    repeated = {
        "--unset": unset,
        "--set": overrides,
        "--block": args.block,
        "--runs": [str(args.runs)],
    }
    words = [word for flag, values in repeated.items() for value in values for word in (flag, value)]
    switches = {"--json": args.json, "--no-plugins": args.no_plugins, "--traceback": args.traceback}
    return [str(args.file), *words, *(flag for flag, on in switches.items() if on)]
