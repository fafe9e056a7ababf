// SPDX-License-Identifier: GPL-3.0
//
// One step of a Groth16 ceremony with snarkjs. One JSON object comes in on stdin (never as an argument: entropy must not stand in
// a process list), lines of JSON go out on stdout: {progress}, and at the end {ok} or {error}.
//
//   {op: "start",      r1cs, ptau, to}
//   {op: "contribute", from, to, name, entropy}
//   {op: "beacon",     from, to, name, hash, iterations}
//   {op: "verify",     r1cs, ptau, zkey}          -> {ok: true} or {error: what is wrong}
//   {op: "export",     zkey}                      -> {ok: verification key}
import { text } from "node:stream/consumers";

const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const complaints = [];
const plain = (message) => String(message).replace(/\x1b\[[0-9;]*m/g, "").trim();
const logger = {
  debug: (message) => answer({ progress: plain(message) }),
  info: (message) => answer({ progress: plain(message) }),
  warn: (message) => complaints.push(plain(message)),
  error: (message) => complaints.push(plain(message)),
};
for (const level of ["log", "info", "warn", "error", "debug"]) console[level] = (message) => complaints.push(plain(message));

const operations = {
  start: (zKey, q) => zKey.newZKey(q.r1cs, q.ptau, q.to, logger),
  contribute: (zKey, q) => zKey.contribute(q.from, q.to, q.name, q.entropy, logger),
  beacon: (zKey, q) => zKey.beacon(q.from, q.to, q.name, q.hash, q.iterations, logger),
  verify: (zKey, q) => zKey.verifyFromR1cs(q.r1cs, q.ptau, q.zkey, logger),
  export: (zKey, q) => zKey.exportVerificationKey(q.zkey, logger),
};

let last;
try {
  const { zKey } = await import("snarkjs");
  const request = JSON.parse(await text(process.stdin));
  const result = await operations[request.op](zKey, request);
  if (!result || result === -1) throw new Error(complaints.join("; ") || "snarkjs gave no reason");
  last = { ok: request.op === "export" ? result : true };
} catch (error) {
  last = { error: plain(error.message).slice(0, 2000) };
}
process.stdout.write(JSON.stringify(last) + "\n", () => process.exit(0));
