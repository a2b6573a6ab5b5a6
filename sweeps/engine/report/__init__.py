"""The report of a finished sweep: one HTML file that needs nothing else."""
