"""Catalog of the named data sets, in display order."""

from __future__ import annotations

from outliers_bench.data.named.arrays import Cifar10, FashionMnist
from outliers_bench.data.named.folders import Animals90, Caltech101, Caltech101Animals
from outliers_bench.data.named.imagenet import ImageNet
from outliers_bench.data.named.oxford_pets import OxfordPets
from outliers_bench.data.named.source import NamedSet

NAMED: dict[str, type[NamedSet]] = {
    kind.info.name: kind
    for kind in (
        *(Animals90, Caltech101, Caltech101Animals, OxfordPets),
        *(ImageNet, Cifar10, FashionMnist),
    )
}
