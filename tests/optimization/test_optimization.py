"""The optimizer of the plugin: groups of parameters, their learning rates, and fairseq's Adam as the reference."""

import copy
import json
import math
import re

import pytest
import torch
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from fairseq_models import CONFIG, PLUGIN, script, train_options
from fairseq_models import run as run_script
from invoked import refuse, run
from torch import nn

from focus_plugin.errors import FocusError
from focus_plugin.optimization.adam import FocusAdam, FocusAdamConfig
from focus_plugin.optimization.groups import freeze, group_of, mark_groups
from focus_plugin.trusted import trusted_globals

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(world):
    texts = ("--train", world.train, "--valid", world.valid)
    run("focus", "prepare", "--vocab", world.source, *texts, "--output", world.root / "data")
    return world.root / "data"


class Small(nn.Module):
    """A model with the names of fairseq's."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(11, 6)
        self.embed_positions = nn.Embedding(5, 6)
        self.layer = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.lm_head = nn.Linear(6, 11)

    def forward(self, ids):
        hidden = self.norm(self.layer(self.embed_tokens(ids) + self.embed_positions.weight[: ids.shape[1]]).tanh())
        return self.lm_head(hidden)


def trained(optimizer, model, steps):
    draw = torch.Generator().manual_seed(3)
    for _ in range(steps):
        ids = torch.randint(11, (4, 5), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
        optimizer.step()
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def config(kind, **options):
    return kind(adam_betas="(0.9, 0.98)", adam_eps=1e-12, lr=[0.01], tpu=False, **options)


def test_with_one_rate_it_is_fairseqs_adam():
    torch.manual_seed(1)
    model = Small()
    twin = copy.deepcopy(model)
    mark_groups(model)
    ours = trained(FocusAdam(config(FocusAdamConfig, embedding_lr_ratio=1.0), model.parameters()), model, 6)
    theirs = trained(FairseqAdam(config(FairseqAdamConfig), list(twin.parameters())), twin, 6)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-6, rtol=1e-5)


def test_only_rows_and_bias_of_tokens_have_the_higher_rate():
    torch.manual_seed(1)
    model = Small()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    mark_groups(model)
    after = trained(FocusAdam(config(FocusAdamConfig, embedding_lr_ratio=7.0), model.parameters()), model, 1)
    for name, value in after.items():
        moved = (value - before[name]).abs().max().item()
        of_tokens = name in ("embed_tokens.weight", "lm_head.weight", "lm_head.bias")
        assert moved == pytest.approx(0.07 if of_tokens else 0.01, rel=1e-3), name  # Adam's first step is the rate


class Deep(nn.Module):
    """Parameters with names as those of fairseq's encoder with two layers, and of a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(11, 6),
                "embed_positions": nn.Embedding(11, 6),
                "layernorm_embedding": nn.LayerNorm(6),
                "layers": nn.ModuleList([nn.ModuleDict({"fc1": nn.Linear(6, 6)}) for _ in range(2)]),
            }
        )
        self.head = nn.Linear(6, 11)

    def forward(self, ids):
        encoder = self.encoder
        hidden = encoder["layernorm_embedding"](encoder["embed_tokens"](ids) + encoder["embed_positions"](ids))
        for layer in encoder["layers"]:
            hidden = layer["fc1"](hidden).tanh()
        return self.head(hidden)


def test_the_rate_falls_from_layer_to_layer():
    torch.manual_seed(1)
    model = Deep()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    mark_groups(model)
    chosen = config(FocusAdamConfig, embedding_lr_ratio=1.0, layer_lr_decay=0.5)
    after = trained(FocusAdam(chosen, model.parameters()), model, 1)
    for name, value in after.items():
        above = 0 if name.startswith("head") else 1 if ".1." in name else 2 if ".0." in name else 3
        moved = (value - before[name]).abs().max().item()
        assert moved == pytest.approx(0.01 * 0.5**above, rel=1e-3), name  # Adam's first step is the rate


@pytest.mark.parametrize(("layers", "trained"), [(0, ("layers.0.", "layers.1.", "head.")), (2, ("head.",))])
def test_frozen_parameters_are_those_below(layers, trained):
    model = Deep()
    mark_groups(model)
    freeze(model, layers)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == any(part in name for part in trained), name


def test_decay_reaches_the_matrices_of_the_body_alone():
    model = Small()
    decayed = {name for name, parameter in model.named_parameters() if group_of(name, parameter).decayed}
    assert decayed == {"layer.weight"}


def test_a_schedule_moves_all_rates_in_proportion():
    model = Small()
    mark_groups(model)
    optimizer = FocusAdam(config(FocusAdamConfig, embedding_lr_ratio=4.0), model.parameters())
    optimizer.set_lr(0.5)
    assert optimizer.get_lr() == 0.5
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert rates[id(model.embed_tokens.weight)] == rates[id(model.lm_head.bias)] == 2.0
    assert rates[id(model.embed_positions.weight)] == rates[id(model.norm.weight)] == 0.5


def test_a_model_of_another_plugin_is_refused():
    with pytest.raises(FocusError, match="needs an --arch of this plugin"):
        FocusAdam(config(FocusAdamConfig), Small().parameters())


@pytest.mark.parametrize("precision", [(), ("--bf16", "--fp16-no-flatten-grads")])
def test_plain_fairseq_train_has_it(data, tmp_path, precision):
    """Resumed, too: the second run goes on from the first's checkpoint."""
    options = train_options(data, tmp_path, 2)
    at = options.index("--optimizer")
    options[at + 1] = "focus_adam"
    command = [script("fairseq-train"), *PLUGIN, "--arch", "focus_roberta", *shape(), *precision]
    for updates in (2, 4):
        options[options.index("--max-update") + 1] = str(updates)
        done = run_script(*command, *options, "--embedding-lr-ratio", "3")
        assert done.returncode == 0, done.stdout
        with trusted_globals():
            state = torch.load(tmp_path / "checkpoint_last.pt")
        assert state["optimizer_history"][-1]["num_updates"] == updates
        groups = state["last_optimizer_state"]["param_groups"]
        rates = sorted(group["lr"] / groups[0]["lr"] for group in groups)
        assert rates == pytest.approx([1, 1, 3])


def shape():
    return (
        *("--encoder-layers", str(CONFIG.layers), "--encoder-embed-dim", str(CONFIG.width)),
        *("--encoder-ffn-embed-dim", str(CONFIG.feedforward), "--encoder-attention-heads", str(CONFIG.attention_heads)),
        *("--max-positions", str(CONFIG.max_positions)),
    )


@pytest.mark.parametrize(("passes", "dropout"), [(10.1, "0.0"), (11, "0.1")])
def test_a_text_that_is_read_more_than_ten_times_has_dropout(world, data, tmp_path, passes, dropout):
    tokens = json.loads((data / "focus.json").read_text())["counts"]["train"]["tokens"]
    schedule = ("--updates", 1, "--batch-tokens", int(passes * tokens), "--device-tokens", 500)
    done = run("focus", "train", data, "--init", world.source, *schedule, "--output", tmp_path / "out", "--cpu")
    given = dict(re.findall(r"--(\S+) ([^\s-]\S*)", done.stdout + done.stderr))
    assert (given["dropout"], given["attention-dropout"]) == (dropout, dropout)
    assert f"The training reads its text {passes:.1f} times." in done.stderr


def test_focus_train_has_a_recipe(world, data, tmp_path):
    train = ("focus", "train", data, "--init", world.source, "--updates", 4, "--batch-tokens", 500)
    given = {}
    for recipe in ("adapt", "plain"):
        output = tmp_path / recipe
        done = run(*train, "--device-tokens", 500, "--recipe", recipe, "--output", output, "--cpu")
        given[recipe] = dict(re.findall(r"--(\S+) ([^\s-]\S*)", done.stdout + done.stderr))
        assert json.loads((output / "focus.json").read_text())["options"]["recipe"] == recipe
    adapt, plain = given["adapt"], given["plain"]
    assert (adapt["optimizer"], adapt["dropout"], adapt["embedding-lr-ratio"]) == ("focus_adam", "0.0", "10.0")
    assert math.isclose(float(adapt["lr"]), 0.128 / CONFIG.width)
    assert (plain["optimizer"], plain["dropout"], plain["lr"]) == ("adam", "0.1", "5e-05")
    assert "embedding-lr-ratio" not in plain
    assert (adapt["mask-prob"], plain["mask-prob"]) == ("0.4", "0.15")
    done = run(*train, "--lr", 0, "--device-tokens", 500, "--recipe", "plain", "--output", tmp_path / "zero", "--cpu")
    assert re.search(r"--lr 0(\.0)? ", done.stdout + done.stderr), "a rate of zero is not the default"
    refuse(*train, "--output", tmp_path / "x", "--cpu", "--", "--memory-efficient-bf16", says="--recipe plain")
