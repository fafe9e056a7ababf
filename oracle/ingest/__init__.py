"""Ways in for readings: each parses one layout strictly and returns whole days, or says which row and column is wrong."""
