"""Clearing of a session: engines that find a result, and checkers that share no code with them."""
