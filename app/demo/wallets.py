"""Wallets and meter seeds of the demonstration. Everyone can compute them; they are worth nothing off a development chain."""

from __future__ import annotations

from functools import cache

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

VISITOR = "home-01"
"""The home whose wallet the pages lend to visitors."""


@cache
def owner(label: str) -> LocalAccount:
    """The wallet of a demonstration participant."""
    return Account.from_key(keccak(f"wattproof demonstration wallet {label}".encode()))  # type: ignore[no-any-return]
