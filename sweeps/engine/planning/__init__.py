"""From flags to a plan: what is searched, how far, and what is tried next. Trains nothing."""
