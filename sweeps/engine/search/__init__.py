"""Packs of trainings for Ray Tune: the ladder search and the confirmation."""
