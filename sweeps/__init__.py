"""Sweep scripts and the engine that runs them on Ray."""
