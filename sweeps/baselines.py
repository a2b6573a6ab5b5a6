"""Does every detector reach the figure that its source reports, under the same protocol or a similar one?

    python sweeps/baselines.py                         # laptop: every row once, with up to 1,500 images per class
    python sweeps/baselines.py --scale smoke           # the same steps on scikit-learn's digits, a minute
    python sweeps/baselines.py --scale full            # as many images as the sources, 3 seeds: hours on 2 cores
    python sweeps/baselines.py --only vae,cnn

Each row is a system, its protocol and the figure that a report or a paper gives. Every experiment of a row is trained
once per seed with fixed settings, and its model scores the test part once. Reports A to E are students' reports on Kim
et al. 2020 and on anomalies among MNIST's zeros.
"""

from sweeps.engine.baselines.main import main
from sweeps.engine.baselines.rows import Baseline

A = "report A (Kim et al. on Fashion-MNIST)"
B = "report B (autoencoder with density, VAE, small GAN)"
C = "report C (MNIST's zeros)"
D = "report D (image and patch outputs)"
E = "report E (traditional GAN, DCGAN)"

ALL = {"images_per_class": None, "validation_images": None}
#: As in report B: no augmentation, early stopping after 3 epochs without a better loss; but at most 20 epochs.
SANDALS = {
    **ALL, "protocol": "leave-one-out", "horizontal_flip": False, "schedule": "constant", "patience": 3,
    "epochs": 20, "width": 16, "batch_size": 128,
}  # fmt: skip
ZEROS = {**ALL, "dataset": "mnist", "horizontal_flip": False}
SMALL = {"width": 16, "epochs": 10, "learning_rate": 3e-3}
GAN = {**ALL, "width": 16, "epochs": 10}
CONTROL = {**ALL, "detector": "cnn", "width": 32, "epochs": 5}
#: Not in the sources: new anomalies drawn for each epoch, and scores over an image and its mirror image.
REDRAWN = {"draws": "each-epoch", "mirrored_scores": True}

CONTROL_OF = "the control of the GANs: supervised, on the images that they see"
FRESH = "anomalies drawn anew for each epoch, and scores over an image and its mirror image: no source says so"
NOT_SAID = "the report does not say whether the figure is AUROC or accuracy, nor which 90 anomalies are in the test"

ROWS = [
    Baseline("random", A, 0.5, {**ALL, "detector": "random", "epochs": 1}),
    Baseline(
        "autoencoder", f"{D}; {A}: .7714", 0.8758,
        {**ALL, "detector": "autoencoder", "protocol": "one-class", "epochs": 15, "width": 32, "learning_rate": 3e-3},
    ),
    Baseline(
        "autoencoder-kde", B, 0.99,
        {**SANDALS, "detector": "autoencoder-kde", "labelled_share": 0.1, "epochs": 12, "weight_decay": 1e-5,
         "bandwidth": 1.0},
        classes=(5,),
        differs="scores by both densities; the report's decisions by density and error are in the column of decisions",
    ),
    Baseline(
        "vae", B, 0.93, {**SANDALS, "detector": "vae", "vae_score": "bce"}, classes=(5,),
        differs="scores as the report does, and a dark image's cross-entropy is small whatever it shows: sandals pass "
        "for normal; vae-excess takes the pixels' own entropy off",
    ),
    Baseline(
        "vae-excess", B, 0.93, {**SANDALS, "detector": "vae"}, classes=(5,),
        differs="scores by the cross-entropy beyond the pixels' entropy, there by all of it",
    ),
    Baseline(
        "gan-small", B, 0.95,
        {**ALL, "detector": "gan-small", "protocol": "balanced-9600", "width": 32, "epochs": 10,
         "sampling": "random", "horizontal_flip": False},
        classes=(0,),
    ),
    Baseline(
        "cnn", C, 0.966, {**ZEROS, "detector": "cnn", "protocol": "rare-504", "width": 16, "epochs": 10},
        classes=(0,), differs=NOT_SAID,
    ),
    Baseline(
        "cnn-alternative", C, None,
        {**ZEROS, "detector": "cnn-alternative", "protocol": "rare-504", "width": 16, "epochs": 10},
        classes=(0,),
    ),
    Baseline(
        "cnn-folds", C, 0.99827,
        {**ZEROS, "detector": "cnn", "protocol": "rare-504", "width": 16, "epochs": 20, "crop": True},
        classes=(0,), cross_validated=True,
        differs="crops and epochs were chosen on other folds of the same images, there training ended by the fold's "
        "own loss",
    ),
    Baseline(
        "conv-autoencoder", C, 0.98, {**ZEROS, "detector": "conv-autoencoder", "protocol": "rare-504", **SMALL},
        classes=(0,), differs=NOT_SAID,
    ),
    Baseline(
        "conv-autoencoder-4500", C, None,
        {**ZEROS, "detector": "conv-autoencoder", "protocol": "normal-4500", **SMALL}, classes=(0,),
    ),
    Baseline(
        "deep-autoencoder", C, None, {**ZEROS, "detector": "deep-autoencoder", "protocol": "normal-4500", **SMALL},
        classes=(0,),
    ),
    Baseline(
        "gan-traditional", E, 0.8699,
        {**ALL, "detector": "gan-traditional", "protocol": "one-class", "epochs": 20},
        classes=(0,),
    ),
    Baseline(
        "gan-class-0", E, 0.8993, {**GAN, "detector": "gan"}, classes=(0,),
        differs="the same training as class 0 of gan",
    ),
    Baseline("gan", A, 0.9391, {**GAN, "detector": "gan"}),
    Baseline("gan-two-heads", D, 0.99155, {**GAN, "detector": "gan-two-heads"}),
    Baseline("cnn-control", CONTROL_OF, None, CONTROL),
    Baseline("gan-redrawn", "Kim et al. 2020", 0.986, {**GAN, **REDRAWN, "detector": "gan"}, differs=FRESH),
    Baseline("cnn-control-redrawn", CONTROL_OF, None, {**CONTROL, **REDRAWN}),
    Baseline(
        "deep-svdd", "Ruff et al. 2020", 0.892,
        {**ALL, "detector": "deep-svdd", "protocol": "one-class", "width": 16, "epochs": 10},
    ),
    Baseline(
        "deep-sad", "Ruff et al. 2020: one known class of anomalies, 5 % labelled", 0.905,
        {**ALL, "detector": "deep-sad", "protocol": "seen-unseen", "known_classes": 1, "labelled_share": 0.05,
         "width": 16, "epochs": 10},
        differs="one known class of each normal one, there every one in turn",
    ),
    Baseline(
        "ganomaly", "Akcay et al. 2018 (no figure for this protocol)", None,
        {**ALL, "detector": "ganomaly", "protocol": "one-class", "width": 16, "epochs": 10},
    ),
]  # fmt: skip

if __name__ == "__main__":
    main("baselines", __doc__ or "", ROWS)
