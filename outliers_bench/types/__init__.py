"""Images, splits and rankings: the nouns that every room shares, checked when made."""

from outliers_bench.types.arrays import RGB, BoolArray, FloatArray, IntArray
from outliers_bench.types.embeddings import Embeddings
from outliers_bench.types.exclusion import ITSELF, NOTHING, Excluded, Exclusion, ranges, same
from outliers_bench.types.images import (
    CAMERA,
    CROPPED_FROM,
    ENCOUNTER,
    GROUP,
    SITE,
    TIME,
    ImageReader,
    ImageSet,
)
from outliers_bench.types.ranking import RankedBlocks, Ranking, join_blocks
from outliers_bench.types.split import LeftOut, LeftOutKind, Reason, Split

__all__ = [
    "CAMERA",
    "CROPPED_FROM",
    "ENCOUNTER",
    "GROUP",
    "ITSELF",
    "NOTHING",
    "RGB",
    "SITE",
    "TIME",
    "BoolArray",
    "Embeddings",
    "Excluded",
    "Exclusion",
    "FloatArray",
    "ImageReader",
    "ImageSet",
    "IntArray",
    "LeftOut",
    "LeftOutKind",
    "RankedBlocks",
    "Ranking",
    "Reason",
    "Split",
    "join_blocks",
    "ranges",
    "same",
]
