"""The command line: one file per verb group; parse, call one function, render."""
