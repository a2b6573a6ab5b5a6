"""The search: settings, blocks, trials, the record, tracking, confirmation and report."""
