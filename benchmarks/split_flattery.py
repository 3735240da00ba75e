"""Scores of the same methods on random splits and on splits by encounter, time, and camera.

python -m benchmarks.split_flattery --methods pixels,sift
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.command_line import Parser
from benchmarks.machine import machine_info
from outliers_bench import benchmark
from outliers_bench.api.compose import compose

DATA: dict[str, object] = {
    "data": "synthetic_individuals",
    "data.setting": "open_set",
    "data.unknown": 0.2,
}
SPLITS = {"random": "random", "by encounter": "encounter", "by time": "time", "by camera": "camera"}
METRICS = {"hit_at_1": "hit@1", "map": "mAP"}
SMALL: dict[str, object] = {"data.individuals": 10, "data.encounters": 4, "data.size": 48}


def measure(method: str, split: str, more: Mapping[str, object]) -> dict[str, object]:
    """Run one method on one split: scores with 95% intervals, and the queries that are scored."""
    chosen = {"data.split_by": SPLITS[split], "model": method, "k": [1]}
    config = compose({**DATA, **chosen, **more})
    result = benchmark.run(benchmark.prepare(config))
    evaluation = result.evaluation
    if evaluation is None:
        raise ValueError("the generated images have labels")
    scores = {
        name: (evaluation.metrics[name], *evaluation.intervals[name])
        for name in METRICS
        if name in evaluation.metrics
    }
    bursts = {} if result.burst_scores is None else result.burst_scores.metrics
    return {
        "method": method,
        "split": split,
        "queries": len(evaluation.scored),
        "unknown": evaluation.queries_without_relevant,
        "scores": scores,
        "bursts": {name: bursts[name] for name in bursts if name.endswith(("hit_at_1", "burst"))},
    }


def to_markdown(rows: Sequence[dict[str, object]]) -> str:
    """Write the rows as a table in Markdown, methods by splits."""
    table = {(row["method"], row["split"]): row for row in rows}
    lines = []
    for name, title in METRICS.items():
        lines += [f"| {title} | {' | '.join(SPLITS)} |", "|---|" + "---|" * len(SPLITS)]
        for method in dict.fromkeys(row["method"] for row in rows):
            cells = [_cell(table[method, split]["scores"], name) for split in SPLITS]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(scores: object, name: str) -> str:
    if not isinstance(scores, dict) or name not in scores:
        return ""
    value, low, high = scores[name]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Measure every method on every split, and print the table."""
    parser = Parser(
        prog="python -m benchmarks.split_flattery",
        description="Score the same methods on random and other splits of generated individuals.",
    )
    parser.add_argument("--methods", default="pixels,sift,mobilenet", help="models, by commas")
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits")
    parser.add_argument("--cache", type=Path, help="cache directory; default: a temporary one")
    parser.add_argument("--small", action="store_true", help="few and small images, for a test")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="splits-") as folder:
        cache = options.cache or Path(folder)
        more = {"seed": options.seed, "cache.dir": cache, **(SMALL if options.small else {})}
        rows = []
        for method in options.methods.split(","):
            for split in SPLITS:
                rows.append(measure(method, split, more))
                print(json.dumps(rows[-1]), flush=True)
    print("\n" + to_markdown(rows))
    if options.out is not None:
        text = json.dumps({"machine": machine_info("outliers-bench"), "rows": rows}, indent=2)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
