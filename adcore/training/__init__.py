"""Packs of experiments that train side by side, from images to checkpoints."""
