"""Replay of recorded learning curves through searchers and schedulers, in simulated time."""
