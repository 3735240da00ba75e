"""Totals of the campaign at the end of the output."""

from collections import Counter


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the sum of what the tests counted with `record_property`."""
    totals: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if report.when == "call" and isinstance(value, int):
                    totals[name] += value
    for name, total in sorted(totals.items()):
        terminalreporter.write_line(f"torture: {total:,} {name}")
