"""The composition root: settings, database, outbox, indexer, services, HTTP API, the demo day and the command line.

The only place that knows settings, HTTP and processes. Rules of the market, of meters and of money live in the rooms
below and are imported from there; nothing imports `app`.
"""
