"""The command line. Results go to stdout, logs and errors to stderr; exit codes are 0, 1 (failed) and 2 (misused)."""
