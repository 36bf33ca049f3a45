#!/usr/bin/node
// Client of the native interop tests; every frame is made and read by the ws library.
//
// Argument: the server's port; SLUICE_TEST_CA_FILE asks for TLS and names the authority. Prints
// what it sent and got, line by line; the last line is "done".
'use strict';

const crypto = require('crypto');
let WebSocket;
try {
  WebSocket = require('ws');
} catch (error) {
  console.log('missing: node-ws');
  process.exit(77);
}

const AUTHORITY = process.env.SLUICE_TEST_CA_FILE;
const SERVER = `${AUTHORITY ? 'wss' : 'ws'}://127.0.0.1:${process.argv[2]}`;
const SECURITY = AUTHORITY ? { ca: require('fs').readFileSync(AUTHORITY) } : {};
const CHARACTERS = 'a\u00e9\u4e2d\u{1f30a}'; // 1, 2, 3 and 4 bytes
const SIZES = [0, 1, 2, 125, 126, 127, 1000, 4096, 65535, 65536, 65537, 131072, 1 << 20, 4 << 20];
const BURST = 500;

function textOf(count) {
  const whole = Math.floor(count / 10);
  return Buffer.from(CHARACTERS.repeat(whole) + 'x'.repeat(count - 10 * whole));
}

function binaryOf(count) {
  return crypto.createHash('shake128', { outputLength: count }).update(String(count)).digest();
}

function describe({ data, binary }) {
  const digest = crypto.createHash('sha256').update(data).digest('hex');
  return `${binary ? 'binary' : 'text'} ${data.length} ${digest}`;
}

function tell(line) {
  console.log(line);
}

// A WebSocket whose messages and end are awaited one by one.
class Connection {
  constructor(path, protocols) {
    this.arrived = [];
    this.waiting = null;
    this.socket = new WebSocket(SERVER + path, protocols, { perMessageDeflate: true, ...SECURITY });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
    });
    this.ended = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.socket.on('message', (data, binary) => {
      this.arrived.push({ data: Buffer.from(data), binary });
      if (this.waiting) {
        this.waiting();
        this.waiting = null;
      }
    });
  }
  async receive() {
    while (this.arrived.length === 0) {
      await new Promise((resolve) => { this.waiting = resolve; });
    }
    return this.arrived.shift();
  }
  async tellEnd() {
    const { code, reason } = await this.ended;
    tell(`closed ${code} ${code === 1006 ? 'dirty' : 'clean'} ${reason}`);
  }
}

async function echo(path) {
  const to = new Connection(path, ['chat.v1', 'chat.v2']);
  await to.opened;
  tell(`protocol ${to.socket.protocol}`);
  const finish = async (message) => {
    tell(`sent ${describe(message)}`);
    tell(`echo ${describe(await to.receive())}`);
  };
  for (const size of SIZES) {
    for (const message of [{ data: textOf(size), binary: false },
      { data: binaryOf(size), binary: true }]) {
      to.socket.send(message.data, { binary: message.binary });
      await finish(message);
    }
  }
  // In fragments, cut inside characters.
  for (const message of [{ data: textOf(100000), binary: false },
    { data: binaryOf(300000), binary: true }]) {
    const { data, binary } = message;
    const cuts = [0, 0, 2, 70001, 70001];
    for (let i = 0; i + 1 < cuts.length; ++i) {
      to.socket.send(data.subarray(cuts[i], cuts[i + 1]), { binary, fin: false });
    }
    to.socket.send(data.subarray(70001), { binary, fin: true });
    await finish(message);
  }
  const pong = new Promise((resolve) => { to.socket.once('pong', resolve); });
  to.socket.ping('are you there');
  if ((await pong).toString() !== 'are you there') {
    tell('wrong pong');
  }
  const burst = [];
  for (let i = 0; i < BURST; ++i) {
    burst.push({ data: i % 2 ? textOf(i * 13) : binaryOf(i * 13), binary: i % 2 === 0 });
    to.socket.send(burst[i].data, { binary: burst[i].binary });
  }
  for (const message of burst) {
    await finish(message);
  }
  to.socket.close(4321, 'done \u2713');
  await to.tellEnd();
}

async function main() {
  for (const path of ['/echo', '/slices', '/buffers']) {
    await echo(path);
  }
  const goodbye = new Connection('/goodbye');
  tell(`heard ${(await goodbye.receive()).data}`);
  await goodbye.tellEnd();
  const refused = new Connection('/refused');
  await refused.opened.then(() => tell('let in'), (error) => {
    tell(/\b403\b/.test(error.message) ? 'refused' : error.message);
  });
  tell('done');
}

main();
