"""The demonstration: a community of 17 real homes that acts through the public API, and the report of its day.

Everything synthetic is in here and named as such. A client of the API like any other; the API does not know it, except
that it lends the visitors' wallet on development chains.
"""
