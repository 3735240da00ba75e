"""`python -m outliers_bench.competition`: a server that accepts and scores submissions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from outliers_bench.apps.competition.options import PROGRAM, Competition
from outliers_bench.apps.submit.options import TOKEN_VARIABLE
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.invocation import install_command
from outliers_bench.web.refusal import RefusedError
from outliers_bench.web.server import listen, serve_until_interrupted, url_of


def serve(options: Competition) -> int:
    """Load the photos, open the store, and serve until Ctrl-C.

    Raises
    ------
    BenchError
        If an option is invalid, the photos cannot be used for a competition, or the address is not
        available.
    """
    options.check()
    if options.results is not None and not Path(options.store).is_file():
        raise BenchError(f"results={options.results}: there is no store={options.store}")
    from outliers_bench.apps.competition.dataset import load_competition_data, select_source

    source = select_source(options.root, options.manifest, options.missing_labels, options.boxes)
    source.exclude_same = options.exclude_same
    try:
        import uvicorn  # noqa: F401 - before the photos are read

        from outliers_bench.apps.competition.app import create_app
    except ImportError as error:
        raise BenchError(
            f"a competition needs {error.name}: {install_command('competition')}"
        ) from None
    from outliers_bench.apps.competition.board import content_security_policy, leaderboard_data
    from outliers_bench.apps.competition.check import Submission, read_images
    from outliers_bench.apps.competition.score import (
        SubmissionScore,
        score_parts,
        split_queries,
    )
    from outliers_bench.apps.competition.store import SubmissionStore
    from outliers_bench.apps.submit.record import write_file
    from outliers_bench.data.image_files import make_cache_dir
    from outliers_bench.reports.data_summary import finding_rows
    from outliers_bench.reports.terminal import format_rows

    cache = make_cache_dir(options.cache)
    dataset = load_competition_data(source, cache=cache, names=options.names)
    parts = split_queries(dataset, options.public_share)

    # An accepted list may be longer than max_rank is now.
    max_rank = len(dataset.gallery) + len(dataset.ignored_gallery)

    def score_again(body: bytes) -> dict[str, SubmissionScore]:
        # Without the group, whose name only an earlier version may accept.
        images = json.loads(body)["images"]
        try:
            rankings = read_images(images, dataset, max_rank=max_rank)
        except RefusedError as error:  # such as names=path, after names=base
            print(f"warning: a submission has no score: {error.reason}", file=sys.stderr)
            return {}
        return score_parts(Submission("", rankings), dataset, parts, k=options.k)

    store = SubmissionStore(
        Path(options.store),
        dataset.split.fingerprint,
        options.public_share,
        score_again if parts else None,
    )
    if n_again := store.add_parts():
        print(
            f"warning: {n_again:,} submissions were accepted with another public_share=, when "
            "scores of other queries were shown",
            file=sys.stderr,
        )
    if others := store.count_other_splits():
        print(f"{others:,} more submissions are for other photos or labels and are ignored")
    if options.results is not None:
        board = leaderboard_data(store.entries(), dataset, options, time.time(), is_final=True)
        write_file(Path(options.results), json.dumps(board, indent=1).encode())
        print(f"written: {options.results} ({len(board['groups']):,} groups)")
        return 0
    max_bytes = options.max_bytes or dataset.max_submission_bytes(options.max_rank)
    listening = listen(
        options.host,
        options.port,
        warning=f"set {TOKEN_VARIABLE} so that strangers cannot submit",
    )
    url = url_of(listening)
    print(
        f"{dataset.split.name}: {len(dataset.queries):,} queries, {len(dataset.gallery):,} gallery "
        f"images, {len(store.entries()):,} submissions in {options.store}"
    )
    print("\n".join(format_rows(finding_rows(dataset.split), width=15)))
    print(f"submissions    POST {url}/retrieval/ (at most {max_bytes:,} bytes)")
    print(f"leaderboard    {url}/", flush=True)
    serve_until_interrupted(
        create_app(dataset, store, options, max_bytes=max_bytes),
        listening,
        content_security_policy=content_security_policy(),
        allowed_hosts=options.allowed_hosts,
        trusted_proxies=options.trusted_proxies,
    )
    print(f"stopped; submissions in {options.store}: {len(store.entries()):,}")
    return 0


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Competition, serve, program=PROGRAM, arguments=arguments)
