"""Browse sweeps in MLflow: prints a link to the table of each sweep, the newest first, and runs `mlflow ui`.

    python -m sweeps.ui
    python -m sweeps.ui --tracking-uri sqlite:///elsewhere/mlflow.db --port 5001

The links work once MLflow answers; Ctrl-C ends it. Of a server's address only the links are printed.
"""

from sweeps.engine.browsing import main

if __name__ == "__main__":
    main(__doc__ or "")
