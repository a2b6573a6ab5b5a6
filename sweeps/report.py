"""Make the report of a finished sweep again, from its record and the files in its folder.

    python -m sweeps.report NAME
    python sweeps/report.py NAME --storage /shared/sweeps    # from any folder

A sweep writes STORAGE/NAME/report.html at its end. The file can be mailed: it needs no other file and no network.
"""

from sweeps.engine.report.main import main

if __name__ == "__main__":
    main("report", __doc__ or "")
