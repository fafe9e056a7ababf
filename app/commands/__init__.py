"""The groups of commands behind `wattproof`, one file a group."""
