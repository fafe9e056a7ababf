"""What the application does, one module a subject: functions over a `Context`, without HTTP.

Each write goes through the outbox; each function may be called again without doing anything twice.
"""
