"""Surveillance: whether a session's prices and orders are like those of comparable ones, and what a suspicion is worth.

`detect.run` runs every detector over one session and its history. Each detector is a small function from values to findings,
its thresholds are data (`parameters`), its evidence a value with one canonical hash (`evidence`), and what it names is cleared
again with the suspect orders at their reference level (`impact`). `explain` says why a price is what it is. Not here: the
chain, the database, who may read what, and what is done about a finding: the guardian decides. docs/surveillance.md has the
formulas.
"""
