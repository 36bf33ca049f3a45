#!/usr/bin/node
// Peer of the interop tests; every frame is made and read by the ws library.
//
// Paths: /echo, /digest, /feed, /ping, /close, /wait, /abort, /forbidden; subprotocol chat.v2.
// Prints "port <number>", then one line "closed <code> <reason>" per client that said goodbye.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');
let WebSocketServer;
try {
  ({ WebSocketServer } = require('ws'));
} catch (error) {
  console.log('missing: node-ws');
  process.exit(77);
}

const CHARACTERS = 'a\u00e9\u4e2d\u{1f30a}'; // 1, 2, 3 and 4 bytes
const SIZES = [1, 2, 125, 126, 127, 4095, 65535, 65536, 1 << 20, 16 << 20];

// Valid UTF-8 of exactly `count` bytes, mostly multi-byte.
function textOf(count) {
  const whole = Math.floor(count / 10);
  return Buffer.from(CHARACTERS.repeat(whole) + 'x'.repeat(count - 10 * whole));
}

function binaryOf(count) {
  return crypto.createHash('shake128', { outputLength: count }).update(String(count)).digest();
}

function describe(data, binary) {
  const digest = crypto.createHash('sha256').update(data).digest('hex');
  return `${binary ? 'binary' : 'text'} ${data.length} ${digest}`;
}

function send(socket, data, options) {
  return new Promise((resolve, reject) => {
    socket.send(data, options, (error) => (error ? reject(error) : resolve()));
  });
}

// Every message is followed by its description; then the same sizes in fragments, cut where the
// bytes fall: in the middle of characters too.
async function feed(socket) {
  for (const fragments of [false, true]) {
    for (const size of SIZES) {
      for (const binary of [false, true]) {
        const data = binary ? binaryOf(size) : textOf(size);
        if (fragments) {
          const cut = Math.max(Math.floor(size / 3), 1);
          const ends = [cut, cut, 2 * cut, size];
          for (let i = 0; i < ends.length; ++i) {
            const part = data.subarray(i ? ends[i - 1] : 0, ends[i]);
            await send(socket, part, { binary, fin: i === ends.length - 1 });
          }
        } else {
          await send(socket, data, { binary });
        }
        await send(socket, describe(data, binary), {});
      }
    }
  }
  socket.close(1000, 'end of feed');
}

function ping(socket, payload) {
  return new Promise((resolve, reject) => {
    const data = Buffer.from(payload);
    socket.once('pong', (echo) => (data.equals(echo) ? resolve() : reject(new Error('pong'))));
    socket.ping(data);
  });
}

// Pings before, inside and after a fragmented message; each must come back as it went.
async function pings(socket) {
  await ping(socket, 'before');
  await send(socket, CHARACTERS, { fin: false });
  await ping(socket, '');
  await send(socket, CHARACTERS, { fin: false });
  await ping(socket, Array.from({ length: 125 }, (_, i) => i));
  await send(socket, 'end', {});
  await ping(socket, 'after');
  await send(socket, 'all pongs came back', {});
  socket.close(1000, '');
}

const certificate = process.env.SLUICE_TEST_CERTIFICATE_FILE;
const answer = (request, response) => response.end();
const server = certificate === undefined ? http.createServer(answer) : https.createServer({
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(process.env.SLUICE_TEST_KEY_FILE),
}, answer);
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 0,
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
});
server.on('upgrade', (request, stream, head) => {
  if (request.url === '/forbidden') {
    stream.end('HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 9\r\n' +
               'Connection: close\r\n\r\nnot here\n');
    return;
  }
  sockets.handleUpgrade(request, stream, head, (socket) => {
    const url = new URL(request.url, 'ws://localhost');
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      if (code !== 1006) {
        console.log(('closed ' + code + ' ' + reason).trim());
      }
    });
    switch (url.pathname) {
      case '/echo':
        socket.on('message', (data, binary) => socket.send(data, { binary }));
        break;
      case '/digest':
        socket.on('message', (data, binary) => socket.send(describe(data, binary)));
        break;
      case '/feed':
        feed(socket).catch(() => {});
        break;
      case '/ping':
        pings(socket).catch(() => socket.close(4000, 'wrong pong'));
        break;
      case '/close':
        socket.send('goodbye');
        socket.close(Number(url.searchParams.get('code')), url.searchParams.get('reason'));
        break;
      case '/abort':
        socket.send('abort follows');
        socket.on('message', () => socket.terminate());
        break;
      default:
        break; // waits for the client to close
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
process.on('SIGTERM', () => process.exit(0));
