#!/usr/bin/node
// A WebSocket server that feeds messages; the framing is that of the ws library.
//
//   NODE_PATH=/usr/share/nodejs node examples/peers/feed_server.js --port 8080
//
// ws://localhost:8080/feed?seconds=3 or ?messages=1000: sends a mix of text (ASCII and multi-byte),
// binary, empty and fragmented messages, then closes with the reason
// "messages=<count> bytes=<count> sha256=<hex>" over everything it sent.
// ws://localhost:8080/echo: sends every message back.
//
// Prints "port <number>" once it listens. Needs Debian's node-ws.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');
let WebSocketServer;
try {
  ({ WebSocketServer } = require('ws'));
} catch (error) {
  console.log('missing: node-ws (apt-get install node-ws)');
  process.exit(77);
}

const GREETING =
  'Gr\u00fc\u00dfe, \u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1, ' +
  '\u3053\u3093\u306b\u3061\u306f, \u{1f30a}\u{1f9ea}. ';

// Bytes that differ from place to place, so that a lost or doubled piece shows.
function pattern(count) {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; ++i) {
    bytes[i] = (i * 167 + (i >> 8) * 13 + 7) & 0xff;
  }
  return bytes;
}

// The mix: {text, parts}; more than one part means fragments. Text is cut where the bytes happen to
// fall, in the middle of characters too.
function messages() {
  const block = pattern(65536);
  const text = (value, ...cuts) => {
    const bytes = Buffer.from(value);
    const ends = [...cuts, bytes.length];
    return { text: true, parts: ends.map((end, i) => bytes.subarray(i ? ends[i - 1] : 0, end)) };
  };
  const binary = (...parts) => ({ text: false, parts });
  const short = [];
  for (let i = 0; i < 16; ++i) {
    short.push(text('tick ' + i + ' ' + GREETING.repeat(i)));
  }
  short.push(binary(pattern(1)), binary(pattern(125)), binary(pattern(126)));
  return [
    ...short,
    text(''),
    text(GREETING.repeat(40)),
    binary(block),
    ...short,
    text(GREETING.repeat(300), 3, 3, 4, 1001, 5003, 5004),
    binary(Buffer.concat([block, block, block, block])),
    binary(block.subarray(0, 1000), block.subarray(1000, 30000), block.subarray(30000)),
    text(GREETING.repeat(2000)),
    binary(block.subarray(0, 65535)),
    binary(Buffer.concat(new Array(16).fill(block))),
    text(GREETING.repeat(3000), 65537, 100001),
    binary(block),
  ];
}

const MIX = messages().map(({ text, parts }) => {
  const payload = Buffer.concat(parts);
  const tail = Buffer.alloc(9);
  tail.write(text ? 't' : 'b');
  tail.writeBigUInt64BE(BigInt(payload.length), 1);
  return { text, parts, payload, tail };
});

// Resolves when the socket has taken the message, so that a slow client slows the feed.
function send(socket, { text, parts }) {
  return new Promise((resolve, reject) => {
    parts.forEach((part, i) => {
      const fin = i === parts.length - 1;
      const done = (error) => (error ? reject(error) : resolve());
      socket.send(part, { binary: !text, fin }, fin ? done : undefined);
    });
  });
}

async function feed(socket, query) {
  const seconds = Number(query.get('seconds') || 0);
  const limit = Number(query.get('messages') || (seconds ? 0 : 1000));
  const end = Date.now() + seconds * 1000;
  const digest = crypto.createHash('sha256');
  let count = 0;
  let bytes = 0;
  while ((!limit || count < limit) && (!seconds || Date.now() < end)) {
    const message = MIX[count % MIX.length];
    await send(socket, message);
    digest.update(message.payload);
    digest.update(message.tail);
    count += 1;
    bytes += message.payload.length;
  }
  socket.close(1000, `messages=${count} bytes=${bytes} sha256=${digest.digest('hex')}`);
}

// The value behind an option of the command line.
function option(name) {
  const at = process.argv.indexOf(name);
  return at > 0 ? process.argv[at + 1] : undefined;
}

// With --certificate and --key, PEM files: wss://
const listener = option('--certificate') === undefined ? http.createServer() : https.createServer({
  cert: fs.readFileSync(option('--certificate')),
  key: fs.readFileSync(option('--key')),
});
const server = new WebSocketServer({ server: listener, maxPayload: 0 });
listener.listen(Number(option('--port') || 0), '127.0.0.1',
  () => console.log('port ' + listener.address().port));
server.on('connection', (socket, request) => {
  const url = new URL(request.url, 'ws://localhost');
  socket.on('error', () => {}); // the client went away
  if (url.pathname === '/feed') {
    feed(socket, url.searchParams).catch(() => {});
  } else if (url.pathname === '/echo') {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  } else {
    socket.close(1008, 'unknown path');
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(0));
}
