"""Ground floor: what the chain fixes.

Here live the Solidity sources, their committed artifacts, the units and encodings that contracts and Python share, and the
client that deploys and calls. Not here: market logic, databases, HTTP. Nothing in this package imports another of Wattproof's.
"""
