// SPDX-License-Identifier: GPL-3.0
//
// One process that computes witnesses and proofs with snarkjs. A JSON object per line comes in on stdin, one per line goes out
// on stdout, in order. Ends when stdin ends. Inputs are private: answers never repeat them, and nothing else is printed.
//
//   {op: "prove",   wasm, zkey, inputs}          -> {proof, public, witnessMs, proveMs}
//   {op: "witness", wasm, inputs}                -> {witness}
//   {op: "verify",  key, public, proof}          -> {valid}
//   anything that fails                          -> {error}
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");
for (const level of ["log", "info", "warn", "error", "debug"]) console[level] = () => {};

const contents = new Map();
async function content(path) {
  if (!contents.has(path)) contents.set(path, new Uint8Array(await readFile(path)));
  return contents.get(path);
}

async function witness(snarkjs, request) {
  const result = { type: "mem" };
  // Circuits of circom 2 bring their own memory; the default here reserves two gigabytes of addresses.
  await snarkjs.wtns.calculate(request.inputs, await content(request.wasm), result, { memorySize: 1 });
  return result;
}

const operations = {
  async prove(snarkjs, request) {
    const start = performance.now();
    const assigned = await witness(snarkjs, request);
    const middle = performance.now();
    const { proof, publicSignals } = await snarkjs.groth16.prove(await content(request.zkey), assigned);
    const end = performance.now();
    return { proof, public: publicSignals, witnessMs: middle - start, proveMs: end - middle };
  },
  async witness(snarkjs, request) {
    const assigned = await witness(snarkjs, request);
    return { witness: (await snarkjs.wtns.exportJson(assigned)).map(String) };
  },
  async verify(snarkjs, request) {
    return { valid: await snarkjs.groth16.verify(request.key, request.public, request.proof) };
  },
};

let snarkjs;
try {
  snarkjs = await import("snarkjs");
  answer({ ready: true });
} catch (error) {
  answer({ error: `snarkjs: ${error.message}` });
  process.exit(1);
}
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const request = JSON.parse(line);
    answer(await operations[request.op](snarkjs, request));
  } catch (error) {
    answer({ error: String(error.message).slice(0, 2000) });
  }
}
process.exit(0);
