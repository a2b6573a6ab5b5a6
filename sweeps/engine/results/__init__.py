"""After training: the test part, intervals, tables and files."""
