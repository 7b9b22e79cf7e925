"""A file for each data set: its reader, from a folder to one tidy table."""
