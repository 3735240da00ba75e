"""Plain American English in code and docs, as far as a program can check it.

python -m tests.prose [folder or file ...]
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
FOLDERS = ("outliers_bench", "tests", "benchmarks", "conf", "experiments", "docs")
FILES = ("README.md", "Makefile", "pyproject.toml", ".ci/run", ".pre-commit-config.yaml")
SUFFIXES = (".py", ".md", ".yaml", ".toml", ".j2", ".js", ".css", "")
OWN_PATH = Path(__file__).resolve()  # lists the words to avoid

# A docstring begins with a noun phrase or an imperative.
NO_FIRST_WORDS = ("What", "Who", "Which", "Whether", "How", "Of", "Where", "When", "Why", "Whoever")

# The word of the field, of Keras, MLflow and scikit-learn, and the one that is not.
INSTEAD = {
    "told": "reported, message",
    "said": "message, description",
    "asked": "requested",
    "beside": "next to",
    "kept": "cached, stored, retained",
    "stands": "is",
    "whoever": "the caller, the user",
}
PHRASES = {
    r"goes on": "continues",
    r"went on": "continued",
    r"taken? up again": "resumed",
    r"taken? down": "recorded",
    r"found out": "measured",
    r"of itself": "by default",
    r"(of|on) the whole": "overall",
    r"hand(s|ed|ing)? in": "submit",
    r"look at it": "open",
    r"(ms|MB|MiB|bytes|vectors?|seconds|milliseconds) an? (query|image|photo|epoch)": "per",
}
BRITISH = {
    r"(un)?label(led|ling)": "labeled",
    r"(travel|model|signal)l(ed|ing)": "one l",
    r"(normal|quant|optim|initial|serial|summar|minim|maxim|organ|recogn|regular|visual|material"
    r"|general|random|special|memor|real|categor|synchron|token|parallel|binar|emphas|util"
    r"|custom|author|capital|standard)is(e|es|ed|er|ers|ing|ation|ations)": "ize",
    r"analys(e|ed|es|ing)": "analyze",
    r"(colour|neighbour|behaviour|favour|flavour|honour)\w*": "or",
    r"(centre|metre|litre|fibre|calibre)(s|d)?": "er",
    r"(de|of)fence": "ense",
    r"licence(s|d)?": "license",
    r"(catalogue|dialogue|analogue)s?": "catalog",
    r"artefacts?": "artifact",
    r"gr(e)ys?": "gray",
    r"(to|after|for|back|down|up)wards": "toward, afterward",
    r"whilst|amongst|learnt|spelt": "while, among, learned",
    r"misspelt": "misspelled",
}
_AVOIDED = [
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), better)
    for words, better in {**INSTEAD, **PHRASES, **BRITISH}.items()
]
# In a name, a word ends at an underscore or before a capital.
_IN_NAMES = re.compile("|".join([*INSTEAD, *BRITISH]), re.I)


class Fault(NamedTuple):
    """A word to avoid, or a docstring that begins with one."""

    path: Path
    line: int
    text: str


def faults(path: Path) -> Iterator[Fault]:
    """Yield what is wrong with the names, comments, docstrings and messages of a file."""
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        for words, better in _AVOIDED:
            for found in words.finditer(line):
                yield Fault(path, number, f"{found[0]} -> {better}: {line.strip()}")
    if path.suffix != ".py":
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", token.string):
                if token.string != word and _IN_NAMES.fullmatch(word):
                    yield Fault(path, token.start[0], f"{token.string}: {word} in a name")
    for node in ast.walk(ast.parse(text)):
        # A string by itself is a docstring, also after an attribute.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            first = re.match(r"\W*(\w*)", str(node.value.value))
            if first and first[1] in NO_FIRST_WORDS:
                yield Fault(path, node.lineno, f"docstring begins with {first[1]}")


def files(places: list[str]) -> Iterator[Path]:
    """Yield the files to check, those below the given places or all."""
    for place in places or [*FOLDERS, *FILES]:
        path = ROOT / place
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            checked = each.is_file() and each.suffix in SUFFIXES and each.resolve() != OWN_PATH
            if checked and "__pycache__" not in each.parts:
                yield each


def main() -> int:
    """Print every fault; the exit code says whether there is one."""
    found = [fault for path in files(sys.argv[1:]) for fault in faults(path)]
    for fault in found:
        print(f"{fault.path.relative_to(ROOT)}:{fault.line}: {fault.text}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
