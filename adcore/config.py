"""TrainConfig: everything that decides the results of a training run, in one flat dataclass."""

from __future__ import annotations

import dataclasses
from typing import Any

from adcore.data_checks import experiments_of, protocol_of
from adcore.datasets import describe, place_of
from adcore.detector_catalog import ANOMALIES, check_detector, check_pseudo_anomalies
from adcore.errors import UserError
from adcore.options import check_options, flag_of, option
from adcore.protocols.definitions import PROTOCOLS, Exposure, check_exposure, check_one_experiment

__all__ = ["IMAGE_SIZE", "IMAGE_SIZES", "LOSS_WEIGHTS", "PRECISIONS", "TrainConfig"]

PRECISIONS = ("32-true", "bf16-mixed", "64-true")
#: The default side of images and all that the networks can be built for, as in adcore.networks, which needs torch.
IMAGE_SIZE = 32
IMAGE_SIZES = (IMAGE_SIZE, 64, 128)
PATCH_SIZES = (4, 8, 16, 32)
#: As in adcore.pseudo_anomalies, which needs torch.
PSEUDO_ANOMALIES = ("none", "rotate", "swap", "stretch", "all")
NORMAL, ANOMALOUS = "normal images", "anomalies"


def _weight(default: float, loss: str, images: str) -> Any:
    """The field for a generator loss's weight; images: what the loss is computed on."""
    made = option(default, f"weight of {loss} on {images}", at_least=0)
    return dataclasses.field(default=default, metadata={**made.metadata, "images": images})


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run of one or more one-vs-rest experiments.

    Raises UserError, naming field, value and legal range, if a value is not legal.
    """

    dataset: str = option("fashion-mnist", "data set, or data of your own: folder:PATH, npz:FILE or csv:FILE")
    classes: tuple[int, ...] = option((), "classes that are normal in turn: all, 6, Shirt, or 0,3,6")
    images_per_class: int | None = option(
        1500, "cap on images per class in every part, and on an experiment's normal images", at_least=1, none="all"
    )
    validation_images: int | None = option(
        2500, "cap on validation images, all classes together", at_least=1, none="all"
    )
    protocol: str = option(
        "paper",
        "anomaly classes seen in training: paper (all), seen-unseen (known ones), one-class (none), held-out (none: "
        "the train part has none, half of the test part's are for validation); leave-one-out: "
        "class i is anomalous, the rest normal; names with a number: fixed numbers of images, one class per run",
        choices=PROTOCOLS,
    )  # fmt: skip
    known_classes: int | None = option(
        None, "seen-unseen: number of known anomaly classes, drawn by split_seed [default: 1]", at_least=1
    )
    labelled_share: float = option(
        0.5, "labelled anomalies / (labelled anomalies + normal images)", above=0, at_most=0.5
    )
    pollution: float = option(0.0, "share of the normal fit images that are in fact anomalies", at_least=0, at_most=0.5)
    sampling: str = option("kmeans", "how anomalies are subsampled", choices=("kmeans", "random"))
    clusters: int = option(10, "k-means clusters per anomaly class", at_least=1)
    draws: str = option(
        "once",
        "subsample anomalies once, or anew for each epoch (protocol paper; not those of a labelled_share below .5)",
        choices=("once", "each-epoch"),
    )

    pseudo_anomalies: str = option(
        "none",
        "make anomalies for training from normal images: rotate them, swap their halves, stretch them, or all three",
        choices=PSEUDO_ANOMALIES,
    )
    pseudo_share: float = option(
        0.5, "share of the training's anomalies that are made from normal images; all, where none are labelled",
        above=0, at_most=1,
    )  # fmt: skip

    detector: str = option("gan", "detector", choices=tuple(ANOMALIES))
    image_size: int = option(IMAGE_SIZE, "side of the networks' images in pixels: 32, 64 or 128", at_least=32)
    width: int = option(8, "channels after the first convolution", at_least=1, at_most=4096)
    norm: str = option("batch", "normalisation layers", choices=("batch", "group", "instance"))

    reconstruction: str = option(
        "mse", "autoencoders: reconstruction error on [0, 1], as loss and score", choices=("mse", "bce", "l1")
    )
    vae_score: str = option(
        "excess-bce",
        "vae: score is the reconstruction loss (bce), its excess over the pixels' entropy, or the negative ELBO",
        choices=("excess-bce", "bce", "elbo"),
    )  # fmt: skip
    latent_size: int = option(64, "size of a detector's embedding of an image", at_least=1, at_most=4096)
    dropout: float = option(0.2, "supervised detectors: share of dense units dropped", at_least=0, at_most=0.9)
    bandwidth: float = option(
        0.5, "autoencoder-kde: width of the Gaussian kernel, in standard deviations of the embeddings", above=0
    )

    patch_size: int = option(
        16, "gan: side in pixels of the patch loss's windows, on images of 32 pixels: 4, 8, 16 or 32", at_least=4
    )
    score_latent: float = option(
        0.0, "GANs: weight of the latent distance in the score, beside the reconstruction error", at_least=0
    )
    average_weights: float = option(
        0.0,
        "GANs: decay per step of a moving average of the generator's weights, which scores images; 0: no average",
        at_least=0, at_most=0.99999,
    )  # fmt: skip

    weight_reconstruction: float = _weight(1.5, "the L1 reconstruction loss", NORMAL)
    weight_patch: float = _weight(1.5, "the worst patches' reconstruction loss", NORMAL)
    weight_latent: float = _weight(0.5, "the latent distance", NORMAL)
    weight_adversarial_normal: float = _weight(0.05, "the adversarial loss", NORMAL)
    weight_adversarial_anomaly: float = _weight(0.05, "the adversarial loss", ANOMALOUS)
    weight_abc: float = _weight(2.0, "the ABC loss", ANOMALOUS)

    learning_rate: float = option(1e-3, "Adam's learning rate; the peak of one-cycle", above=0)
    schedule: str = option("one-cycle", "learning rate schedule", choices=("one-cycle", "halve-every-50", "constant"))
    weight_decay: float = option(
        0.0, "Adam's L2 penalty on the weights (not used by the two-discriminator GANs)", at_least=0
    )
    epochs: int = option(4, "passes over an experiment's images", at_least=1)
    batch_size: int = option(
        64, "images per step and experiment, half normal, half anomalous; 1 means one of each", at_least=1
    )

    horizontal_flip: bool = option(True, "augmentation: mirror left and right, half of the time")
    vertical_flip: bool = option(False, "augmentation: mirror top and bottom, half of the time")
    crop: bool = option(False, "augmentation: crop 0-2 pixels from each border")
    rotate: bool = option(False, "augmentation: rotate by 0, 90, 180 or 270 degrees")

    mirrored_scores: bool = option(False, "score an image by the mean over itself and its mirror image")

    fold: int | None = option(
        None, "k-fold cross-validation: which fifth of the train part is validation, 0 to 4 [default: the usual split]",
        at_least=0, at_most=4,
    )  # fmt: skip
    train_seed: int = option(0, "seed of initialisation, order, augmentation and sampling", at_least=0)
    split_seed: int = option(0, "seed of the fit/validation split", at_least=0)
    patience: int | None = option(
        None, "stop an experiment after this many epochs without a better validation loss", at_least=1,
        none="never",
    )  # fmt: skip
    precision: str = option(
        "32-true",
        "floating-point precision; bf16-mixed: convolutions and matrix products in bfloat16, the rest in float32, for "
        "CUDA and for CPUs with AVX512_BF16 or AMX",
        choices=PRECISIONS,
    )

    def __post_init__(self) -> None:
        check_options(self)
        object.__setattr__(self, "dataset", place_of(self.dataset))
        info = describe(self.dataset)
        object.__setattr__(self, "protocol", protocol_of(info, self.protocol))
        if self.image_size not in IMAGE_SIZES:
            raise UserError(f"--image-size {self.image_size}: expected one of {', '.join(map(str, IMAGE_SIZES))}")
        if self.patch_size not in PATCH_SIZES:
            raise UserError(f"--patch-size {self.patch_size}: expected one of {', '.join(map(str, PATCH_SIZES))}")
        object.__setattr__(self, "classes", experiments_of(info, self.classes, "classes"))
        check_one_experiment(self.protocol, self.classes, "classes")
        if self.pollution and not info.has_anomalies:
            raise UserError(f"--pollution {self.pollution}: {info.name} has no anomalies to train on; leave it out")
        if self.batch_size > 1 and self.batch_size % 2:
            raise UserError(f"--batch-size {self.batch_size}: expected 1 or an even number (half normal images)")
        if not any(self.weights[name] for name in self.losses):
            flags = ", ".join(flag_of(f"weight_{name}") for name in self.losses)
            raise UserError(f"all loss weights in use are 0: expected at least one > 0 of {flags}")
        if self.draws == "each-epoch" and self.protocol != "paper":
            raise UserError(
                f"--draws each-epoch: under protocol {self.protocol} the labelled anomalies are fixed; use --draws once"
            )
        check_pseudo_anomalies(self.pseudo_anomalies, rotate=self.rotate, crop=self.crop)
        known_classes = check_exposure(self.exposure, len(info.class_names))
        object.__setattr__(self, "known_classes", known_classes)
        check_detector(self.detector, self.protocol, self.pseudo_anomalies, labelled=self.exposure.has_anomalies)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each generator loss, by name."""
        return {name: getattr(self, f"weight_{name}") for name in LOSS_WEIGHTS}

    @property
    def losses(self) -> tuple[str, ...]:
        """The generator losses in use: without anomalies, those on normal images."""
        return tuple(name for name, on in _IMAGES.items() if on == NORMAL or self.trains_on_anomalies)

    @property
    def trains_on_anomalies(self) -> bool:
        """Whether training sees anomalies, labelled or made from normal images."""
        return self.exposure.has_anomalies or self.pseudo_anomalies != "none"

    @property
    def exposure(self) -> Exposure:
        """Which anomalies training sees."""
        return Exposure(self.protocol, self.known_classes, self.labelled_share, self.pollution)

    @property
    def training_in_words(self) -> str:
        """On which images it is trained, after "trained"."""
        if ANOMALIES[self.detector] == "ignored" and self.exposure.has_anomalies:
            return "on normal images alone"
        if self.pseudo_anomalies == "none":
            return self.exposure.in_words
        made = f"{100 * self.pseudo_share:g} % of the training's" if self.exposure.has_anomalies else "all"
        of = "anomalies" if self.exposure.has_anomalies else "anomalies of the training"
        return f"{self.exposure.in_words}; {made} {of} are made from normal images ({self.pseudo_anomalies})"


#: What each generator loss is computed on.
_IMAGES = {
    field.name.removeprefix("weight_"): field.metadata["images"]
    for field in dataclasses.fields(TrainConfig)
    if "images" in field.metadata
}
#: The generator losses that have a weight, each in field `weight_<name>`.
LOSS_WEIGHTS = tuple(_IMAGES)
