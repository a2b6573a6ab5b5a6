"""Names of the detectors and how each uses anomalies; light, so that configurations are checked before torch loads.

The classes are in adcore.detectors.DETECTORS, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adcore.errors import UserError

__all__ = ["ANOMALIES", "LATENT_SCORES", "check_detector", "check_pseudo_anomalies"]

#: "used": trained on normal images and on labelled anomalies where the protocol has some; "ignored": on normal images
#: alone; "needed": supervised, not trainable without labelled anomalies.
ANOMALIES: Mapping[str, str] = MappingProxyType(
    {
        "gan": "used",
        "gan-small": "used",
        "gan-two-heads": "used",
        "gan-traditional": "ignored",
        "autoencoder": "ignored",
        "conv-autoencoder": "ignored",
        "deep-autoencoder": "ignored",
        "autoencoder-kde": "used",
        "vae": "ignored",
        "cnn": "needed",
        "cnn-alternative": "needed",
        "deep-svdd": "ignored",
        "deep-sad": "used",
        "ganomaly": "ignored",
        "random": "ignored",
    }
)

#: Those that score by the reconstruction error plus score_latent times the latent distance.
LATENT_SCORES = ("gan", "gan-small", "gan-two-heads")


def check_detector(name: str, protocol: str, pseudo_anomalies: str, *, labelled: bool) -> None:
    """Raises UserError for a supervised detector without anomalies, and for pseudo-anomalies that would be ignored.

    labelled: whether the protocol has labelled anomalies.
    """
    makes_anomalies = pseudo_anomalies != "none"
    if ANOMALIES[name] == "needed" and not (labelled or makes_anomalies):
        others = ", ".join(other for other, anomalies in ANOMALIES.items() if anomalies != "needed")
        raise UserError(
            f"--detector {name}: it learns from labelled anomalies, and --protocol {protocol} has none; "
            f"make some with --pseudo-anomalies all, choose another protocol or one of {others}"
        )
    if makes_anomalies and ANOMALIES[name] == "ignored":
        raise UserError(
            f"--pseudo-anomalies {pseudo_anomalies}: {name} is trained on normal images alone; use none, or a detector "
            f"that takes anomalies: {', '.join(other for other, kind in ANOMALIES.items() if kind != 'ignored')}"
        )


def check_pseudo_anomalies(kind: str, *, rotate: bool, crop: bool) -> None:
    """Raises UserError for augmentations that would tell normal images and pseudo-anomalies apart wrongly.

    kind: of pseudo-anomalies. rotate, crop: whether normal images are rotated, and cropped, which the others are not.
    """
    if kind == "rotate" and rotate:
        raise UserError("--rotate: with --pseudo-anomalies rotate rotated images are anomalies; leave one of them out")
    if kind != "none" and crop:
        raise UserError(f"--crop: with --pseudo-anomalies {kind} only normal images are cropped; leave one of them out")
