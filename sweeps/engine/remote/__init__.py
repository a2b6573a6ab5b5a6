"""A sweep in an object store: its files on this machine, copies of its record, one driver at a time."""
