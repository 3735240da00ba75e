"""animals90 with kagglehub and a test server that responds like Kaggle."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from outliers_bench.data.named import kaggle
from outliers_bench.data.named.folders import ANIMALS90, Animals90
from outliers_bench.errors import BenchError
from tests.named_sets import animals90, make_zip
from tests.servers import Reply, in_parts, serving

(ZIP,) = animals90().values()


@pytest.fixture
def use_server(monkeypatch, tmp_path):
    """Make kagglehub use a test server, without an account."""
    from kagglesdk import kaggle_env

    monkeypatch.setattr(kaggle, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(kaggle, "TIMEOUTS", (2, 1))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)

    def use(server):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)

    return use


def storage(request, body=ZIP):
    """Reply like Kaggle's storage: with the archive, or the requested range of it."""
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = in_parts(body, request)
    return replace(reply, headers={**reply.headers, "X-Goog-Hash": f"crc32c=AAAA,md5={md5}"})


def load(tmp_path):
    return Animals90().load(seed=0, cache=tmp_path / "cache")


@pytest.mark.extra("kaggle")
@pytest.mark.slow  # kagglehub takes a second to import
def test_pinned_version_is_requested_once(use_server, tmp_path, capsys):
    with serving(storage) as server:
        use_server(server)
        split = load(tmp_path)
        assert load(tmp_path).fingerprint == split.fingerprint
        (request,) = server.requests
    owner, name, _, version = ANIMALS90.split("/")
    assert json.loads(request.body) == {
        "ownerSlug": owner,
        "datasetSlug": name,
        "datasetVersionNumber": int(version),
    }
    assert split.gallery.classes == ("antelope", "badger", "zebra")
    folder = tmp_path / "cache" / "datasets" / "animals90"
    assert [path.name for path in folder.iterdir()] == ["files"]
    assert capsys.readouterr().out == ""


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_interrupted_kaggle_download_is_resumed(use_server, tmp_path, monkeypatch):
    import kagglehub.clients

    monkeypatch.setattr(kagglehub.clients, "CHUNK_SIZE", 5000)

    def respond(request):
        reply = storage(request)
        return replace(reply, stop_after=10_000) if len(server.requests) == 1 else reply

    with serving(respond) as server:
        use_server(server)
        load(tmp_path)
    assert server.requests[-1].headers["range"] == "bytes=10000-"


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_files_that_differ_from_the_first_download_are_refused(use_server, tmp_path):
    with serving(storage) as server:
        use_server(server)
        load(tmp_path)
    files = tmp_path / "cache" / "datasets" / "animals90" / "files"
    files.rename(tmp_path / "before")
    other_archive = make_zip({"animals/animals/antelope/1.jpg": b"other"})
    with serving(lambda request: storage(request, other_archive)) as server:
        use_server(server)
        with pytest.raises(BenchError, match=r"at the first download.*first-seen\.json"):
            load(tmp_path)
    assert not files.exists()


@pytest.mark.extra("kaggle")
@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal_is_reported_with_advice(use_server, tmp_path, status):
    with serving(lambda request: Reply(status)) as server:
        use_server(server)
        with pytest.raises(BenchError) as error:
            load(tmp_path)
        assert len(server.requests) == 1
    message = str(error.value)
    assert f"Kaggle refuses ({status})" in message
    assert "KAGGLE_API_TOKEN" in message
    assert "data.root=" in message
    assert "\n" not in message


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_server_errors_are_retried(use_server, tmp_path):
    first = [Reply(500), None]
    with serving(lambda request: first.pop(0) if first else storage(request)) as server:
        use_server(server)
        load(tmp_path)
        assert len(server.requests) == 3


@pytest.mark.extra("kaggle")
@pytest.mark.slow
def test_hanging_kaggle_server_times_out(use_server, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "TIMEOUTS", (2, 0.2))
    with serving(lambda request: Reply(200, ZIP, pause=1)) as server:
        use_server(server)
        with pytest.raises(BenchError, match=r"timed out.*\(5 tries\)"):
            load(tmp_path)


def test_missing_kagglehub_is_reported_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"kagglehub is required: python -m pip install 'kag"):
        load(tmp_path)


def test_existing_archive_needs_no_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "find_spec", lambda name: None)
    folder = tmp_path / "cache" / "datasets" / "animals90"
    folder.mkdir(parents=True)
    (folder / "animal-image-dataset-90-different-animals.zip").write_bytes(ZIP)
    assert len(load(tmp_path).gallery) > 0


def test_tree_digest_depends_on_names_and_contents(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_bytes(b"x")
    one = kaggle.tree_digest(tmp_path)
    (tmp_path / "a" / "1").write_bytes(b"y")
    other = kaggle.tree_digest(tmp_path)
    (tmp_path / "a" / "1").rename(tmp_path / "a" / "2")
    assert len({one, other, kaggle.tree_digest(tmp_path)}) == 3
