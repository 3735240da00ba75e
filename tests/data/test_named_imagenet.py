"""ImageNet: small synthetic versions of its distributed layouts."""

import numpy as np
import pytest
from scipy.io import savemat

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.named.imagenet import ImageNet
from outliers_bench.data.named.source import Parts
from outliers_bench.errors import BenchError
from tests.named_sets import photo, photos, write_files


def labels(images):
    return [images.classes[label] for label in images.labels]


WNIDS = ("n02119789", "n02100735", "n02110185")
MAPPING = "\n".join(
    f"{wnid} {i} {word}"
    for i, (wnid, word) in enumerate(
        zip(WNIDS, ("kit_fox", "English_setter", "Siberian_husky"), strict=True), start=1
    )
).encode()
TRUTH = [3, 1, 2, 3, 1, 2]


def flat_val(folder):
    names = [f"{folder}/ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, 1 + len(TRUTH))]
    return {name: photo(7, i) for i, name in enumerate(names)}


def imagenet(layout):
    if layout == "class folders":
        return {
            **photos("train/{0}/{0}_{1}.JPEG", WNIDS),
            **{f"val/{WNIDS[c - 1]}/{i}.JPEG": photo(7, i) for i, c in enumerate(TRUTH)},
            "synset_words.txt": b"n02119789 kit fox, Vulpes macrotis\nn02100735 English setter\n"
            b"n02110185 Siberian husky\n",
        }
    truth = "\n".join(map(str, TRUTH)).encode()
    if layout == "2012":
        return {
            **photos("ILSVRC2012_img_train/{0}/{0}_{1}.JPEG", WNIDS),
            **flat_val("ILSVRC2012_img_val"),
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth,
        }
    if layout == "2014":
        return {
            **photos("ILSVRC2012_img_train/{0}/{0}_{1}.JPEG", WNIDS),
            **flat_val("ILSVRC2012_img_val"),
            "ILSVRC2014_devkit/data/ILSVRC2014_clsloc_validation_ground_truth.txt": truth,
            "ILSVRC2014_devkit/data/map_clsloc.txt": MAPPING,
        }
    solution = "ImageId,PredictionString\n" + "".join(
        f"ILSVRC2012_val_{i:08d},{WNIDS[c - 1]} 1 2 3 4 {WNIDS[c - 1]} 5 6 7 8 \n"
        for i, c in enumerate(TRUTH, start=1)
    )
    return {
        **photos("ILSVRC/Data/CLS-LOC/train/{0}/{0}_{1}.JPEG", WNIDS),
        **flat_val("ILSVRC/Data/CLS-LOC/val"),
        "LOC_val_solution.csv": solution.encode(),
        "LOC_synset_mapping.txt": b"n02119789 kit fox, Vulpes macrotis\n"
        b"n02100735 English setter\nn02110185 Siberian husky, husky\n",
    }


def write_synsets(file, wnids):
    synsets = np.array(
        [(i, wnid, "words") for i, wnid in enumerate(wnids, start=1)],
        dtype=[("ILSVRC2012_ID", int), ("WNID", object), ("words", object)],
    )
    savemat(file, {"synsets": synsets})


@pytest.mark.parametrize("layout", ["class folders", "2012", "2014", "Kaggle"])
def test_imagenet_layouts(layout, tmp_path):
    root = write_files(imagenet(layout), tmp_path / "imagenet")
    if layout == "2012":
        write_synsets(root / "ILSVRC2012_devkit_t12/data/meta.mat", WNIDS)
    if layout == "2014":
        write_synsets(root / "ILSVRC2014_devkit/data/meta_clsloc.mat", WNIDS)
        write_synsets(root / "ILSVRC2014_devkit/data/meta_det.mat", WNIDS[::-1])  # another task
    source = ImageNet(root=str(root), parts=Parts.official)
    split = source.load(seed=0, cache=tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (18, 3, 3)
    assert ("n02119789" if layout == "2012" else "n02119789 kit fox") in split.gallery.classes
    images, test, _ = source.collect_parts(tmp_path)
    assert test.sum() == 6
    wnids = {
        content_hash(photo(7, i)).digest(): WNIDS[number - 1] for i, number in enumerate(TRUTH)
    }
    val_wnids = {
        digest: label[:9]
        for digest, label, is_test in zip(images.digests, labels(images), test, strict=True)
        if is_test
    }
    assert val_wnids == wnids
    assert len(ImageNet(root=str(root)).load(seed=0, cache=tmp_path).images) == 24


def test_imagenet_without_ground_truth_is_reported(tmp_path):
    root = write_files(flat_val("val"), tmp_path / "imagenet")
    with pytest.raises(BenchError, match="val has photos without class folders, and there is no"):
        ImageNet(root=str(root)).load(seed=0, cache=tmp_path)
    kit = {
        "val/ILSVRC2012_validation_ground_truth.txt": b"1\n2\n9\n",
        "val/map_clsloc.txt": MAPPING,
    }
    write_files(kit, root)
    with pytest.raises(BenchError, match="9 is not the number of a class"):
        ImageNet(root=str(root)).load(seed=0, cache=tmp_path)
    (root / "val/ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")
    with pytest.raises(BenchError, match="does not contain val/ILSVRC2012_val_00000003"):
        ImageNet(root=str(root)).load(seed=0, cache=tmp_path)


def test_imagenet_error_says_how_to_get_it(tmp_path):
    with pytest.raises(BenchError, match=r"after registration only, at https://image-net\.org"):
        ImageNet().load(seed=0, cache=tmp_path)
