"""Uploads: a file from the client's disk becomes a source that a job can name as `upload:<id>`."""
