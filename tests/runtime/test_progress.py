"""Progress bars are shown in a terminal, unless they are switched off."""

from outliers_bench.runtime.progress import progress_bar, progress_shown, status, track


def show(capfd):
    assert list(track(range(3), stage="embed", total=3)) == [0, 1, 2]
    with status("loading"), progress_bar(2) as update:
        update(1, "half")
    return capfd.readouterr()


def test_bars_are_on_standard_error_and_can_be_switched_off(monkeypatch, capfd):
    assert show(capfd) == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    shown = show(capfd)
    assert shown.out == ""
    assert "embed" in shown.err
    assert "half" in shown.err
    with progress_shown(False):
        assert show(capfd) == ("", "")
    assert "embed" in show(capfd).err


def test_the_bar_of_a_step_is_a_second_line(monkeypatch, capfd):
    """Blocks of queries are verified pair by pair: two bars would overwrite each other."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    up = "\x1b[1A"
    for _ in track(range(2), stage="search", total=2, unit="blocks"):
        assert list(track(range(3), stage="verify", total=3, unit="pairs")) == [0, 1, 2]
    both = capfd.readouterr().err
    assert up in both
    assert "pairs" in both
    assert "verify" not in both.rpartition(up)[2]
    with progress_bar(2) as update:
        update(1, "after")
    assert up not in capfd.readouterr().err
