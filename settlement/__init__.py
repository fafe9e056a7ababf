"""What is paid: rule sets as data, delivery performance, statements, and the replay that checks a whole session.

Exact integer arithmetic that equals the Settlement contract's. Not here: HTTP, database. Imports `market`, `oracle`, `zk` and
`contracts`.
"""
