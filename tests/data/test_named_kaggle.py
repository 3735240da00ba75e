"""animals90 through kagglehub, against a server of ours that answers as Kaggle does."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from outliers_bench.data.named import kaggle
from outliers_bench.data.named.animals90 import SET, VERSION, Animals90
from outliers_bench.errors import BenchError
from tests.named_sets import animals90, zipped
from tests.servers import Reply, in_parts, serving

(ZIP,) = animals90().values()


@pytest.fixture
def at(monkeypatch, tmp_path):
    """Let kagglehub ask a server of ours, without an account."""
    from kagglesdk import kaggle_env

    monkeypatch.setattr(kaggle, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(kaggle, "TIMEOUTS", (2, 1))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)

    def use(server):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)

    return use


def storage(asked, body=ZIP):
    """What Kaggle's storage answers: the archive, in parts where they are asked for."""
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = in_parts(body, asked)
    return replace(reply, headers={**reply.headers, "X-Goog-Hash": f"crc32c=AAAA,md5={md5}"})


def load(tmp_path):
    return Animals90().load(seed=0, cache=tmp_path / "cache")


@pytest.mark.extra("kaggle")
@pytest.mark.slow  # kagglehub takes a second to import
def test_it_is_asked_for_in_the_pinned_version_and_once(at, tmp_path, capsys):
    with serving(storage) as server:
        at(server)
        split = load(tmp_path)
        assert load(tmp_path).fingerprint == split.fingerprint
        (asked,) = server.requests
    assert json.loads(asked.body) == {
        "ownerSlug": SET.partition("/")[0],
        "datasetSlug": SET.partition("/")[2],
        "datasetVersionNumber": VERSION,
    }
    assert split.gallery.classes == ("antelope", "badger", "zebra")
    place = tmp_path / "cache" / "datasets" / "animals90"
    assert [path.name for path in place.iterdir()] == ["files"]
    assert capsys.readouterr().out == ""


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_a_broken_connection_is_taken_up(at, tmp_path, monkeypatch):
    import kagglehub.clients

    monkeypatch.setattr(kagglehub.clients, "CHUNK_SIZE", 5000)

    def answer(asked):
        reply = storage(asked)
        return replace(reply, stop_after=10_000) if len(server.requests) == 1 else reply

    with serving(answer) as server:
        at(server)
        load(tmp_path)
    assert server.requests[-1].headers["range"] == "bytes=10000-"


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_other_files_than_at_the_first_download_are_refused(at, tmp_path):
    with serving(storage) as server:
        at(server)
        load(tmp_path)
    files = tmp_path / "cache" / "datasets" / "animals90" / "files"
    files.rename(tmp_path / "before")
    another = zipped({"animals/animals/antelope/1.jpg": b"other"})
    with serving(lambda asked: storage(asked, another)) as server:
        at(server)
        with pytest.raises(BenchError, match=r"not those of the first download.*first-seen\.json"):
            load(tmp_path)
    assert not files.exists()


@pytest.mark.extra("kaggle")
@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_says_what_to_do(at, tmp_path, status):
    with serving(lambda asked: Reply(status)) as server:
        at(server)
        with pytest.raises(BenchError) as caught:
            load(tmp_path)
        assert len(server.requests) == 1
    said = str(caught.value)
    assert f"Kaggle refuses ({status})" in said
    assert "KAGGLE_API_TOKEN" in said
    assert "data.root=" in said
    assert "\n" not in said


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_a_server_in_trouble_is_asked_again(at, tmp_path):
    first = [Reply(500), None]
    with serving(lambda asked: first.pop(0) if first else storage(asked)) as server:
        at(server)
        load(tmp_path)
        assert len(server.requests) == 3


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_a_server_that_hangs_is_given_up(at, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "TIMEOUTS", (2, 0.2))
    with serving(lambda asked: Reply(200, ZIP, pause=1)) as server:
        at(server)
        with pytest.raises(BenchError, match=r"timed out.*\(3 tries\)"):
            load(tmp_path)


def test_without_kagglehub_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"needs kagglehub: python -m pip install 'kagglehub>="):
        load(tmp_path)


def test_an_archive_put_there_by_hand_needs_no_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "find_spec", lambda name: None)
    folder = tmp_path / "cache" / "datasets" / "animals90"
    folder.mkdir(parents=True)
    (folder / "animal-image-dataset-90-different-animals.zip").write_bytes(ZIP)
    assert len(load(tmp_path).gallery) > 0


def test_the_digest_of_a_tree_is_of_names_and_contents(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_bytes(b"x")
    one = kaggle.tree_digest(tmp_path)
    (tmp_path / "a" / "1").write_bytes(b"y")
    other = kaggle.tree_digest(tmp_path)
    (tmp_path / "a" / "1").rename(tmp_path / "a" / "2")
    assert len({one, other, kaggle.tree_digest(tmp_path)}) == 3
