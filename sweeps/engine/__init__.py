"""The search: settings, ladder, packs, the record, tracking, confirmation and report."""
