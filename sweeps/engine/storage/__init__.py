"""Where files are kept: a shared folder or an object store, and what goes wrong there."""
