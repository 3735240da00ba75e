"""`data=prepared`: a ready-made split in the folders train, query, and gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from outliers_bench.data.folder_source import FolderSource, check_groups, subfolder
from outliers_bench.data.image_files import describe_os_error, existing_folder
from outliers_bench.data.listing import excluded_hint
from outliers_bench.data.parts import find_parts
from outliers_bench.data.path_labels import LABEL, describe_depths, to_columns
from outliers_bench.data.source import Grouping
from outliers_bench.data.table import PARTS, Row, split_from_table
from outliers_bench.errors import BenchError
from outliers_bench.types import GROUP, LeftOut, Split


@dataclass
class PreparedFolders(FolderSource):
    """Folders `query` and `gallery`, and optionally `train`.

    Images in class folders are labeled with the class. Query and gallery images may be without
    class folders, as in a competition: they are then ranked but not scored.

    Parameters
    ----------
    train_folder, query_folder, gallery_folder : str or None
        Folder of each part, relative to the root; None for the one with the usual name of the part,
        such as `probe` for queries (`parts.find_parts`).
    """

    train_folder: str | None = None
    query_folder: str | None = None
    gallery_folder: str | None = None

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.query_folder is not None and self.query_folder == self.gallery_folder:
            raise BenchError(
                f"data.query_folder and data.gallery_folder are both {self.query_folder}; to "
                "search the images of one folder with each other, use data=folder data.root="
                f"{self.root}/{self.query_folder} data.protocol=leave_one_out"
            )

    def load(
        self,
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        cache: Path,
        group: Grouping | None = None,  # noqa: ARG002 - the parts are given
    ) -> Split:
        """Find the images of each part; see `DataSource.load`."""
        self.check()
        root = existing_folder(self.root, "data.root")
        folders = self._find_folders(root)
        names, left_out = self.list_images(root)
        rows: list[Row] = []
        fields: list[dict[str, str]] = []
        used: set[str] = set()
        for part in PARTS:
            prefix = f"{folders[part]}/" if part in folders else ""
            of_part = [name for name in names if prefix and name.startswith(prefix)]
            found = self._read_part(part, prefix, of_part, left_out)
            rows += [
                Row(name, item.get(LABEL), part, item.get(GROUP) or None, len(fields) + number)
                for number, (name, item) in enumerate(zip(of_part, found, strict=True))
            ]
            fields += found
            used.update(of_part)
        unused = f"is in none of the folders {', '.join(folders.values())}"
        outside = [LeftOut(name, "unselected", unused) for name in names if name not in used]
        check_groups(rows, f"data.root={self.root}")
        table = self.read_table(rows, root, cache, [*left_out, *outside])
        table = replace(table, columns=to_columns(fields, [row.name for row in rows]))

        def below_part(name: str) -> list[str]:
            """Return the folders of an image, counted from that of its part."""
            prefixes = [f"{folder}/" for folder in folders.values()]
            own = max((each for each in prefixes if name.startswith(each)), key=len)
            return name.removeprefix(own).split("/")[:-1]

        split = split_from_table(
            table, lambda parts: self.add_groups(parts, cache, below_part), name=self.title()
        )
        if not split.labeled or self.label_depth is not None or self.label_pattern is not None:
            return split
        below = [below_part(name) for part in PARTS for name in getattr(split, part).names]
        return replace(split, labels_from="".join(describe_depths(below)))

    def _find_folders(self, root: Path) -> dict[str, str]:
        """Return the folder of each part, of train only if there is one."""
        try:
            below = sorted(path.name for path in root.iterdir() if path.is_dir())
        except OSError as error:
            raise BenchError(f"{root} cannot be listed: {describe_os_error(error)}") from None
        usual = find_parts(below)
        folders = {}
        taken = {self.query_folder, self.gallery_folder}
        for part in PARTS:
            option = f"data.{part}_folder"
            given: str | None = getattr(self, f"{part}_folder")
            if given is not None:
                folders[part] = subfolder(root, given, option)
                continue
            candidates = [name for name in below if usual.get(name) == part and name not in taken]
            if len(candidates) > 1:
                raise BenchError(
                    f"data.root={self.root} contains {' and '.join(candidates)}, which are both "
                    f"usual names of the {part} images; choose one with {option}="
                )
            if candidates:
                folders[part] = candidates[0]
            elif part != "train":
                raise BenchError(self._missing(part, usual))
        for part, other in (("query", "gallery"), ("gallery", "query")):  # train may be either
            folder, outer = folders[part], folders[other]
            if f"{folder}/".startswith(f"{outer}/"):
                raise BenchError(
                    f"data.{part}_folder={folder} is in data.{other}_folder={outer}, so its images "
                    "would be in both parts; choose folders that are next to each other"
                )
        return folders

    def _missing(self, part: str, usual: dict[str, str]) -> str:
        others = [name for name, of in usual.items() if of in ("test", "validation")]
        advice = (
            f"say which of {', '.join(sorted(usual))} has the queries and which is searched, with "
            "data.query_folder= and data.gallery_folder="
            if others
            else "data=folder splits class folders itself"
        )
        return (
            f"data.root={self.root}: there is no folder {part} in it; data=prepared needs query "
            f"and gallery (train is optional); {advice}"
        )

    def _read_part(
        self, part: str, prefix: str, names: Sequence[str], left_out: Sequence[LeftOut]
    ) -> list[dict[str, str]]:
        """Return label and other fields of the images of a part; none if it is unlabeled."""
        if not names and part != "train":
            of_part = [item for item in left_out if item.name.startswith(prefix)]
            raise BenchError(
                f"data.root={self.root}: no images in {prefix[:-1]}{excluded_hint(of_part)}"
            )
        fields = self.labels_rule().read(names, below=prefix.count("/"))
        missing = [name for name, found in zip(names, fields, strict=True) if not found]
        if not missing or (part != "train" and len(missing) == len(names)):
            return fields
        if self.label_depth is not None or self.label_pattern is not None:
            self.read_labels(missing, below=prefix.count("/"))
        if part == "train":
            raise BenchError(
                f"data.root={self.root}: {missing[0]} is not in a class folder; training "
                f"images need one folder per class, {prefix}<class>/"
            )
        raise BenchError(
            f"data.root={self.root}: {prefix[:-1]} has images in class folders and {len(missing)} "
            f"next to them ({missing[0]}); put all of them in class folders, or none"
        )
