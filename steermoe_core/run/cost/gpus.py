"""GPUs by name: peak rates, memory and bandwidth as their makers state them, and what of these is reached.

Rates are dense (no sparsity), with fp32 accumulation. fp32 is that of ordinary arithmetic, because torch uses
TF32 only on request. Sources: the data sheets of NVIDIA H100/H200 (SXM5), A100 (SXM4, 80 GB), HGX B200, L4,
L40S, A10, and the white papers of the Ada (RTX 4090) and Ampere (RTX 3090) architectures.
"""

from __future__ import annotations

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.suggest import did_you_mean

#: Share of the peak rate that large matrix products reach, 600 of 989 TFLOP/s on an H100.
MATRIX = 0.6
#: Share of the bandwidth that elementwise kernels reach, 3.0 of 3.35 TB/s on an H100.
BANDWIDTH = 0.9
#: Seconds in which the host launches a kernel: torch without graphs or compilation.
LAUNCH = 5e-6
#: Share of the memory that tensors can take: the CUDA context and fragments take the rest.
MEMORY = 0.92


@attrs.frozen
class Gpu:
    """A GPU.

    :param half: FLOP/s of matrix products in bf16 and fp16.
    :param single: FLOP/s in fp32.
    :param bandwidth: of its memory, in bytes/s.
    :param memory: in bytes.
    """

    name: str
    half: float
    single: float
    bandwidth: float
    memory: float


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("b200", half=2250e12, single=75e12, bandwidth=7.7e12, memory=180e9),
        Gpu("h200", half=989e12, single=67e12, bandwidth=4.8e12, memory=141e9),
        Gpu("h100", half=989e12, single=67e12, bandwidth=3.35e12, memory=80e9),
        Gpu("a100", half=312e12, single=19.5e12, bandwidth=2.04e12, memory=80e9),
        Gpu("l40s", half=362e12, single=91.6e12, bandwidth=0.864e12, memory=48e9),
        Gpu("a10", half=125e12, single=31.2e12, bandwidth=0.6e12, memory=24e9),
        Gpu("l4", half=121e12, single=30.3e12, bandwidth=0.3e12, memory=24e9),
        Gpu("rtx4090", half=165e12, single=82.6e12, bandwidth=1.008e12, memory=24e9),
        Gpu("rtx3090", half=71e12, single=35.6e12, bandwidth=0.936e12, memory=24e9),
    )
}


def gpu_called(name: str) -> Gpu:
    """Return a GPU by its name.

    :raises UsageError: there is none of that name.
    """
    if name.lower() not in GPUS:
        known = ", ".join(GPUS)
        msg = f"no GPU is called {name!r}{did_you_mean(name.lower(), GPUS)} (known: {known})"
        raise UsageError(msg)
    return GPUS[name.lower()]
