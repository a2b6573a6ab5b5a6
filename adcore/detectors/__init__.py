"""Detectors by name: modules with score(images) -> [batch, members], higher is more anomalous."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adcore.detectors.autoencoder import Autoencoder
from adcore.detectors.autoencoder_kde import AutoencoderKDE
from adcore.detectors.base.detector import Detector
from adcore.detectors.cnn import CNN, AlternativeCNN
from adcore.detectors.conv_autoencoder import ConvAutoencoder, DeepAutoencoder
from adcore.detectors.deep_svdd import DeepSAD, DeepSVDD
from adcore.detectors.gan import TwoDiscriminatorGAN
from adcore.detectors.gan_small import SmallGAN
from adcore.detectors.gan_traditional import TraditionalGAN
from adcore.detectors.gan_two_heads import TwoHeadGAN
from adcore.detectors.ganomaly import GANomaly
from adcore.detectors.random import RandomGuess
from adcore.detectors.vae import VariationalAutoencoder

__all__ = ["DETECTORS", "Detector", "TwoDiscriminatorGAN"]

#: The detectors named in adcore.detector_catalog.
DETECTORS: Mapping[str, type[Detector]] = MappingProxyType(
    {
        "gan": TwoDiscriminatorGAN,
        "gan-small": SmallGAN,
        "gan-two-heads": TwoHeadGAN,
        "gan-traditional": TraditionalGAN,
        "autoencoder": Autoencoder,
        "conv-autoencoder": ConvAutoencoder,
        "deep-autoencoder": DeepAutoencoder,
        "autoencoder-kde": AutoencoderKDE,
        "vae": VariationalAutoencoder,
        "cnn": CNN,
        "cnn-alternative": AlternativeCNN,
        "deep-svdd": DeepSVDD,
        "deep-sad": DeepSAD,
        "ganomaly": GANomaly,
        "random": RandomGuess,
    }
)
