"""Baselines: detectors trained as in a report or a paper, beside the figure that it gives."""
