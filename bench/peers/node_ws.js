'use strict';
// A receiver over node-ws for `sluice-bench run --peer`: node_ws.js PORT sink|echo

const { WebSocketServer } = require('ws');

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({
  host: '127.0.0.1', port: Number(port), maxPayload: 1 << 30, perMessageDeflate: false,
});
server.on('connection', (socket) => {
  let messages = 0;
  let bytes = 0;
  socket._socket.setNoDelay(true);
  socket.on('message', (data, binary) => {
    if (mode === 'echo') {
      socket.send(data, { binary });
    } else if (!binary && data.length === 6 && data.toString() === 'REPORT') {
      socket.send(`${messages} ${bytes}`);
    } else {
      messages += 1;
      bytes += data.length;
    }
  });
});
