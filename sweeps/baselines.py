"""Does every detector reach what its source reports, under the source's own protocol or near it?

    python sweeps/baselines.py                         # laptop: every row once, with up to 1,500 images a class
    python sweeps/baselines.py --scale smoke           # the same road on scikit-learn's digits, in minutes
    python sweeps/baselines.py --scale full            # the sources' image numbers, 3 seeds: hours of 2 cores
    python sweeps/baselines.py --only vae,cnn

Each row is a system, its protocol and the figure that a report or a paper gives. Every experiment of a row is trained
once per seed with fixed settings, and its model scores the test part, once. Reports A to E are students' reports on Kim
et al. 2020 and on anomalies among MNIST's zeros.
"""

from sweeps.engine.baselines.program import main
from sweeps.engine.baselines.rows import Baseline

A = "report A (Kim et al. on Fashion-MNIST)"
B = "report B (autoencoder with density, VAE, small GAN)"
C = "report C (MNIST's zeros)"
D = "report D (image and patch outputs)"
E = "report E (traditional GAN, DCGAN)"

ALL = {"images_per_class": None, "validation_images": None}
#: Early stopping after 3 epochs without a better loss, as report B has it.
PATIENT = {"epochs": 100, "patience": 3, "schedule": "constant"}
ZEROS = {"dataset": "mnist", "horizontal_flip": False}
SMALL = {"width": 16, "epochs": 10, "learning_rate": 3e-3}
FRESH = (
    "anomalies drawn anew for each epoch, there once; scores over an image and its mirror image, there over it alone"
)
KAGGLE = "the report gives the figure for Kaggle's 1,070 images and does not say whether it is AUROC or accuracy"
GAN = {"width": 16, "epochs": 10, "draws": "each-epoch", "mirrored_scores": True}

ROWS = [
    Baseline("random", A, 0.5, {**ALL, "detector": "random", "epochs": 1}),
    Baseline(
        "autoencoder", f"{D}; {A}: .7714", 0.8758,
        {**ALL, "detector": "autoencoder", "protocol": "one-class", "epochs": 15, "width": 32, "learning_rate": 3e-3},
    ),
    Baseline(
        "autoencoder-kde", B, 0.99,
        {
            **ALL, **PATIENT, "detector": "autoencoder-kde", "protocol": "leave-one-out", "width": 16,
            "weight_decay": 1e-5, "batch_size": 128, "bandwidth": 1.0,
        },
        classes=(5,),
        differs="learns from normal images alone, there from all; scores by both densities, there decides by density "
        "and error; images are flipped",
    ),
    Baseline(
        "vae", B, 0.93,
        {**ALL, **PATIENT, "detector": "vae", "protocol": "leave-one-out", "width": 16, "batch_size": 128},
        classes=(5,),
        differs="scores by the cross-entropy beyond the pixels' entropy, there by all of it; images are flipped",
    ),
    Baseline(
        "gan-small", B, 0.95,
        {**ALL, "detector": "gan-small", "protocol": "balanced-9600", "width": 32, "epochs": 10},
        classes=(0,),
        differs="images are flipped",
    ),
    Baseline(
        "cnn", C, 0.966,
        {**ALL, **ZEROS, "detector": "cnn", "protocol": "rare-504", "width": 16, "epochs": 10},
        classes=(0,), differs=KAGGLE,
    ),
    Baseline(
        "cnn-alternative", C, None,
        {**ALL, **ZEROS, "detector": "cnn-alternative", "protocol": "rare-504", "width": 16, "epochs": 10},
        classes=(0,),
    ),
    Baseline(
        "cnn-folds", C, 0.9983,
        {**ALL, **ZEROS, "detector": "cnn", "protocol": "rare-504", "width": 16, "epochs": 20, "crop": True},
        classes=(0,), cross_validated=True,
        differs="crops and epochs were chosen on other folds of the same images",
    ),
    Baseline(
        "conv-autoencoder", C, 0.98,
        {**ALL, **ZEROS, "detector": "conv-autoencoder", "protocol": "normal-4500", **SMALL},
        classes=(0,), differs=f"{KAGGLE}; here 500 + 500 images",
    ),
    Baseline(
        "deep-autoencoder", C, None,
        {**ALL, **ZEROS, "detector": "deep-autoencoder", "protocol": "normal-4500", **SMALL},
        classes=(0,),
    ),
    Baseline(
        "gan-traditional", E, 0.8699,
        {**ALL, "detector": "gan-traditional", "protocol": "one-class", "epochs": 20},
        classes=(0,),
    ),
    Baseline(
        "gan-class-0", E, 0.8993, {**ALL, **GAN, "detector": "gan"}, classes=(0,),
        differs=f"{FRESH}; the same training as class 0 of gan",
    ),
    Baseline("gan", f"{A}; Kim et al. 2020: .986", 0.9391, {**ALL, **GAN, "detector": "gan"}, differs=FRESH),
    Baseline("gan-two-heads", D, 0.99155, {**ALL, **GAN, "detector": "gan-two-heads"}, differs=FRESH),
    Baseline("cnn-control", "the control of both GANs: supervised, on draws of the same images", None,
             {**ALL, "detector": "cnn", "width": 32, "epochs": 5, "draws": "each-epoch", "mirrored_scores": True}),
    Baseline(
        "deep-svdd", "Ruff et al. 2020", 0.892,
        {**ALL, "detector": "deep-svdd", "protocol": "one-class", "width": 16, "epochs": 10},
    ),
    Baseline(
        "deep-sad", "Ruff et al. 2020: one known class of anomalies, 5 % labelled", 0.905,
        {
            **ALL, "detector": "deep-sad", "protocol": "seen-unseen", "known_classes": 1, "labelled_share": 0.05,
            "width": 16, "epochs": 10,
        },
        differs="labelled anomalies weigh together what the normal images do, there one by one; one known class of "
        "each normal one",
    ),
    Baseline(
        "ganomaly", "Akcay et al. 2018 (no figure for this protocol)", None,
        {**ALL, "detector": "ganomaly", "protocol": "one-class", "width": 16, "epochs": 10},
    ),
]  # fmt: skip

if __name__ == "__main__":
    main("baselines", __doc__ or "", ROWS)
