"""Baselines: detectors trained as a report or a paper trained them, beside the figure that it gives."""
