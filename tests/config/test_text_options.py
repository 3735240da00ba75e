"""Options that take text get exactly what was typed, through every door."""

import json
import shlex
from collections import defaultdict
from operator import attrgetter

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from outliers_bench.api import compose as api
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import composer
from outliers_bench.config.schema import register
from outliers_bench.config.shared_compositions import Compositions
from outliers_bench.config.text_options import as_typed, options, text_options, to_hydra
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.runtime.text_values import quote
from outliers_bench.serving.recorded_config import restore_config
from outliers_bench.tracking.params import to_mapping

WORDS = r"""
2023.10 2024_05_17 1e5 0012 0x1F 1_000 +5 -3 .5 5. 12:30:00 2023-10-01 true False yes NULL None nan
inf -inf ~ Löwen Anna's a&b ~/photos ~nobody/x a#b a;b C:\x C:\photos\ \\server\share {x} [x] x,y
a=b $HOME ${oc.env:HOME} ${oc.env: \${x} 100% http://host/a?b=c&d models:/x@champion 🦁 照片/狮子
!tag *a &a | > @x `x` ? choice(a) glob(*) range(1,5) a'b"c ' " ???x =
"""
BLANKS = (
    *("photos (1)", 'the "big" ones', "a #b", "{a: 1}", "sqlite:///a b.db", " leading"),
    *("trailing ", "a\tb", "two\nlines", "a: b", "- a", "e\u0301", "caf\udce9", ""),
)
SPELLINGS = (*WORDS.split(), *BLANKS)
OPTIONS = (
    *("data.root", "data.name", "model.name", "index.name", "rerank.name", "lr_schedule.name"),
    *("augment.name", "tracking.uri", "tracking.experiment", "cache.dir", "model.weights"),
    *("objective", "weights_dir"),
)
BASE = ["data=folder", "model=mobilenet"]
TEXT = st.text().filter(lambda text: "\0" not in text)


@pytest.fixture(scope="module", autouse=True)
def loader():
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def cases(spellings=SPELLINGS):
    """Assignments of the spellings to options, as many as one composition can take."""
    n = len(OPTIONS)
    starts = range(0, len(spellings), n)
    return [dict(zip(OPTIONS, spellings[i : i + n], strict=False)) for i in starts]


def values_of(cfg, names):
    return {name: OmegaConf.select(cfg, name) for name in names}


@pytest.mark.parametrize("typed", cases())
def test_alone(typed):
    words = [*BASE, *(f"{name}={text}" for name, text in typed.items())]
    cfg = compose("config", to_hydra(words))
    assert values_of(cfg, typed) == typed
    assert as_typed(to_hydra(words)) == words


def test_added_and_forced():
    words = to_hydra(["data=folder", "++data.root=2023.10", "+data.name=1e5"])
    parsed = OverridesParser.create().parse_overrides(words)
    assert [override.value() for override in parsed] == ["folder", "2023.10", "1e5"]


@pytest.fixture(scope="module")
def jobs(loader):
    """Function that composes the jobs of a sweep as Hydra does, and returns the values of one."""
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    compositions = Compositions(loader)

    def run(name, *words):
        parsed = OverridesParser.create().parse_overrides(to_hydra(words, multirun=True))
        (batch,) = BasicSweeper.split_arguments(parsed, None)
        configs = [compositions(master, list(job)) for job in batch]
        typed = [as_typed(job) for job in batch]
        return [OmegaConf.select(cfg, name) for cfg in configs], typed

    return run


def in_a_sweep(text):
    """A value as one of several: in quotes where it has commas or would be without its ends."""
    return quote(text) if "," in text or text != text.strip() or not text else text


@pytest.mark.parametrize(
    ("form", "spellings"),
    [("{}", SPELLINGS), ("choice({})", SPELLINGS[::7])],
    ids=["list", "choice"],
)
def test_each_value_of_a_sweep(jobs, form, spellings):
    listed = ",".join(map(in_a_sweep, spellings))
    values, typed = jobs("data.root", *BASE, "data.root=" + form.format(listed))
    assert values == list(spellings)
    again = [compose("config", to_hydra(words)).data.root for words in typed[:3]]
    assert again == list(spellings[:3])
    assert typed[0] == [*BASE, "data.root=2023.10"]


def test_lists_in_a_sweep(jobs):
    word = "model.members=[Anna's,2023.10, 'a, b'],[pixels,'x],[y']"
    values, typed = jobs("model.members", "model=ensemble", word)
    assert values == [["Anna's", "2023.10", "a, b"], ["pixels", "x],[y"]]
    assert typed[0][1] == "model.members=[Anna's,2023.10,'a, b']"


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("*.jpg", ["*.jpg"]),
        ("[ab]*.jpg", ["[ab]*.jpg"]),
        ("*[ab]", ["*[ab]"]),
        ("2023.10", ["2023.10"]),
        ("*_mask.png,old/**", ["*_mask.png", "old/**"]),
        ("'a,b'", ["a,b"]),
        ("${x}", ["${x}"]),
    ],
)
def test_lists_without_brackets(typed, values):
    cfg = compose("config", to_hydra(["data=folder", f"data.include={typed}"]))
    assert list(cfg.data.include) == values


def test_lists_without_brackets_in_a_sweep(jobs):
    words = ("data=folder", "data.root=a", "data.exclude=*.jpg, 'a,b'")
    assert jobs("data.exclude", *words)[0] == [["*.jpg"], ["a,b"]]
    assert to_hydra(["data.exclude=[a],b"], multirun=True) == ["data.exclude='[a],b'"]
    assert to_hydra(["data.exclude=a,[b,c]"], multirun=True) == ["data.exclude='a,[b,c]'"]


def test_patterns_of_a_python_call():
    words = api.to_words({"data": "folder", "data.include": "a,b*", "data.exclude": ["c,d"]})
    cfg = compose("config", to_hydra(words))
    assert (list(cfg.data.include), list(cfg.data.exclude)) == (["a,b*"], ["c,d"])


def test_null_is_none_and_in_quotes_text(jobs):
    values, _ = jobs("data.name", "data=folder", "data.root=a", "data.name=null,'null',x")
    assert values == [None, "null", "x"]
    words = ["data=folder", "data.root='null'", "data.name=null", "tracking.experiment=None"]
    cfg = compose("config", to_hydra(words))
    assert (cfg.data.root, cfg.data.name, cfg.tracking.experiment) == ("null", None, "None")


@pytest.mark.parametrize("members", [["a", "2023.10", "a, b", "", "[x]", "${y}", "Anna's"], []])
def test_lists(members):
    words = api.to_words({"model": "ensemble", "model.members": members})
    assert list(compose("config", to_hydra(words)).model.members) == members
    typed = f"model.members=[{','.join(map(in_a_sweep, members))}]"
    assert list(compose("config", to_hydra(["model=ensemble", typed])).model.members) == members


@pytest.mark.parametrize("typed", cases())
def test_python(typed):
    checked = OPTIONS[:7]  # any text will do
    words = api.to_words({"data": "folder", "model": "mobilenet", **typed})
    assert values_of(compose("config", to_hydra(words)), typed) == typed
    given = {name: typed[name] for name in checked if name in typed}
    config = api.compose({"data": "folder", "data.root": "x", "model": "pixels"} | given)
    assert {name: attrgetter(name)(config) for name in given} == given


def test_members():
    compose_models = composer({"seed": 0}, resource_dir("conf"))
    options = ("name", "keras", "weights")
    for i in range(0, len(SPELLINGS), 3):
        given = dict(zip(options, SPELLINGS[i : i + 3], strict=False))
        words = [f"{name}={shlex.quote(in_a_sweep(text))}" for name, text in given.items()]
        (model,) = compose_models([" ".join(["mobilenet", *words])], "model.members")
        assert {name: getattr(model, name) for name in given} == given
    (model,) = compose_models([r"mobilenet weights=C:\weights\2023.10"], "model.members")
    assert model.weights == r"C:\weights\2023.10"
    ensemble = Ensemble(members=["mobilenet name=a\\b", "mobilenet name=a\\"])
    assert "mobilenet name=a\\b + mobilenet name=a\\" in ensemble.variant


def test_recorded_config():
    recorded = to_mapping(api.compose({"data": "folder", "data.root": "x", "model": "pixels"}))
    for i in range(0, len(SPELLINGS), 3):
        root, name, objective = (*SPELLINGS[i : i + 3], "", "")[:3]
        recorded["data"] |= {"root": root, "name": name}
        recorded["objective"] = objective
        stored = yaml.safe_load(yaml.safe_dump(recorded, allow_unicode=True))
        config = restore_config(stored)
        assert (config.data.root, config.data.name, config.objective) == (root, name, objective)


@settings(max_examples=40, deadline=None)
@given(TEXT)
def test_any_text_is_read_as_typed(text):
    """In quotes where it would be something else."""
    typed = quote(text) if text[:1] in ("'", '"') or text == "null" else text
    (word,) = to_hydra([f"data.root={typed}"])
    value = OverridesParser.create().parse_override(word).value()
    assert OmegaConf.create([value])[0] == text or text == "???"
    (back,) = as_typed([word])
    assert to_hydra([back]) == [word]


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, min_size=2))
def test_any_texts_are_swept_as_typed(texts):
    (word,) = to_hydra([f"data.root={','.join(map(quote, texts))}"], multirun=True)
    override = OverridesParser.create().parse_override(word)
    values = [
        OverridesParser.create().parse_override(f"a={value}").value()
        for value in override.sweep_string_iterator()
    ]
    assert [OmegaConf.create({"a": value}).a for value in values if value != "???"] == [
        text for text in texts if text != "???"
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.root=a,,b", r"^data\.root: a value between two commas is empty$"),
        ("data.root=a,", r"^data\.root: a value between two commas is empty$"),
        ("data.name=shuffle(2023.10,2023.1)", r"data\.name=shuffle.*only choice\(a,b\) takes text"),
        ("objective=glob(*)", r"objective=glob.*only choice\(a,b\) takes text"),
    ],
)
def test_what_a_sweep_refuses(word, message):
    with pytest.raises(BenchError, match=message) as raised:
        to_hydra([word], multirun=True)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("data={root:2023.10}", "data.root"),
        ("+data={name:x,root:2024_05_17}", "data.root"),
        ("data.columns={label:true}", "data.columns.label"),
        ("data={include:[a,1e5]}", "data.include"),
        ("data={root:a},{root:1e5}", "data.root"),
    ],
)
def test_numbers_in_braces_are_refused_for_text(word, name):
    with pytest.raises(BenchError, match=rf"within braces, {name} is read as .*; give it by it"):
        to_hydra([word], multirun=True)


def test_text_in_braces_is_taken():
    words = ["data={root:'2023.10',name:null,train:0.5}", "data.columns={label:identity}", "k={"]
    assert to_hydra(words) == words


def test_bytes_are_no_option():
    with pytest.raises(BenchError, match="cannot be an option"):
        api.to_words({"data.root": b"photos"})


def test_other_words_are_as_they_were():
    words = ["-m", "data=folder", "k=[1,5]", "pca.n=range(1,5)", "+experiments=glob(*)", "~pca"]
    words += [
        "index=exact,kd_tree",
        "hydra.sweep.dir=a_${now:%Y}",
        "--config-dir",
        "mine",
        "data@x=folder",
        "seed=1,2",
    ]
    for multirun in (False, True):
        assert to_hydra(words, multirun=multirun) == words


def test_an_option_has_one_type_in_all_choices():
    kinds = defaultdict(set)
    for name, kind in options():
        text = text_options().get(name)
        kinds[name].add("list" if "list[str]" in str(kind) else "str" in str(kind))
        assert (text is not None) == (kinds[name] != {False}), name
    assert all(len(found) == 1 for found in kinds.values()), json.dumps(kinds, default=str)
    assert {"data.root", "cache.dir", "tracking.uri", "model.weights"} <= set(text_options())
