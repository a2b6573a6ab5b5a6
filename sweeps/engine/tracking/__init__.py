"""MLflow: its updates, their queue on disk, and the thread that delivers them."""
