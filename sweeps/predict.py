"""Score images with the winner of a sweep.

    python sweeps/predict.py --sweep NAME --class 6 photos/ --csv scores.csv --heatmaps maps/
    python sweeps/predict.py --sweep NAME --storage /shared/sweeps --class Shirt shirts.npy

The winner's models are those that the confirmation trained with fresh seeds; an image's score is their mean. Everything
else is as in python -m adcore.predict, which takes checkpoint files.
"""

from sweeps.engine.predicting import main

if __name__ == "__main__":
    main("predict", __doc__ or "")
