"""Whole searches without training: the engine's own driver, with trials that report made-up curves."""
