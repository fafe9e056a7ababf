#!/usr/bin/env node
// Lets npm's solc answer like the native compiler: `--version` and `--standard-json`, imports from node_modules beside this file.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const found = (name) => {
  for (const root of [path.join(__dirname, "node_modules"), path.join(__dirname, "src")]) {
    const file = path.resolve(root, name);
    if (file.startsWith(root + path.sep) && fs.existsSync(file)) return { contents: fs.readFileSync(file, "utf8") };
  }
  return { error: `not found: ${name}` };
};

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--standard-json")) {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: found }));
} else {
  console.error(`solc.js: expected --version or --standard-json, got ${process.argv.slice(2).join(" ")}`);
  process.exitCode = 1;
}
