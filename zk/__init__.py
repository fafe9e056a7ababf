"""Ground floor: what is proven.

Here live the circuits, the meter's log format (windows, heads, signatures), the public words of the statement, keys, prover and
verifier. Not here: where readings come from, what a proof is worth. Nothing in this package imports another Wattproof package.
"""
