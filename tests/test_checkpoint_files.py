"""Checkpoints: what is refused, and what loads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.networks import IMAGE_SIZE
from adcore.train import checkpoints as checkpoints_module
from adcore.train import train
from adcore.train.build import load_detector, load_states
from adcore.train.checkpoints import Checkpoints
from adcore.train.member_state import MemberState
from adcore.train.members import members_of
from tests.train_runs import config, ignore


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> Path:
    """Of config(epochs=1)."""
    path = tmp_path_factory.mktemp("checkpoint") / "run.ckpt"
    train(config(epochs=1), ignore, data=digits_train, checkpoints=Checkpoints(path, every=0))
    return path


def test_a_checkpoint_of_other_settings_is_refused_with_file_and_differences(
    checkpoint: Path, digits_train: ImageDataset
) -> None:
    before = checkpoint.read_bytes()
    with pytest.raises(UserError) as caught:
        train(config(epochs=2, weight_abc=9.0), ignore, data=digits_train, checkpoints=Checkpoints(checkpoint))
    message = str(caught.value)
    assert message.startswith(f"{checkpoint}: made with other settings")
    assert "weight_abc: 2.0 there, 9.0 now" in message
    assert "epochs: 1 there, 2 now" in message
    assert "width" not in message
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_checkpoint_is_refused_with_its_name(
    share: float, checkpoint: Path, digits_train: ImageDataset, tmp_path: Path
) -> None:
    whole = checkpoint.read_bytes()
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(whole[: int(share * len(whole))])
    for use in (
        lambda: train(config(epochs=1), ignore, data=digits_train, checkpoints=Checkpoints(cut)),
        lambda: load_detector(cut, 1),
    ):
        with pytest.raises(UserError) as caught:
            use()
        assert str(caught.value).startswith(f"{cut}: not a complete checkpoint of this program")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["text", "tensor", "foreign", "earlier"])
def test_a_file_that_is_no_checkpoint_of_ours_is_refused_with_its_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    if content == "text":
        path.write_text("epoch,auroc\n1,0.9\n")
    else:
        foreign = {"foreign": {"state_dict": {}}, "earlier": {"adcore": {"config": {}}, "state_dict": {}}}
        torch.save(torch.zeros(3) if content == "tensor" else foreign[content], path)
    with pytest.raises(UserError, match="not a complete checkpoint of this program") as caught:
        load_detector(path, 1)
    assert str(caught.value).startswith(f"{path}: ")
    assert ("an earlier version wrote it" in str(caught.value)) == (content == "earlier")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), torch.OutOfMemoryError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), RuntimeError),
        (RuntimeError("size mismatch for 0.weight"), UserError),
    ],
)
def test_what_is_wrong_with_the_device_is_not_blamed_on_the_checkpoint(
    error: RuntimeError, expected: type[Exception]
) -> None:
    def load(states: object) -> None:
        raise error

    with pytest.raises(expected) as caught:
        load_states(SimpleNamespace(load=load, kind=SimpleNamespace), [], "run.ckpt")  # type: ignore[arg-type]
    assert (caught.value is error) is (expected is not UserError)


def test_a_checkpoint_that_cannot_be_written_is_one_clear_error(digits_train: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "run.ckpt", every=0)
    with pytest.raises(UserError) as caught:
        train(config(), ignore, data=digits_train, checkpoints=checkpoints)
    assert str(caught.value).startswith(f"{tmp_path / 'file' / 'run.ckpt'}: cannot be written")


def test_a_checkpoint_loads_without_running_code_and_names_its_settings(checkpoint: Path) -> None:
    stored = torch.load(checkpoint, weights_only=True)
    members = stored["adcore"]["members"]
    assert [member["config"]["classes"] for member in members] == [[0], [3]]
    assert [len(member["history"]) for member in members] == [1, 1]


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_a_loaded_detector_gives_the_same_scores(precision: str, digits_train: ImageDataset, tmp_path: Path) -> None:
    settings = config(precision=precision, epochs=2)
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    trained = train(settings, ignore, data=digits_train, checkpoints=checkpoints).detector
    stored, loaded = load_detector(tmp_path / "run.ckpt", 1)
    assert stored == settings
    dtype = torch.float64 if precision == "64-true" else torch.float32
    images = Resampler(8, IMAGE_SIZE, torch.device("cpu"), dtype).plain(digits_train.images[:100])
    assert torch.equal(loaded.score(images), trained.score(images))


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 30.0), (2.0, 100.0), (60.0, 600.0)])
def test_saving_takes_two_percent_of_the_time_within_limits(
    seconds: float, pause: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = [0.0]

    def write(path: Path, states: object) -> None:
        now[0] += seconds

    monkeypatch.setattr(checkpoints_module, "_write", write)
    monkeypatch.setattr(checkpoints_module.time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path / "run.ckpt")
    checkpoints.save([MemberState(config(classes=(0,)), history=[{}])])
    now[0] += pause - 0.1
    assert not checkpoints.due()
    now[0] += 0.2
    assert checkpoints.due()


def test_a_file_of_other_settings_is_no_error_where_that_is_allowed(
    checkpoint: Path, digits_train: ImageDataset
) -> None:
    members = members_of([config(epochs=1, weight_abc=9.0)])
    [first, second] = Checkpoints(checkpoint, strict=False).load(members, digits_train.content_hash)
    assert (first.epoch, second.epoch) == (0, 0)
    [first, second] = Checkpoints(checkpoint, strict=False).load(members_of([config(epochs=1)]))
    assert (first.epoch, second.epoch) == (1, 1)


def test_what_is_busy_is_not_given_more_and_learns_of_each_file(tmp_path: Path) -> None:
    busy, saved = [True], list[Path]()
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0, on_saved=saved.append, is_busy=lambda: busy[0])
    assert not checkpoints.due()
    busy[0] = False
    assert checkpoints.due()
    checkpoints.save([MemberState(config(classes=(0,)), history=[{"val_auroc": 0.5}])])
    assert saved == [tmp_path / "run.ckpt"]
