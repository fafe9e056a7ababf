#!/usr/bin/env node
// Lets npm's solc answer like the native compiler: `--version` and `--standard-json`, imports from node_modules beside this file.
// A large request is divided: each process gets all sources and makes the code of some, so that more than one core works on it.
const childProcess = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");
const solc = require("solc");

const SMALL = 16; // sources from which on dividing pays
const PARTS = 8; // more than there are cores, because some sources take far longer than others

const found = (name) => {
  for (const root of [path.join(__dirname, "node_modules"), path.join(__dirname, "src")]) {
    const file = path.resolve(root, name);
    if (file.startsWith(root + path.sep) && fs.existsSync(file)) return { contents: fs.readFileSync(file, "utf8") };
  }
  return { error: `not found: ${name}` };
};

const compile = (request) => solc.compile(request, { import: found });

// The same request several times, each with outputs selected for every n-th of the sources that anything is wanted of, largest first.
const divided = (request) => {
  const selection = request.settings.outputSelection;
  const wanted = (name) => ({ ...selection["*"], ...selection[name] });
  const names = Object.keys(request.sources)
    .filter((name) => Object.values(wanted(name)).some((outputs) => outputs.length))
    .sort((a, b) => request.sources[b].content.length - request.sources[a].content.length);
  if (names.length < SMALL) return [request];
  return Array.from({ length: PARTS }, (_, part) => ({
    ...request,
    settings: {
      ...request.settings,
      outputSelection: Object.fromEntries(names.filter((_, i) => i % PARTS === part).map((name) => [name, wanted(name)])),
    },
  }));
};

const elsewhere = (request) =>
  new Promise((resolve, reject) => {
    const child = childProcess.spawn(process.execPath, [__filename, "--standard-json", "--whole"], { stdio: ["pipe", "pipe", "inherit"] });
    const told = [];
    child.stdout.on("data", (data) => told.push(data));
    child.on("error", reject);
    child.on("close", (code) => (code ? reject(new Error(`solc.js: a part ended with ${code}`)) : resolve(Buffer.concat(told).toString())));
    child.stdin.end(JSON.stringify(request));
  });

const joined = (answers) => {
  const errors = new Map();
  const whole = { contracts: {}, sources: {} };
  for (const answer of answers) {
    for (const error of answer.errors ?? []) errors.set(error.formattedMessage, error);
    for (const [source, contracts] of Object.entries(answer.contracts ?? {})) whole.contracts[source] = { ...whole.contracts[source], ...contracts };
    for (const [name, source] of Object.entries(answer.sources ?? {})) whole.sources[name] = { ...whole.sources[name], ...source };
  }
  if (errors.size) whole.errors = [...errors.values()];
  return whole;
};

const answer = async (text) => {
  const parts = process.argv.includes("--whole") ? [] : divided(JSON.parse(text));
  if (parts.length < 2) return compile(text);
  const answers = [];
  const work = async () => {
    for (let part = parts.shift(); part; part = parts.shift()) answers.push(JSON.parse(await elsewhere(part)));
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  return JSON.stringify(joined(answers));
};

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--standard-json")) {
  answer(fs.readFileSync(0, "utf8")).then(
    (text) => process.stdout.write(text),
    (error) => {
      console.error(String(error));
      process.exitCode = 1;
    },
  );
} else {
  console.error(`solc.js: expected --version or --standard-json, got ${process.argv.slice(2).join(" ")}`);
  process.exitCode = 1;
}
