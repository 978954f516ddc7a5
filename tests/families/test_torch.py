"""The family `torch`: its networks against a plain loop of torch, users' modules, and what may be imported."""

from __future__ import annotations

import importlib
import logging
import sys
import types

import numpy as np
import pytest
import torch

from modelfleet.errors import BundleError, MissingExtraError, SpecError
from modelfleet.families import torch as torch_family
from modelfleet.families import torch_batches, trusted_modules
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family
from modelfleet.families.design import Layout, Standard, standardised

NETS = """
import torch

class Net(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first = torch.nn.Linear(inputs, 8)
        self.last = torch.nn.Linear(8, outputs)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

class Dropping(Net):
    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), 0.1, self.training)

class Normed(Net):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.norm = torch.nn.BatchNorm1d(inputs)

    def forward(self, x):
        return super().forward(self.norm(x) if len(x) > 1 or not self.training else x)

class Mixing(Net):
    def forward(self, x):
        return super().forward(x - x.mean(dim=0))

class Picky(torch.nn.Module):
    def __init__(self):
        super().__init__()
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """An installed distribution with the package `tiny_nets`."""
    package = tmp_path / "site" / "tiny_nets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(NETS)
    info = tmp_path / "site" / "tiny_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-nets\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("tiny_nets\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "tiny_nets"]:
        del sys.modules[name]


def with_module(name, **more):
    return {"module": f"tiny_nets.nets:{name}", "trusted_modules": ["tiny_nets"], "epochs": 40, **more}


def looped(shard, layout, index, start, epochs, rate, decay, regression=False):
    """Train one entity by torch's own layers, optimiser and differentiation; return its scores of its rows."""
    part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
    rows = shard.rows.take(part)
    every = np.arange(layout.levels)
    x = torch.from_numpy(standardised(layout, rows, every, Standard.of(rows.numbers))).float()
    target = torch.from_numpy(shard.target[part])
    weights = torch.ones(len(x)) if shard.weights is None else torch.from_numpy(shard.weights[part]).float()
    weights = weights / weights.sum()
    layers = []
    for weight, bias in zip(start[::2], start[1::2], strict=True):
        layer = torch.nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.T.clone(), bias[0].clone()
        layers += [layer, torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
    mean, scale = (target.mean(), target.std(correction=0)) if regression else (0.0, 1.0)
    for _ in range(epochs):
        adam.zero_grad()
        scores = net(x)
        if regression:
            each = (scores[:, 0] - ((target - mean) / scale).float()) ** 2
        else:
            each = torch.nn.functional.cross_entropy(scores, target.long(), reduction="none")
        (weights * each).sum().backward()
        adam.step()
    scores = net(x).detach()
    return scores * scale + mean if regression else torch.softmax(scores, dim=1)


@pytest.mark.parametrize(("task", "weighted"), [("binary", False), ("multiclass", True), ("regression", False)])
def test_trains_what_a_loop_of_torch_trains(make_schema, make_shard, task, weighted):
    schema = make_schema(task)
    shard = make_shard(schema, [33, 70, 41])
    if weighted:
        weights = np.random.default_rng(0).uniform(0.2, 3.0, len(shard.target))
        shard = TrainingShard(shard.entities, shard.bounds, shard.rows, shard.target, weights)
    parameters = {"hidden": [7, 5], "activation": "tanh", "epochs": 30, "learning_rate": 0.02, "weight_decay": 0.1}
    family = make_family("torch", schema, {**parameters, "device": "cpu"}, seed=4)
    network = family._network
    whole = network.start()
    shapes = [(15, 7), (1, 7), (7, 5), (1, 5), (5, schema.outputs), (1, schema.outputs)]
    start = [tensor[:a, :b] for tensor, (a, b) in zip(whole, shapes, strict=True)]
    predictor = family.load(family.fit(shard).models)
    for index in range(3):
        part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
        rows = shard.rows.take(part)
        expected = looped(shard, Layout.of(schema), index, start, 30, 0.02, 0.1, task == "regression").numpy()
        found = predictor.predict(rows, np.full(len(rows), index, dtype=np.int32))
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_each_entity_is_trained_alike_in_batches_of_any_size(make_schema, make_shard):
    schema = make_schema("multiclass")
    shard = make_shard(schema, np.random.default_rng(0).integers(5, 140, 40))
    base = {"hidden": [10], "epochs": 15, "device": "cpu"}
    tables = [make_family("torch", schema, {**base, "entities_per_step": n}).fit(shard).models for n in (1, 3, 64)]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_another_seed_gives_other_models_and_global_draws_are_left_alone(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [40])
    before = torch.random.get_rng_state()
    one, other = (make_family("torch", schema, {"epochs": 3}, seed=seed).fit(shard).models for seed in (1, 2))
    assert not one["weights"].equals(other["weights"])
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_number_of_threads_is_given_back(make_schema, make_shard):
    schema = make_schema("binary")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    make_family("torch", schema, {"epochs": 1}).fit(make_shard(schema, [30]))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_rows_are_reserved_by_size_alone():
    length = torch_batches.length_of(np.array([0, 1, 16, 17, 100, 128, 129, 1000, 90_000]))
    assert length.tolist() == [16, 16, 16, 32, 112, 128, 160, 1024, 98304]
    sizes = np.arange(1, 5000)
    reserved = torch_batches.length_of(sizes)
    assert (reserved >= sizes).all()
    assert (reserved[64:] < 1.25 * sizes[64:] + 16).all()
    assert (reserved % 16 == 0).all()


def test_blocks_hold_every_row_once():
    sizes = np.random.default_rng(0).integers(1, 60, 50)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows, units = [], []
    for block in torch_batches.blocks(first, sizes, torch_batches.length_of(sizes), most=7, cells=200):
        assert len(block.units) == 1 or len(block.units) * block.length <= 200
        assert len(set(block.at)) == len(block.row)
        np.testing.assert_array_equal(block.units[block.at // block.length], np.repeat(np.arange(50), sizes)[block.row])
        rows += block.row.tolist()
        units += block.units.tolist()
    assert sorted(rows) == list(range(sizes.sum()))
    assert sorted(units) == list(range(50))


def test_a_model_with_many_rows_is_predicted_in_parts(make_schema, make_shard, make_rows):
    schema = make_schema("binary")
    family = make_family("torch", schema, {"epochs": 5})
    predictor = family.load(family.fit(make_shard(schema, [40, 30])).models)
    rows = make_rows(schema, 3000, np.random.default_rng(0))
    model = (np.arange(3000) % 5 == 0).astype(np.int32)
    together = predictor.predict(rows, model)
    parts = [predictor.predict(rows.take(slice(i, i + 500)), model[i : i + 500]) for i in range(0, 3000, 500)]
    np.testing.assert_allclose(together, np.concatenate(parts), rtol=0, atol=1e-12)


def test_training_that_diverges_is_a_failure(make_schema, make_shard):
    schema = make_schema("regression")
    fitted = make_family("torch", schema, {"learning_rate": 1e30, "epochs": 20}).fit(make_shard(schema, [30]))
    assert fitted.failures == {"e0": "training diverged on its 30 training rows; lower model.parameters.learning_rate"}


def test_entities_that_cannot_be_trained_say_why(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [30, 20, 25])
    shard.target[:30] = 1.0
    weights = np.ones(75)
    weights[30:50] = 0.0
    fitted = make_family("torch", schema, {"epochs": 2}).fit(
        TrainingShard(shard.entities, shard.bounds, shard.rows, shard.target, weights)
    )
    assert fitted.failures == {
        "e0": "all 30 training rows are of class 'yes'; a network needs two classes",
        "e1": "the weights of its 20 training rows sum to zero",
    }
    numbers = make_schema("regression")
    shard = make_shard(numbers, [30, 20])
    shard.target[3] = np.nan
    fitted = make_family("torch", numbers, {"epochs": 2}).fit(shard)
    assert fitted.failures == {"e0": "1 of its 30 training targets are not finite numbers"}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(("name", "batched"), [("Net", True), ("Dropping", False), ("Normed", False)])
def test_users_modules_are_trained_and_predict(nets, make_schema, make_shard, make_rows, caplog, task, name, batched):
    schema = make_schema(task)
    shard = make_shard(schema, [60, 80, 45])
    caplog.set_level(logging.WARNING)
    family = make_family("torch", schema, with_module(name), seed=2)
    assert ("one entity after the other" in caplog.text) != batched
    fitted = family.fit(shard)
    assert fitted.failures == {}
    assert fitted.models.equals(make_family("torch", schema, with_module(name), seed=2).fit(shard).models)
    rows = make_rows(schema, 90, np.random.default_rng(0), missing=0.1, unseen=0.1)
    predictor = family.load(fitted.models)
    values = predictor.predict(rows, np.arange(90, dtype=np.int32) % 3)
    assert values.shape == (90, schema.outputs)
    assert np.isfinite(values).all()
    alone = family.load(fitted.models.slice(1, 1)).predict(rows, np.zeros(90, dtype=np.int32))
    np.testing.assert_allclose(values[1::3], alone[1::3], rtol=1e-4, atol=1e-5)


def test_a_batched_module_is_trained_like_one_in_a_loop(nets, make_schema, make_shard, monkeypatch):
    schema = make_schema("binary")
    shard = make_shard(schema, [60, 80, 45])
    rows, model = shard.rows, np.repeat([0, 1, 2], [60, 80, 45]).astype(np.int32)
    family = make_family("torch", schema, with_module("Net"))
    together = family.load(family.fit(shard).models).predict(rows, model)
    monkeypatch.setattr(family._network, "batched", False)
    apart = family.load(family.fit(shard).models).predict(rows, model)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-4)


def test_a_module_whose_rows_depend_on_each_other_is_not_padded(nets, make_schema, caplog):
    make_family("torch", make_schema("binary"), with_module("Mixing"))
    assert "a row's scores depend on other rows" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"module": "tiny_nets.nets"}, "is not an import path such as 'mypackage.nets:Net'"),
        ({"module": "tiny_nets.nets:Net"}, "'tiny_nets.nets' is not trusted; .* name it in model.parameters.trusted"),
        ({"module": "tiny_nets.nets:Net", "trusted_modules": ["tiny"]}, "is not trusted"),
        ({"module": "tiny_nets.nets:Net", "trusted_modules": ["tiny_nets.other"]}, "is not trusted"),
        ({"module": "os:PathLike", "trusted_modules": ["os"]}, "'os' is not part of an installed package"),
        ({"module": "nowhere.nets:Net", "trusted_modules": ["nowhere"]}, "is not part of an installed package"),
        ({"module": "tiny_nets.no:Net", "trusted_modules": ["tiny_nets"]}, "'tiny_nets.no' cannot be imported"),
        ({"module": "tiny_nets.nets:Nett", "trusted_modules": ["tiny_nets"]}, "no class 'Nett'.* did you mean 'Net'"),
        ({"module": "torch.optim:Adam", "trusted_modules": ["torch"]}, "no class 'Adam' derived from Module"),
        ({"module": "tiny_nets.nets:Picky", "trusted_modules": ["tiny_nets"]}, "cannot be made with .15, 2."),
        ({"hidden": [0]}, "hidden: is 0"),
        ({"hiddens": [3]}, "did you mean 'hidden'"),
        ({"activation": "step"}, "activation: is 'step'"),
        ({"device": "gpu"}, "device: is 'gpu'"),
    ],
)
def test_wrong_parameters(nets, make_schema, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family("torch", make_schema("binary"), parameters)


def test_nothing_is_imported_that_is_not_trusted_and_installed(nets, make_schema, monkeypatch, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "loose_nets.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(loose))
    importlib.invalidate_caches()
    schema = make_schema("binary")
    with pytest.raises(SpecError, match="not part of an installed package"):
        make_family("torch", schema, {"module": "loose_nets:Net", "trusted_modules": ["loose_nets"]})
    with pytest.raises(SpecError, match="not trusted"):
        make_family("torch", schema, {"module": "tiny_nets.nets:Net"})
    assert "tiny_nets" not in sys.modules
    # a file that takes an installed package's name, earlier on the path
    (loose / "tiny_nets.py").write_text("raise SystemExit('ran')")
    importlib.invalidate_caches()
    with pytest.raises(SpecError, match="not part of an installed package"):
        make_family("torch", schema, with_module("Net"))


def test_a_package_installed_in_place_is_installed(nets, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "own_nets.py").write_text("")
    info = tmp_path / "site" / "own_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-nets\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(source))
    importlib.invalidate_caches()
    assert not trusted_modules.is_installed("own_nets")
    (info / "direct_url.json").write_text(f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}')
    assert trusted_modules.is_installed("own_nets")


def test_places_outside_the_schema_are_refused(make_schema, make_shard):
    schema = make_schema("multiclass")
    family = make_family("torch", schema, {"epochs": 1})
    models = family.fit(make_shard(schema, [30])).models
    for name, below in (("levels", 12), ("classes", 3)):
        column = models[name].combine_chunks()
        values = column.flatten().to_numpy().copy()
        values[-1] = 99
        forged = type(column).from_arrays(column.offsets, values)
        with pytest.raises(BundleError, match=f"column '{name}' holds 99, expected 0 to {below - 1}"):
            family.load(models.set_column(models.column_names.index(name), name, forged))


def test_without_torch_its_extra_is_named(make_schema, monkeypatch):
    monkeypatch.setattr(torch_family, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'torch' is not installed: pip install 'modelfleet\[torch\]'"):
        make_family("torch", make_schema("binary"), {})


def test_cuda_where_there_is_none_is_an_error_of_training_only(make_schema, make_shard, monkeypatch):
    monkeypatch.setattr(torch, "cuda", types.SimpleNamespace(is_available=lambda: False, device_count=lambda: 0))
    schema = make_schema("binary")
    shard = make_shard(schema, [30])
    family = make_family("torch", schema, {"device": "cuda", "epochs": 1})
    with pytest.raises(SpecError, match="is 'cuda', but torch finds no CUDA device here"):
        family.fit(shard)
    models = make_family("torch", schema, {"epochs": 1}).fit(shard).models
    assert family.load(models).predict(shard.rows, np.zeros(30, dtype=np.int32)).shape == (30, 2)
