"""Every choice of every config group: the dataclass that is its schema and does its work."""

from __future__ import annotations

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.keypoints.models import KeypointMatching, Spatial, Vlad
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.retrieval.indexes.trees import BallTree, KdTree
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.rerank.collaborative_filtering import CollaborativeFiltering
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation
from outliers_bench.retrieval.rerank.diffusion import Diffusion
from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.training.augment import Augment, OriginalAugment
from outliers_bench.training.models import CnnScratch, Transfer
from outliers_bench.training.schedules import (
    CosineSchedule,
    ExponentialSchedule,
    LrSchedule,
    OriginalSchedule,
)

SCHEMAS: dict[str, dict[str, type]] = {
    "data": {
        "folder": ClassFolders,
        "prepared": PreparedFolders,
        "manifest": Manifest,
        "silhouettes": Silhouettes,
        "synthetic": Synthetic,
        **NAMED,
    },
    "model": {
        "backbone": Backbone,
        "efficientnet_lite0": EfficientNetLite0,
        "pixels": Pixels,
        "embeddings": Precomputed,
        "keypoints": KeypointMatching,
        "vlad": Vlad,
        "ensemble": Ensemble,
        "cnn_scratch": CnnScratch,
        "transfer": Transfer,
    },
    "lr_schedule": {
        "constant": LrSchedule,
        "original": OriginalSchedule,
        "exponential": ExponentialSchedule,
        "cosine": CosineSchedule,
    },
    "augment": {"none": Augment, "original": OriginalAugment},
    "reduce": {
        "none": Reducer,
        "pca": Pca,
        "learned_whitening": LearnedWhitening,
        "random_projection": RandomProjection,
    },
    "rerank": {
        "none": Rerank,
        "spatial": Spatial,
        "alpha_qe": AlphaQueryExpansion,
        "dba": DatabaseAugmentation,
        "k_reciprocal": KReciprocal,
        "diffusion": Diffusion,
        "collaborative_filtering": CollaborativeFiltering,
    },
    "index": {
        "exact": Exact,
        "kd_tree": KdTree,
        "ball_tree": BallTree,
        "faiss_hnsw": FaissHnsw,
        "faiss_ivfpq": FaissIvfPq,
        "faiss_sq8": FaissSq8,
        "annoy": Annoy,
    },
}
