"""`kill -9` of commands and their senders at random moments; `make torture` does it for hours."""

import os
import random
from functools import cache

import pytest

from tests.torture.kills import COMMANDS, PER_ROUND, check_after_kills, kill_at_random, results

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("OUTLIERS_BENCH_TORTURE", "1"))
SEED = int(os.environ.get("OUTLIERS_BENCH_SEED", "0"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function: seconds and results of a command that nobody kills."""

    @cache
    def run(name):
        folder = tmp_path_factory.mktemp("undisturbed")
        COMMANDS[name].prepare(folder)
        seconds = COMMANDS[name].complete(folder)
        return seconds, results(folder)

    return run


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_continues(tmp_path, undisturbed, record_property, name, seed):
    """Five kills in a row, then the same command: nothing wrong, lost or left running."""
    seconds, expected = undisturbed(name)
    chance = random.Random(f"{name} {seed}")
    command, kills = COMMANDS[name], 0
    command.prepare(tmp_path)
    for _ in range(PER_ROUND):
        kills += kill_at_random(command.start(tmp_path), chance, seconds) is not None
    command.complete(tmp_path)
    record_property(f"kills of {name}", kills)
    check_after_kills(tmp_path, expected)
