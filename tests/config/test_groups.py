"""Tables by parameter group take exactly the groups of the chosen components."""

from __future__ import annotations

import pytest

from steermoe_core.component import Component
from steermoe_core.config.groups import declared, groups_of, installed_groups
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError, PluginError

STEERING = ["adapter.use=steering"]


def problems(path, flags, registry):
    """Return the problems of an experiment."""
    with pytest.raises(ConfigError) as caught:
        resolve(path, flags, registry)
    return caught.value.problems


class TestRates:
    """`[train.learning_rate]`."""

    def test_are_filled_with_the_defaults_of_the_components(self, minimal, registry):
        """The resolved table has a rate for each group, and for no other."""
        resolved = resolve(minimal, [*STEERING, "train.learning_rate.router=0.5"], registry)

        assert resolved.table["train"]["learning_rate"] == {
            "projector": 1e-3, "steering": 1e-3, "router": 0.5,
        }  # fmt: skip
        assert resolved.experiment.train.learning_rate == resolved.table["train"]["learning_rate"]
        assert "learning_rate]\nprojector = 0.001 " in resolved.blame()

    def test_resolve_to_themselves(self, minimal, registry, tmp_path):
        """The resolved file has the same digest."""
        resolved = resolve(minimal, STEERING, registry)
        again = tmp_path / "experiment.toml"
        again.write_text(resolved.to_toml(), encoding="utf-8")

        assert resolve(again, [], registry).digest == resolved.digest

    @pytest.mark.parametrize(
        ("name", "code", "hint"),
        [
            ("houlsby", "E102", 'groups of this experiment: projector (projector "linear")'),
            ("projektor", "E102", 'did you mean "projector"?'),
            ("steering", "E302", 'steering is trained by adapter "steering"'),
        ],
    )
    def test_of_another_group_are_refused(self, name, code, hint, minimal, registry):
        """The place is the key; the hint lists the groups and the component that trains each."""
        minimal.write_text(minimal.read_text() + f"learning_rate.{name} = 1e-3\n")

        (problem,) = problems(minimal, [], registry)

        assert (problem.code, problem.line, problem.column) == (code, 17, len("learning_rate.") + 1)
        assert hint in problem.hint

    def test_of_another_group_are_reported_with_other_faults(self, minimal, registry):
        """All errors at once."""
        found = problems(minimal, ["train.stepz=1", "train.learning_rate.houlsby=1"], registry)
        assert [problem.path for problem in found] == [
            ("train", "stepz"),
            ("train", "learning_rate", "houlsby"),
        ]


class TestExtendedFiles:
    """Rates for several variants in one base file."""

    @pytest.fixture
    def file(self, minimal, tmp_path):
        """Return a file that extends one with a rate for steering, which is no longer chosen."""
        minimal.write_text(minimal.read_text() + "learning_rate = { projector = 2e-3, steering = 5e-3 }\n")
        path = tmp_path / "plain.toml"
        path.write_text('extends = "tiny.toml"\n[adapter]\nuse = "none"\n')
        return path

    def test_may_set_them_below_the_choice(self, file, registry):
        """What is below the choice of the adapter is left out where that adapter does not train it."""
        assert resolve(file, [], registry).experiment.train.learning_rate == {"projector": 2e-3}
        assert resolve(file, STEERING, registry).experiment.train.learning_rate["steering"] == 5e-3

    def test_may_not_name_a_group_of_no_component(self, file, minimal, registry):
        """A misspelt name is an error wherever it is."""
        minimal.write_text(minimal.read_text().replace("steering =", "sterring ="))
        (problem,) = problems(file, [], registry)
        assert (problem.code, problem.file) == ("E102", str(minimal))

    def test_a_rate_above_the_choice_is_an_error(self, file, registry):
        """It was meant to have an effect."""
        (problem,) = problems(file, ["train.learning_rate.steering=1"], registry)
        assert problem.code == "E302"

    def test_a_flag_may_choose_another_adapter(self, minimal, registry):
        """An ablation by `--set` needs no other flag."""
        text = minimal.read_text() + "learning_rate.steering = 5e-3\n[adapter]\nuse = 'steering'\n"
        minimal.write_text(text)
        flag = 'adapter={use="none"}'
        assert resolve(minimal, [flag], registry).experiment.train.learning_rate == {"projector": 1e-3}


class TestClipAndDecay:
    """A number for all groups, or a table."""

    def test_by_group(self, minimal, registry):
        """A group that is left out has the default."""
        flags = [*STEERING, "train.clip={steering=2.0}", "train.weight_decay={router=0.0}"]
        train = resolve(minimal, flags, registry).experiment.train

        assert [train.clip_of(name) for name in ("steering", "router", "projector")] == [2.0, 1.0, 1.0]
        assert [train.decay_of(name) for name in ("steering", "router")] == [0.01, 0.0]

    def test_one_number(self, minimal, registry):
        """As before."""
        train = resolve(minimal, ["train.clip=5", "train.weight_decay=0.5"], registry).experiment.train
        assert (train.clip_of("projector"), train.decay_of("projector")) == (5.0, 0.5)

    @pytest.mark.parametrize(
        ("flag", "message"),
        [
            ("train.clip={projector=0.0}", "projector must be > 0.0, is 0.0"),
            ("train.weight_decay={projector=11}", "projector must be <= 10.0, is 11.0"),
            ("train.weight_decay={steering=1}", "no chosen component trains"),
        ],
    )
    def test_limits_and_groups(self, flag, message, minimal, registry):
        """The place is the entry."""
        (problem,) = problems(minimal, [flag], registry)
        assert message in problem.message


class TestSeveralAdapters:
    """`[[adapter]]`."""

    def test_have_the_groups_of_all(self, minimal, registry):
        """One adapter is written as a table, several as a list."""
        both = 'adapter=[{use="steering"}, {use="none"}]'
        resolved = resolve(minimal, [both], registry)

        assert [one.name for one in resolved.experiment.adapter] == ["steering", "none"]
        assert {*resolved.experiment.train.learning_rate} == {"projector", "steering", "router"}
        assert "[[adapter]]" in resolved.to_toml()
        assert "[adapter]" in resolve(minimal, STEERING, registry).to_toml()

    def test_a_trained_one_stands_alone(self, minimal, registry):
        """It brings the adapters of its run."""
        (problem,) = problems(minimal, ['adapter=["hub:ada/ears", {use="steering"}]'], registry)
        assert "has to be the only one" in problem.message


def test_undeclared_groups():
    """Of a projector they are known; of an adapter nothing is."""
    part = Component(name="x", api=1, summary="x", config="a:B", factory="a:B")
    assert declared("projector", part) == {"projector": 1e-3}
    assert declared("adapter", part) is None


def test_groups_name_the_components_that_train_them(minimal, registry):
    """Of the chosen, and of all that are installed."""
    experiment = resolve(minimal, STEERING, registry).experiment
    groups = groups_of(experiment.projector, experiment.adapter, registry)

    assert groups.known["router"].component == 'adapter "steering"'
    assert installed_groups(registry)["projector"].names[0] == "linear"


@pytest.mark.parametrize("groups", [{"Steering": 1e-3}, {"a.b": 1.0}, {"x": -1.0}, {"x": float("nan")}])
def test_a_record_declares_valid_groups(groups):
    """A name that TOML takes without quotes, a finite rate."""
    with pytest.raises(ValueError, match="group"):
        Component(name="x", api=1, summary="x", config="a:B", factory="a:B", groups=groups)


def test_groups_of_a_missing_component_are_not_known(minimal, registry):
    """It is reported; the rates of its groups are no mistakes."""
    with pytest.raises(PluginError, match="E201"):
        resolve(minimal, ["adapter.use=houlsby", "train.learning_rate.houlsby=1e-3"], registry)
