"""What is measured: readings, their ingestion, forecast, baseline, the meter that signs and the feed that proves.

Pure functions over arrays and value types beside a thin store. Not here: orders, prices, money. Imports `zk` (and `contracts`
for units) only.
"""
