"""MLflow: what it is told, the queue on disk, and the thread that delivers it."""
