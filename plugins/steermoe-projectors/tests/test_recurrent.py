"""Recurrent layers before a head: what they compute, and that the head keeps its losses and its start."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from steermoe_core import Padded, PoolConfig, Selection
from steermoe_core.cli.main import main
from steermoe_core.model.config import LinearConfig, SoftCtcConfig
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_projectors.config import RecurrentConfig
from steermoe_projectors.recurrent import BidirectionalGru, RecurrentProjector
from tests.parts import decoder
from tests.rig import metrics, texts, trained

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
LINEAR = LinearConfig(pool=PoolConfig(kind="none"))
HEADS = {"linear": LinearProjector, "soft-ctc": SoftCtcProjector}
#: In a whole run.
RUN = 'projector={use="recurrent", width=8, span=2, mask=0.3, head={use="soft-ctc", start_steps=3}}'


def build_head(chosen, *given):
    """Build a head, as the engine does."""
    return HEADS[chosen.name](chosen.config, *given)


def head(config=LINEAR, name="linear"):
    """Return the choice of a head."""
    return Selection("projector", name, config)


@pytest.fixture
def build(decoder_folder):
    """Return a function that builds a projector from settings."""

    def built(**settings):
        torch.manual_seed(0)
        config = RecurrentConfig(**{"width": 5, "head": head(), **settings})
        return RecurrentProjector(config, 6, decoder(decoder_folder), build_head)

    return built


def frames(*lengths):
    """Return clips of random frames, with a padding that is not zero."""
    generator = torch.Generator().manual_seed(1)
    return Padded.stack([torch.randn(length, 6, generator=generator) for length in lengths], fill=9.0)


def test_a_layer_is_torchs_bidirectional_gru_on_a_packed_sequence():
    torch.manual_seed(0)
    layer, given = BidirectionalGru(6, 5), frames(7, 1, 4)
    reference = torch.nn.GRU(6, 5, batch_first=True, bidirectional=True)
    names = {name: name.removesuffix("_reverse") for name in reference.state_dict()}
    reference.load_state_dict(
        {n: (layer.forwards if n == own else layer.backwards).state_dict()[own] for n, own in names.items()}
    )

    packed = pack_padded_sequence(given.values, given.lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)

    found = Padded(layer(given), given.lengths).zeroed().values
    torch.testing.assert_close(found, expected, **CLOSE)


def test_the_head_sees_the_frames_and_what_the_layers_add(build):
    projector, given = build().eval(), frames(7, 4)
    torch.nn.init.zeros_(projector.output.weight)
    torch.nn.init.zeros_(projector.output.bias)

    found, alone = projector(given)[0], projector.head(given)[0]

    torch.testing.assert_close(found.zeroed().values, alone.zeroed().values, **CLOSE)


def test_every_frame_knows_all_others(build):
    projector, given = build(layers=1).eval(), frames(6)
    given.values.requires_grad_()

    projector(given)[0].values[0, 2].sum().backward()

    assert given.values.grad[0].any(1).all()


def test_dropout_and_masks_belong_to_training(build):
    given = frames(40)
    for settings in ({"dropout": 0.5, "mask": 0.0}, {"dropout": 0.0, "mask": 0.5}):
        projector = build(**settings)
        assert not torch.equal(projector(given)[0].values, projector(given)[0].values)
        projector.eval()
        assert torch.equal(projector(given)[0].values, projector(given)[0].values)


def test_masks_are_spans_of_about_the_asked_share(build):
    projector = build(mask=0.2, span=5)
    masked = projector._masked(torch.ones(1, 20_000, 6))[0] == 0  # (T,6)

    assert (masked.all(1) == masked.any(1)).all()
    runs = torch.diff(masked[:, 0].int(), prepend=torch.zeros(1)).clamp_min(0).sum()
    assert masked.float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert masked[:, 0].sum() >= 5 * (runs - 1)


def test_starts_weighs_and_names_its_loss_as_the_head_does(build):
    settings = SoftCtcConfig(start_steps=7, weight=0.25)
    projector = build(head=head(settings, "soft-ctc"))

    assert (projector.start_steps, projector.loss_weight, projector.loss_name) == (7, 0.25, "ctc")
    assert projector.begin_batches == 0
    assert build(head=head(LinearConfig(start="ridge"))).begin_batches == 64


def test_counts_tokens_after_both_poolings(build):
    projector = build(pool=PoolConfig(kernel=2), head=head(LinearConfig(pool=PoolConfig(kernel=3))))

    assert projector.tokens(13) == 3
    assert projector(frames(13))[0].lengths.tolist() == [3]


def test_count_of_the_default_size():
    """Two layers of 320 on Whisper base's 512, with a map to the 576 of SmolLM2-135M: 4.1 million."""
    with torch.device("meta"):
        projector = RecurrentProjector(
            RecurrentConfig(head=head()), 512, SimpleNamespace(width=576, embed=None), build_head
        )

    layers = 2 * (3 * 320 * (512 + 320 + 2) + 3 * 320 * (640 + 320 + 2))
    rest = 2 * 512 + 640 * 512 + 512 + 512 * 576 + 576  # norm, the map back, the head
    assert sum(p.numel() for p in projector.parameters()) == layers + rest == 4_073_024


class TestRun:
    """Whole runs with a soft-CTC head."""

    def test_trains_scores_and_is_read_again(self, rig):
        run = rig.run(RUN)
        before = texts(run)

        assert main(["evaluate", str(run), "--again"]) == 0
        assert texts(run) == before
        names = load_file(run / "adapter" / "adapter.safetensors")
        assert {"projector.layers.1.backwards.weight_hh_l0", "projector.head.vocabulary"} <= set(names)
        assert all(set(line["losses"]) == {"ctc"} for line in metrics(run))

    def test_resumes_to_the_same_numbers(self, rig, tmp_path, monkeypatch):
        monkeypatch.setenv("RIG", "interrupt@3")
        rig.run(RUN, expect=130)
        monkeypatch.delenv("RIG")
        resumed = rig.run(RUN)
        rig.runs = tmp_path / "straight"
        straight = rig.run(RUN)

        assert trained(resumed) == trained(straight)
        assert metrics(resumed) == metrics(straight)

    @pytest.mark.filterwarnings("default")  # of what DeepSpeed imports
    def test_trains_alike_on_kept_frames_and_with_split_weights(self, rig):
        plain = rig.run(RUN, 'adapter={use="none"}')
        split = rig.run(RUN, 'adapter={use="none"}', "train.keep_frames=true", "train.deepspeed={stage=3}")

        for one, other in zip(metrics(plain), metrics(split), strict=True):
            assert other["losses"] == pytest.approx(one["losses"], rel=1e-3)

    def test_its_head_is_chosen_beside_a_trained_adapter(self, rig, capsys):
        """The adapter's projector comes along only where no other is named."""
        run = rig.run(RUN)
        capsys.readouterr()
        sets = ["--set", f'adapter="{run}"', "--set", 'projector={use="recurrent"}']

        assert main(["config", str(rig.file), *sets]) == 0

        assert '[projector.head]\nuse = "soft-ctc"\n' in capsys.readouterr().out

    def test_is_planned_with_its_memory(self, rig, capsys):
        assert main(["plan", str(rig.file), "--set", RUN, "--seconds", "1", "--json"]) == 0

        assert '"unknown"' not in capsys.readouterr().out
