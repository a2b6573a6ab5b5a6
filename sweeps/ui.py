"""Browse sweeps in MLflow: runs `mlflow ui` and, once it answers, prints a link to each sweep's table, newest first.

    python -m sweeps.ui
    python -m sweeps.ui --tracking-uri sqlite:///elsewhere/mlflow.db --port 5001

Ctrl-C ends it. Of a server's address only the links are printed.
"""

from sweeps.engine.browsing import main

if __name__ == "__main__":
    main(__doc__ or "")
