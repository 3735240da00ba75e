"""`data=folder`: one folder per class, split by the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.folder_source import FolderSource, check_groups, subfolder
from outliers_bench.data.groups import folders_of
from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.listing import excluded_hint
from outliers_bench.data.parts import RANKS, find_class, find_parts, is_ready_split
from outliers_bench.data.path_labels import LABEL, PathLabels, describe_depths, to_columns
from outliers_bench.data.source import Grouping, LabeledSource
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.table import Row, Table
from outliers_bench.errors import BenchError
from outliers_bench.runtime.units import list_first
from outliers_bench.types import GROUP, ImageSet, LeftOut, Split


@dataclass
class ClassFolders(FolderSource, LabeledSource):
    """Images in one folder per class, at any depth.

    Parameters
    ----------
    train_folder : str or None
        Folder in the root whose class folders are train; the images of the other folders are split
        into query and gallery. The share `train` is not used then, and `label_depth` is 2 by
        default.
    """

    train_folder: str | None = None

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.train_folder is not None and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                f"data.train_folder={self.train_folder} and data.protocol=leave_one_out, which "
                "has no training images; give one of them"
            )
        if self.train_folder is not None:
            given = f"data.train_folder={self.train_folder} is the train part"
            self.refuse_options(given, all_of_them=False)

    def default_depth(self) -> int:
        """See `FolderSource.default_depth`."""
        return 1 if self.train_folder is None else 2

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Find the images and split them; see `DataSource.load`."""
        if self.train_folder is None:
            split = super().load(seed=seed, cache=cache, group=group)
            return replace(split, labels_from=self._describe_labels(split))
        self.check()
        table = self._read_table(cache)
        parts = self.add_groups(
            [table.images(), table.images("train")],
            cache,
            # A group is the same in the folder to train on and in the others.
            lambda name: ["", *folders_of(name)[1:]],
        )
        (held_out, train), duplicates = deduplicate(parts)
        all_held_out = replace(self, train=0.0)
        left_out = (*table.left_out, *duplicates)
        split = all_held_out.make_split(held_out, left_out, seed=seed, group=group)
        return replace(split, train=train)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `LabeledSource.collect`."""
        table = self._read_table(cache)
        return table.images(), table.left_out

    def _read_table(self, cache: Path) -> Table:
        root = existing_folder(self.root, "data.root")
        names, left_out = self.list_images(root)
        if not names:
            raise BenchError(
                f"data.root={self.root}: no images in this folder{excluded_hint(left_out)}"
            )
        if self.label_depth is None and self.label_pattern is None and self.train_folder is None:
            self._check_class_folders(names)
        train = ""
        if self.train_folder is not None:
            train = subfolder(root, self.train_folder, "data.train_folder") + "/"
            if not any(name.startswith(train) for name in names):
                raise BenchError(
                    f"data.train_folder={self.train_folder}: there are no images in this folder of "
                    f"data.root={self.root}"
                )
        fields = self.read_labels(names)
        rows = [
            Row(
                name,
                found[LABEL],
                "train" if train and name.startswith(train) else "",
                found.get(GROUP) or None,
                number,
            )
            for number, (name, found) in enumerate(zip(names, fields, strict=True))
        ]
        check_groups(rows, f"data.root={self.root}")
        labels = {row.label for row in rows}
        if len(labels) == 1:
            (only,) = labels
            raise BenchError(self._only_one_class(str(only)) + excluded_hint(left_out))
        table = self.read_table(rows, root, cache, left_out)
        return replace(table, columns=to_columns(fields, names))

    def _describe_labels(self, split: Split) -> str:
        """Describe where the labels are from, if another folder has more of them."""
        if self.label_depth is not None or self.label_pattern is not None:
            return ""
        names = [*split.train.names, *split.query.names, *split.gallery.names]
        folders = [name.split("/")[:-1] for name in names]
        found = find_class(names, {path[0] for path in folders})
        notes = [f"{found} is a class here, not a part of a split"] if found else []
        return "; ".join([*notes, *describe_depths(folders)])

    def _only_one_class(self, label: str) -> str:
        if self.labels_rule() != PathLabels():
            return f"data.root={self.root}: all images have the label {label!r}"
        return (
            f"data.root={self.root} contains only one class folder, {label!r}, so every result "
            f"would be relevant; if the classes are inside it, use data.root={self.root}/{label}"
        )

    def _check_class_folders(self, names: Sequence[str]) -> None:
        """Raise `BenchError` for images next to the class folders, and for parts of a split."""
        loose = [name for name in names if "/" not in name]
        if loose:
            raise BenchError(
                f"data.root={self.root}: {len(loose)} images, {loose[0]} first, are next to the "
                "class folders; move each into the folder of its class, give data.label_pattern "
                "if the names contain the labels, or use data=prepared for images without classes"
            )
        folders = {name.partition("/")[0]: None for name in names}
        parts = find_parts(folders)
        if not parts or len(folders) == 1 or find_class(names, folders):
            return
        listed = list_first(sorted(parts), 4)
        if others := folders.keys() - parts:
            raise BenchError(
                f"data.root={self.root}: is {listed} a class, or a part of a ready-made split? "
                f"There are other folders ({list_first(sorted(others), 4)}). data.label_depth=1 "
                f"takes every folder as a class, data.exclude=[{next(iter(parts))}/**] leaves one "
                "out"
            )
        if is_ready_split(folders):
            raise BenchError(
                f"data.root={self.root} contains {listed}, a ready-made split; use data=prepared"
            )
        ordered = sorted(parts, key=lambda name: (parts[name] == "gallery", RANKS[parts[name]]))
        train = next((name for name, part in parts.items() if part == "train"), "")
        if all(name.count("/") > 1 for name in names):
            choices = ["data.label_depth=2 for the class folders in them, all images in one set"]
            if train:
                choices.append(f"data.train_folder={train} to train on it and split the others")
        else:
            choices = ["data.label_pattern if the names of the images contain the labels"]
        choices += [
            f"data=prepared data.query_folder={ordered[0]} data.gallery_folder={ordered[-1]}",
            "data.label_depth=1 if they are the classes",
        ]
        raise BenchError(
            f"data.root={self.root} contains {listed}, parts of a ready-made split. Give "
            f"{'; '.join(choices)}"
        )
