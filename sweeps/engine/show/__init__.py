"""Sweeps as their records show them, while they run and afterwards; nothing is written."""
