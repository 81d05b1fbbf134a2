"""The edge: connections, and the short cut of plain reads. The only importer of gunicorn.

The loop of a worker's main thread does all that waits for callers, so that no slow one holds a thread. It answers what
the cache holds by itself; everything else it hands, as it came, to gunicorn's own parser and the application.
"""
