"""A running sweep: progress, hanging trials, the display."""
