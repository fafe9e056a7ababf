"""What is traded: schedule orders, sessions, clearing and its certificate.

Pure functions over value types; the units and encodings come from `contracts`. Not here: the chain, the database, meters, money
paid after delivery. Imports `contracts` only.
"""
