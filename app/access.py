"""Who may read a member's private data: whoever can show a statement signed by the account's owner, or by the owner of the
account that is its delegate.

The statement is EIP-712 `ReadAccess(uint256 account,uint256 until)` in the market's domain, valid until a time of the
chain at most a day ahead. It travels as `Authorization: ReadAccess ACCOUNT.UNTIL.SIGNATURE` and gives nothing but reading.
"""

from __future__ import annotations

import re
from typing import Any

from eth_account import Account as Signer
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from sqlmodel import Session

from app.context import Context
from app.database import Account, known
from app.errors import Refused
from contracts.typed_data import Domain

LONGEST = 86_400
"""Seconds of chain time that a statement may be valid for."""

_HEADER = re.compile(r"ReadAccess (\d{1,10})\.(\d{1,12})\.0x([0-9a-fA-F]{130})")


def typed_data(domain: Domain, account: int, until: int) -> dict[str, Any]:
    """The statement as a wallet shows and signs it."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "ReadAccess": [{"name": "account", "type": "uint256"}, {"name": "until", "type": "uint256"}],
        },
        "primaryType": "ReadAccess",
        "domain": {"name": "Wattproof", "version": "1", "chainId": domain.chain_id, "verifyingContract": domain.market},
        "message": {"account": str(account), "until": str(until)},
    }


def header(domain: Domain, account: int, until: int, wallet: LocalAccount) -> str:
    """The header's value, signed by `wallet`."""
    signature = wallet.sign_message(encode_typed_data(full_message=typed_data(domain, account, until))).signature
    return f"ReadAccess {account}.{until}.0x{bytes(signature).hex()}"


def require_reader(ctx: Context, account: int, authorization: str | None) -> None:
    """Raises `Refused` unless the header lets its bearer read the account's private data now."""
    with ctx.database.session() as db:
        row: Account = known(db.get(Account, account), "account", account)
        delegate = delegate_owner(db, row)
    found = _HEADER.fullmatch(authorization or "")
    if found is None:
        raise _refused(
            "Authorization: ReadAccess ACCOUNT.UNTIL.SIGNATURE, signed by the owner of the account or of its delegate",
            "none or another",
        )
    named, until, signature = int(found[1]), int(found[2]), bytes.fromhex(found[3])
    now = ctx.now()
    if named != account:
        raise _refused(f"a statement about account {account}", f"one about account {named}")
    if not now <= until <= now + LONGEST:
        raise _refused(f"a statement valid now and for at most {LONGEST} s (chain time {now})", f"one until {until}")
    signer = _signer(encode_typed_data(full_message=typed_data(ctx.client.domain, named, until)), signature)
    if signer is None or signer.lower() not in (row.owner.lower(), (delegate or "").lower()):
        raise _refused(
            "the signature of the owner of the account or of its delegate", f"one by {signer}" if signer else "a malformed one"
        )


def delegate_owner(db: Session, account: Account) -> str | None:
    """Who owns the account that may act for `account`."""
    delegate = db.get(Account, account.delegate) if account.delegate is not None else None
    return delegate.owner if delegate is not None else None


def _signer(message: Any, signature: bytes) -> str | None:
    try:
        return str(Signer.recover_message(message, signature=signature))
    except Exception:  # eth_account raises many kinds for the many ways a signature can be broken
        return None


def _refused(expected: str, got: str) -> Refused:
    return Refused("These are a member's private data.", status=401, field="Authorization", expected=expected, got=got)
