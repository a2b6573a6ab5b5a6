"""Which loss weights and learning rate give the two-discriminator GAN the best mean AUROC over all normal classes?

    python sweeps/gan_loss_weights.py                  # laptop: 24 configurations, 8 to 14 minutes on 2 cores
    python sweeps/gan_loss_weights.py --scale smoke    # the same steps in a minute, on scikit-learn's digits
    python sweeps/gan_loss_weights.py --scale gpu --address auto --storage /shared/sweeps

Each class in turn is normal and the others are anomalies; a configuration is one setting of the weights for all of
them. The best are trained again with fresh seeds, and the winner's models score the test part once.
"""

from sweeps.engine.main import main
from sweeps.engine.planning.space import LogUniform, Space

# Adam ignores a common factor of all weights, so the reconstruction weight is the unit (1.5) and ratios are searched.
SPACE = Space(
    ranges={
        "weight_patch": LogUniform(0.01, 5),
        "weight_latent": LogUniform(0.01, 5),
        "weight_adversarial_normal": LogUniform(0.001, 1),
        "weight_adversarial_anomaly": LogUniform(0.001, 1),
        "weight_abc": LogUniform(0.1, 10),
        "learning_rate": LogUniform(3e-4, 5e-3),
    },
    points={
        "default": {
            "weight_patch": 1.5, "weight_latent": 0.5, "weight_adversarial_normal": 0.05,
            "weight_adversarial_anomaly": 0.05, "weight_abc": 2.0, "learning_rate": 1e-3,
        },
        "paper": {
            "weight_patch": 1.5, "weight_latent": 0.5, "weight_adversarial_normal": 0.5,
            "weight_adversarial_anomaly": 1.0, "weight_abc": 0.5, "learning_rate": 1e-3,
        },
        "reconstruction and ABC alone": {
            "weight_patch": 0.01, "weight_latent": 0.01, "weight_adversarial_normal": 0.001,
            "weight_adversarial_anomaly": 0.001, "weight_abc": 2.0, "learning_rate": 1e-3,
        },
    },
    paper="paper",
)  # fmt: skip

if __name__ == "__main__":
    main("gan_loss_weights", __doc__ or "", SPACE)
