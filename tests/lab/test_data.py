import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from rigl_edu.lab import data
from rigl_edu.lab.download import fetch


def md5(content):
    return hashlib.md5(content).hexdigest()


def pickled_images(count, label_key, classes, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = rng.integers(0, classes, count).tolist()
    return pickle.dumps({"data": images, label_key: labels}), images, labels


def write_archive(path, folder, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def tiny10(tmp_path):
    """An archive in CIFAR-10's format, torchvision's class with its md5 sums, and the arrays."""
    parts = {f"data_batch_{i}": pickled_images(4, "labels", 10, i) for i in range(1, 6)}
    parts["test_batch"] = pickled_images(3, "labels", 10, 0)
    files = {name: part[0] for name, part in parts.items()}
    meta = pickle.dumps({"label_names": [f"class {i}" for i in range(10)]})
    served = tmp_path / "served"
    served.mkdir()
    archive = served / CIFAR10.filename
    write_archive(archive, CIFAR10.base_folder, files | {"batches.meta": meta})
    names = list(files)
    source = type(
        "Tiny10",
        (CIFAR10,),
        {
            "tgz_md5": md5(archive.read_bytes()),
            "train_list": [[n, md5(files[n])] for n in names[:5]],
            "test_list": [["test_batch", md5(files["test_batch"])]],
            "meta": {"filename": "batches.meta", "key": "label_names", "md5": md5(meta)},
        },
    )
    return archive, source, parts


def test_cifar10_keeps_images_labels_and_file_order(tiny10, tmp_path):
    archive, source, parts = tiny10
    loaded = data.cifar10(tmp_path / "root", [archive.as_uri()], source)
    images = np.concatenate([parts[f"data_batch_{i}"][1] for i in range(1, 6)])
    labels = sum((parts[f"data_batch_{i}"][2] for i in range(1, 6)), [])
    assert torch.equal(loaded.train_images, torch.from_numpy(images).view(20, 3, 32, 32))
    assert loaded.train_labels.tolist() == labels
    assert torch.equal(
        loaded.test_images, torch.from_numpy(parts["test_batch"][1]).view(3, 3, 32, 32)
    )
    assert loaded.name == "cifar10" and loaded.classes[3] == "class 3"
    assert loaded.mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465])
    assert loaded.std.tolist() == pytest.approx([0.2023, 0.1994, 0.2010])


def test_second_load_needs_no_mirror(tiny10, tmp_path):
    archive, source, _ = tiny10
    first = data.cifar10(tmp_path / "root", [archive.as_uri()], source)
    (tmp_path / "root" / CIFAR10.filename).unlink()
    again = data.cifar10(tmp_path / "root", [], source)
    assert again.fingerprint == first.fingerprint


def test_mirrors_are_tried_in_order_and_a_wrong_file_is_passed_over(tiny10, tmp_path):
    archive, source, _ = tiny10
    wrong = tmp_path / "wrong.tar.gz"
    wrong.write_bytes(b"an error page")
    mirrors = [(tmp_path / "absent").as_uri(), wrong.as_uri(), archive.as_uri()]
    assert len(data.cifar10(tmp_path / "root", mirrors, source).train_images) == 20


def test_all_mirrors_fail(tiny10, tmp_path):
    _, source, _ = tiny10
    wrong = tmp_path / "wrong.tar.gz"
    wrong.write_bytes(b"an error page")
    mirrors = [(tmp_path / "absent").as_uri(), wrong.as_uri(), "not a url"]
    with pytest.raises(FileNotFoundError) as raised:
        data.cifar10(tmp_path / "root", mirrors, source)
    message = str(raised.value)
    assert all(mirror in message for mirror in mirrors)
    assert f"wrong md5 {md5(b'an error page')}" in message
    assert all(f"  {i}. " in message for i in (1, 2, 3)) and source.tgz_md5 in message
    assert not list((tmp_path / "root").iterdir())


def test_archive_with_a_wrong_md5(tiny10, tmp_path):
    archive, source, _ = tiny10
    root = tmp_path / "root"
    root.mkdir()
    (root / CIFAR10.filename).write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"expected {source.tgz_md5}.*[Dd]elete"):
        data.cifar10(root, [archive.as_uri()], source)


def test_unpacked_file_with_a_wrong_md5(tiny10, tmp_path):
    archive, source, _ = tiny10
    root = tmp_path / "root"
    data.cifar10(root, [archive.as_uri()], source)
    (root / CIFAR10.filename).unlink()
    (root / CIFAR10.base_folder / "data_batch_2").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="cifar-10-batches-py is incomplete"):
        data.cifar10(root, [archive.as_uri()], source)


def test_damaged_files_are_unpacked_again_from_a_good_archive(tiny10, tmp_path):
    archive, source, _ = tiny10
    root = tmp_path / "root"
    first = data.cifar10(root, [archive.as_uri()], source)
    (root / CIFAR10.base_folder / "data_batch_2").write_bytes(b"cut short")
    assert data.cifar10(root, [], source).fingerprint == first.fingerprint


def test_cifar100_reads_fine_labels(tmp_path):
    train = pickled_images(6, "fine_labels", 100, 1)
    test = pickled_images(2, "fine_labels", 100, 2)
    meta = pickle.dumps({"fine_label_names": [str(i) for i in range(100)]})
    archive = tmp_path / CIFAR100.filename
    files = {"train": train[0], "test": test[0], "meta": meta}
    write_archive(archive, CIFAR100.base_folder, files)
    source = type(
        "Tiny100",
        (CIFAR100,),
        {
            "tgz_md5": md5(archive.read_bytes()),
            "train_list": [["train", md5(train[0])]],
            "test_list": [["test", md5(test[0])]],
            "meta": {"filename": "meta", "key": "fine_label_names", "md5": md5(meta)},
        },
    )
    loaded = data.cifar100(tmp_path / "root", [archive.as_uri()], source)
    assert loaded.train_labels.tolist() == train[2] and len(loaded.classes) == 100
    assert loaded.mean.tolist() == pytest.approx([0.5071, 0.4865, 0.4409])


def test_canonical_md5_sums_and_last_mirror():
    assert CIFAR10.tgz_md5 == "c58f30108f718f92721af3b95e74349a"
    assert CIFAR100.tgz_md5 == "eb9058c3a382ffc7106e4002c42a8d85"
    for mirrors, source in ((data.CIFAR10_MIRRORS, CIFAR10), (data.CIFAR100_MIRRORS, CIFAR100)):
        assert mirrors[-1] == source.url and len(set(mirrors)) == len(mirrors) >= 3
        assert all(m.startswith("https://") and m.endswith(source.filename) for m in mirrors)


def test_fetch_leaves_no_partial_file(tmp_path):
    with pytest.raises(ConnectionError):
        fetch(tmp_path / "a" / "b.tar.gz", "0" * 32, [(tmp_path / "none").as_uri()])
    assert not list((tmp_path / "a").iterdir())


# --- image folders ---------------------------------------------------------------------------


def make_folder(root, counts, size=(5, 4), seed=0):
    rng = np.random.default_rng(seed)
    for part, per_class in counts.items():
        for name in ("ant", "bee", "cat"):
            directory = root / part / name
            directory.mkdir(parents=True)
            for i in range(per_class):
                pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(directory / f"{i:03}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "bugs", {"train": 40, "test": 2})


def test_image_folder_has_every_image_once_with_its_label(folder):
    loaded = data.image_folder(folder)
    assert loaded.name == "bugs" and loaded.classes == ("ant", "bee", "cat")
    assert loaded.train_images.shape == (120, 3, 5, 4) and loaded.image_shape == (3, 5, 4)
    expected = set()
    for label, name in enumerate(loaded.classes):
        for path in (folder / "train" / name).iterdir():
            expected.add((np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes(), label))
    found = zip(loaded.train_images, loaded.train_labels, strict=True)
    assert {(image.numpy().tobytes(), int(label)) for image, label in found} == expected
    assert loaded.test_labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_last_tenth_of_an_image_folder_has_all_classes(folder):
    loaded = data.image_folder(folder)
    assert len(loaded.train_labels[-12:].unique()) == 3
    again = data.image_folder(folder, cache=folder.parent / "other.npz")
    assert torch.equal(again.train_images, loaded.train_images)


def test_image_folder_statistics(folder):
    loaded = data.image_folder(folder)
    pixels = loaded.train_images.double() / 255
    torch.testing.assert_close(loaded.mean.double(), pixels.mean((0, 2, 3)))
    torch.testing.assert_close(loaded.std.double(), pixels.std((0, 2, 3), unbiased=False))


def test_cache_is_used_and_renewed(folder, monkeypatch):
    first = data.image_folder(folder)
    assert (folder.parent / "cache" / "bugs.npz").exists()
    with monkeypatch.context() as patch:
        patch.setattr(data, "decode", lambda paths: pytest.fail("decoded again"))
        assert data.image_folder(folder).fingerprint == first.fingerprint
    (folder / "train" / "ant" / "000.png").unlink()
    renewed = data.image_folder(folder)
    fresh = data.image_folder(folder, cache=folder.parent / "other.npz")
    assert len(renewed.train_images) == 119 and renewed.fingerprint == fresh.fingerprint


def test_without_a_cache_directory_it_still_loads(folder, capsys):
    (folder.parent / "cache").write_text("a file, so no directory can be made here")
    assert len(data.image_folder(folder).train_images) == 120
    assert "not cached" in capsys.readouterr().out


def test_images_of_two_sizes(folder):
    Image.new("RGB", (9, 9)).save(folder / "test" / "cat" / "big.png")
    with pytest.raises(ValueError, match="big.png has 9x9 pixels.*5x4"):
        data.image_folder(folder)


def test_grey_images_become_rgb(tmp_path):
    root = make_folder(tmp_path / "grey", {"train": 1, "test": 1})
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    images = data.image_folder(root).train_images
    assert torch.equal(images[:, 0], images[:, 2])


def test_folder_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no train/"):
        data.image_folder(tmp_path)
    root = make_folder(tmp_path / "odd", {"train": 1, "test": 1})
    (root / "test" / "dog").mkdir()
    Image.new("RGB", (4, 5)).save(root / "test" / "dog" / "0.png")
    with pytest.raises(ValueError, match="dog"):
        data.image_folder(root)
    with pytest.raises(ValueError, match="cifar10-folder"):
        data.image_folder(make_folder(tmp_path / "cifar10", {"train": 1, "test": 1}))


# --- digits, fingerprints, names ---------------------------------------------------------------


def test_digits():
    digits = data.digits()
    assert digits.train_images.shape == (1437, 1, 8, 8) and len(digits.test_images) == 360
    assert digits.train_images.max() == 255 and len(digits.train_labels.unique()) == 10
    train = {image.numpy().tobytes() for image in digits.train_images}
    shared = [image for image in digits.test_images if image.numpy().tobytes() in train]
    assert len(shared) < 5  # the data set has a few equal images, the split no common rows
    large = data.digits(4, 3)
    assert large.image_shape == (3, 32, 32) and large.name == "digits-3x32x32"
    assert torch.equal(large.train_images[:, 1, ::4, ::4], digits.train_images[:, 0])


def test_fingerprint_sees_one_pixel_one_label_and_the_order():
    digits = data.digits()
    parts = (
        digits.train_images,
        digits.train_labels,
        digits.test_images,
        digits.test_labels,
    )
    assert data.fingerprint(*parts) == digits.fingerprint == data.digits().fingerprint
    changed = digits.train_images.clone()
    changed[3, 0, 2, 2] ^= 1
    labels = digits.test_labels.clone()
    labels[0] = (labels[0] + 1) % 10
    prints = {
        digits.fingerprint,
        data.fingerprint(changed, *parts[1:]),
        data.fingerprint(*parts[:3], labels),
        data.fingerprint(parts[0].flip(0), parts[1].flip(0), *parts[2:]),
        digits.head(1436, 360).fingerprint,
    }
    assert len(prints) == 5


def test_names_of_locations(folder, tmp_path):
    assert data.name_of(str(folder)) == "bugs" == data.load(str(folder)).name
    (tmp_path / "here" / "cifar-10-batches-py").mkdir(parents=True)
    assert data.name_of(str(tmp_path / "here")) == "cifar10"
    with pytest.raises(ValueError, match="'cifar1o'.*cifar10"):
        data.name_of("cifar1o")
    with pytest.raises(FileNotFoundError, match="neither train/"):
        data.name_of(str(tmp_path))


@pytest.mark.parametrize("name", ["digits", "digits-3x32x32"])
def test_load_by_name(name):
    assert data.load(name).name == name
