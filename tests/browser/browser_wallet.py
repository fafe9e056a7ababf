"""A wallet for browser tests: announced in the page by EIP-6963, signing in Python with a real key."""

from __future__ import annotations

import json
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

ANNOUNCE = """
(() => {
  const provider = {
    request: async (call) => {
      const answer = JSON.parse(await window.__wallet(JSON.stringify({ params: [], ...call })));
      if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
      return answer.result;
    },
    on: () => {},
    removeListener: () => {},
  };
  const uuid = "b1f3c2a0-0000-4000-8000-000000000001";
  const info = { uuid, name: "Test Wallet", icon: "data:image/svg+xml,<svg/>", rdns: "test.wallet" };
  const detail = Object.freeze({ info: Object.freeze(info), provider });
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""

REJECTED = {"code": 4001, "message": "User rejected the request."}


class BrowserWallet:
    """Answers what the page asks of a wallet; `rejects` names methods that its owner declines."""

    def __init__(self, key: bytes, chain_id: int) -> None:
        self.account = Account.from_key(key)
        self.chain_id = chain_id
        self.rejects: set[str] = set()
        self.signed: list[dict[str, Any]] = []

    def handle(self, _source: Any, raw: str) -> str:
        call = json.loads(raw)
        method = call["method"]
        if method in self.rejects:
            return json.dumps({"error": REJECTED})
        if method in ("eth_requestAccounts", "eth_accounts"):
            return json.dumps({"result": [self.account.address]})
        if method == "eth_chainId":
            return json.dumps({"result": hex(self.chain_id)})
        if method == "eth_signTypedData_v4":
            message = json.loads(call["params"][1])
            self.signed.append(message)
            signature = self.account.sign_message(encode_typed_data(full_message=message)).signature
            return json.dumps({"result": "0x" + signature.hex()})
        return json.dumps({"error": {"code": 4200, "message": f"{method} is not supported"}})
