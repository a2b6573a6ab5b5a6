"""Which learning rate, and which other settings, are best for a detector?

    python sweeps/tune.py --detector vae --protocol one-class
    python sweeps/tune.py --detector cnn --scale smoke    # the same steps in a minute, on scikit-learn's digits

Searches the ranges that the detector declares, in the same way as sweeps/gan_loss_weights.py: proposals, early
stopping, confirmation with fresh seeds, and the test part scored once.
"""

from sweeps.engine.detector_sweep import main

if __name__ == "__main__":
    main("tune", __doc__ or "")
