"""The command line: one file per noun; thin: parse, call, print."""
