"""Which sweeps are there, and how far are they?

python -m sweeps.show                        # every sweep in runs/
python -m sweeps.show NAME --watch           # one, until it ends
python -m sweeps.show NAME --json
"""

from sweeps.engine.show.main import main

if __name__ == "__main__":
    main()
