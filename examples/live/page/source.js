'use strict';

// What the page sends. Messages are made of two blocks that exist before the first one is sent; no
// two neighbours are alike, so that a message that is lost, doubled or moved changes the chain:
//   chain(n) = SHA-256(chain(n - 1), 'T' or 'B', payload of message n); zeros before the first

const MOST_BYTES = 1 << 20;
const MOST_BUFFERED = 4 << 20; // bytes that may wait in the browser
const CHAINS_KEPT = 4096;

const CHARACTERS = 'a\u00e9\u4e2d\u{1f30a}'; // of 1, 2, 3 and 4 bytes: 10 together
const encoder = new TextEncoder();

class Payloads {
  constructor() {
    this.text = CHARACTERS.repeat(MOST_BYTES / 10 + 2);
    this.binary = new Uint8Array(MOST_BYTES + 256);
    let state = 1;
    for (let i = 0; i < this.binary.length; ++i) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      this.binary[i] = state >>> 24;
    }
  }

  // `bytes` bytes of UTF-8: the number of the message, then characters of every length.
  textOf(number, bytes) {
    const head = String(number).slice(-bytes || Infinity).slice(0, bytes);
    const left = bytes - head.length;
    const whole = Math.floor(left / 10);
    return head + this.text.slice(0, whole * 5) + 'x'.repeat(left - whole * 10);
  }

  binaryOf(number, bytes) {
    const offset = number % 251;
    return this.binary.subarray(offset, offset + bytes);
  }
}

const payloads = new Payloads();

// One stream to the server. `plan`: {kind, sizes, rate, limit, chain}.
class Source {
  constructor(url, plan, onTrouble) {
    this.plan = plan;
    this.messages = 0;
    this.bytes = 0;
    this.chain = new Uint8Array(32);
    this.chains = new Map(); // number of messages -> hex, the latest only
    this.running = true;
    this.ended = false;
    this.credit = 0;
    this.socket = new WebSocket(url);
    this.socket.onopen = () => this.run();
    this.socket.onclose = (event) => {
      this.ended = true;
      if (event.code !== 1000) {
        onTrouble(`The stream ended: ${event.code} ${event.reason}`);
      }
    };
  }

  stop() {
    this.running = false;
    if (this.socket.readyState === WebSocket.CONNECTING) {
      this.socket.close();
    }
  }

  async run() {
    let last = performance.now();
    while (this.running && !this.done()) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const now = performance.now();
      // Debts are forgiven after a quarter of a second: a tab that slept does not send a flood.
      this.credit += Math.min(now - last, 250) * 1e-3 * this.plan.rate;
      last = now;
      while (this.running && !this.done() && this.credit >= 1 && !this.ended) {
        if (this.socket.bufferedAmount > MOST_BUFFERED) {
          this.credit = 0;
          break;
        }
        this.credit -= 1;
        await this.sendOne();
      }
      if (this.ended) {
        return;
      }
    }
    this.running = false;
    this.socket.close(1000); // the browser sends what is buffered first
  }

  done() {
    return this.messages >= this.plan.limit;
  }

  async sendOne() {
    const number = this.messages + 1;
    const bytes = this.plan.sizes[this.messages % this.plan.sizes.length];
    const text = this.plan.kind === 'text' || (this.plan.kind === 'both' && number % 2 === 1);
    const message = text ? payloads.textOf(number, bytes) : payloads.binaryOf(number, bytes);
    if (this.plan.chain) {
      const linked = new Uint8Array(33 + bytes);
      linked.set(this.chain);
      linked[32] = text ? 84 : 66;
      linked.set(text ? encoder.encode(message) : message, 33);
      this.chain = new Uint8Array(await crypto.subtle.digest('SHA-256', linked));
      this.chains.set(number, Source.hex(this.chain));
      this.chains.delete(number - CHAINS_KEPT);
    }
    if (this.socket.readyState !== WebSocket.OPEN) {
      return;
    }
    this.socket.send(message);
    this.messages = number;
    this.bytes += bytes;
  }

  static hex(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // Compares with what the server has got: 'same', 'different', or 'wait' when more is to come.
  compare(mine) {
    if (mine.messages > this.messages) {
      return 'different';
    }
    if (this.plan.chain && mine.messages !== 0) {
      const expected = this.chains.get(mine.messages);
      if (expected !== undefined && expected !== mine.chain) {
        return 'different';
      }
      if (expected === undefined) {
        return 'wait';
      }
    }
    if (mine.messages < this.messages) {
      return this.plan.chain ? 'same' : 'wait';
    }
    return mine.bytes === this.bytes ? 'same' : 'different';
  }
}
