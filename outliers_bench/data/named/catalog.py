"""Catalog of the named data sets, in display order."""

from __future__ import annotations

from outliers_bench.data.named.animals90 import Animals90
from outliers_bench.data.named.caltech101 import Caltech101, Caltech101Animals
from outliers_bench.data.named.cifar10 import Cifar10
from outliers_bench.data.named.fashion_mnist import FashionMnist
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
