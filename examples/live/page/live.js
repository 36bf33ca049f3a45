'use strict';

// The page: a WebSocket that brings reports, plots of the last minute, and the form that starts a
// Source (source.js).

const element = (id) => document.getElementById(id);
const WINDOW_SECONDS = 60;
const HEIGHT = 148;
const BASE = `ws://${location.host}`;

// ---- plots ----

const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const INK = dark ? '#93a1af' : '#5d6b79';
const GRID = { stroke: dark ? '#2c3641' : '#e6ebf0', width: 1 };
const COLOURS = dark ? ['#3bc9db', '#ffa94d', '#b197fc', '#69db7c']
                     : ['#0b7285', '#e8590c', '#6741d9', '#2b8a3e'];

function short(value) {
  if (value === null || value === undefined) {
    return '-';
  }
  for (const [unit, name] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= unit) {
      return `${+(value / unit).toPrecision(3)} ${name}`;
    }
  }
  return String(+value.toPrecision(3));
}

function sizeName(index) { // of slices of 2^(index - 1) to 2^index - 1 bytes
  if (index < 2) {
    return String(index);
  }
  const least = 2 ** (index - 1);
  return least < 1024 ? String(least) : `${least / 1024}K`;
}

// One card with one plot. `lines`: names of the series; `of(report)`: their values.
class Plot {
  constructor(title, unit, lines, of, bars) {
    this.of = of;
    this.bars = bars;
    this.card = document.createElement('div');
    this.card.className = 'plot';
    this.card.innerHTML = `<h2>${title} <small>${unit}</small></h2>`;
    element('plots').append(this.card);
    const axis = { stroke: INK, grid: GRID, ticks: GRID, font: '11px system-ui, sans-serif' };
    const paint = { width: bars ? 0 : 1.6, points: { show: false } };
    if (bars) {
      paint.paths = uPlot.paths.bars({ size: [0.8, 40] });
    }
    const options = {
      width: this.width(), height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      legend: { show: lines.length > 1, live: false },
      scales: {
        x: { time: false, range: bars ? [-0.6, of.count - 0.4] : [-WINDOW_SECONDS, 0] },
        y: { range: (_, least, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      axes: [
        { ...axis, values: (drawn, ticks) => bars
            ? ticks.map((tick) => drawn.width < 480 && tick % 2 !== 0 ? '' : sizeName(tick))
            : ticks.map((tick) => tick === 0 ? 'now' : `${tick} s`),
          ...(bars ? { splits: () => [...Array(of.count).keys()], space: 10 } : {}) },
        { ...axis, size: 54, values: (_, ticks) => ticks.map(short) },
      ],
      series: [{}, ...lines.map((label, i) => ({
        label, stroke: COLOURS[i], fill: bars ? COLOURS[i] : undefined,
        dash: i === 2 ? [5, 4] : undefined, // shows the line below where two are the same
        ...paint,
      }))],
    };
    this.plot = new uPlot(options, [[], ...lines.map(() => [])], this.card);
    new ResizeObserver(() => this.plot.setSize({ width: this.width(), height: HEIGHT }))
      .observe(this.card);
  }

  width() {
    return Math.max(240, this.card.clientWidth - 24);
  }

  // `times`: seconds before now, oldest first; `reports` likewise.
  draw(times, reports) {
    if (this.bars) {
      this.plot.setData([[...Array(this.of.count).keys()], this.of(reports)]);
      return;
    }
    const values = reports.map(this.of);
    const lines = this.plot.series.length - 1;
    this.plot.setData([times, ...[...Array(lines).keys()].map(
      (line) => values.map((row) => row[line] ?? null))]);
  }
}

const rate = (report, count) => report.seconds > 0 ? count / report.seconds : 0;
const sizesOfLastSeconds = (reports) => {
  const sums = Array(18).fill(0);
  for (const report of reports.slice(-20)) {
    report.slice_sizes.forEach((count, i) => { sums[i] += count; });
  }
  return sums;
};
sizesOfLastSeconds.count = 18;

const plots = [
  new Plot('Messages', 'a second', ['messages/s'], (r) => [rate(r, r.messages)]),
  new Plot('Payload', 'bytes a second', ['bytes/s'], (r) => [rate(r, r.bytes)]),
  new Plot('Slice sizes', 'slices of the last 5 s by bytes, from', ['slices'], sizesOfLastSeconds,
    true),
  new Plot('Fragment types', 'slices a second, by the type WinHTTP gives them',
    ['BINARY_MESSAGE', 'BINARY_FRAGMENT', 'UTF8_MESSAGE', 'UTF8_FRAGMENT'],
    (r) => r.pieces.map((count) => rate(r, count))),
  new Plot('Round trips', 'ms, ping to pong, with the browsers', ['p50', 'p90', 'p99'],
    (r) => r.rtt_ms),
  new Plot('CPU of the loop', '% of one CPU', ['CPU'],
    (r) => [r.seconds > 0 ? 100 * r.cpu_seconds / r.seconds : 0]),
  new Plot('Receive buffers', 'now; starved: receives that had to wait, a second',
    ['posted', 'lent', 'starved/s'],
    (r) => [r.buffers_posted, r.buffers_lent, rate(r, r.starved)]),
  new Plot('System calls', 'a second', ['calls/s'], (r) => [rate(r, r.system_calls)]),
];

// ---- reports ----

let pageId = null;
let source = null;
let latest = null;
const past = []; // {at, report}

function addReport(report) {
  const at = performance.now() * 1e-3;
  past.push({ at, report });
  while (past.length !== 0 && past[0].at < at - WINDOW_SECONDS - 1) {
    past.shift();
  }
  latest = report.mine;
  element('others').textContent = `${report.pages} / ${report.streams}`;
  showCounts();
  if (document.hidden) {
    return; // nobody looks; the reports are kept
  }
  const times = past.map((entry) => entry.at - at);
  const reports = past.map((entry) => entry.report);
  plots.forEach((plot) => plot.draw(times, reports));
}

function showCounts() {
  const count = (value) => value.toLocaleString('en');
  const verdict = element('verdict');
  if (source === null) {
    return;
  }
  element('sent-messages').textContent = count(source.messages);
  element('sent-bytes').textContent = count(source.bytes);
  if (latest === null || latest.stream !== source.number) {
    return; // not of this stream yet
  }
  element('got-messages').textContent = count(latest.messages);
  element('got-bytes').textContent = count(latest.bytes);
  const outcome = source.compare(latest);
  const all = source.ended && latest.messages === source.messages;
  verdict.dataset.verdict = outcome;
  verdict.dataset.complete = String(all && outcome === 'same');
  verdict.dataset.chain = latest.chain;
  verdict.textContent = outcome === 'different' ? 'DIFFERENT from what was sent'
    : all ? `all there${source.plan.chain ? ', hashes are the same' : ''}`
    : outcome === 'same' ? 'the same so far' : 'on the way';
}

function showState(text) {
  element('state').textContent = text;
  element('state').classList.toggle('bad', text !== 'connected');
}

function watch() {
  const socket = new WebSocket(`${BASE}/page`);
  socket.onmessage = (event) => {
    const report = JSON.parse(event.data);
    if (report.kind === 'hello') {
      pageId = report.page;
      streams = 0;
      element('backend').textContent = report.backend;
      element('kernels').textContent = report.kernels;
      showState('connected');
    } else {
      addReport(report);
    }
  };
  socket.onclose = () => {
    pageId = null;
    showState('gone, asking again');
    setTimeout(watch, 1000);
  };
}

// ---- the form ----

let streams = 0; // of this page's id

function planOf() {
  const number = (id, least, most, what) => {
    const value = Number(element(id).value);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new Error(`${what}: a whole number from ${least} to ${most.toLocaleString('en')}.`);
    }
    return value;
  };
  const sizes = element('size').value.split(',').map((text) => Number(text.trim() || NaN));
  if (!sizes.every((size) => Number.isInteger(size) && size >= 0 && size <= MOST_BYTES)) {
    throw new Error('Bytes of a message: whole numbers from 0 to 1,048,576, with commas.');
  }
  return {
    kind: element('kind').value,
    sizes,
    rate: number('rate', 1, 1e6, 'Messages a second'),
    limit: element('limit').value.trim() === '' ? Infinity : number('limit', 1, 1e9, 'Stop after'),
    chain: element('chain').checked,
  };
}

function cutOf() {
  const chosen = element('frames').value;
  if (chosen === '') {
    return '';
  }
  const cut = (chosen === 'own' ? element('pattern').value : chosen).replace(/\s/g, '');
  const sizes = cut.split(',').map(Number);
  if (!/^\d+(,\d+)*$/.test(cut) || sizes.length > 16 || !sizes.some((size) => size > 0) ||
      sizes.some((size) => size > 1 << 20)) {
    throw new Error('Frames: up to 16 whole numbers to 1,048,576 with commas, not all of them 0.');
  }
  return cut;
}

function showRunning(running) {
  element('start').disabled = running;
  element('stop').disabled = !running;
}

element('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  const trouble = element('trouble');
  trouble.textContent = '';
  try {
    if (pageId === null) {
      throw new Error('There is no connection to the server.');
    }
    const plan = planOf();
    const cut = cutOf();
    const options = `${plan.chain ? '&chain=1' : ''}${cut ? `&cut=${cut}` : ''}`;
    const url = `${BASE}/stream?page=${pageId}${options}`;
    source = new Source(url, plan, (text) => { trouble.textContent = text; });
    source.number = ++streams;
    element('got-messages').textContent = element('got-bytes').textContent = '0';
    element('verdict').dataset.verdict = 'none';
    element('verdict').dataset.complete = 'false';
    showRunning(true);
  } catch (error) {
    trouble.textContent = error.message;
  }
});
element('stop').addEventListener('click', () => source?.stop());
element('frames').addEventListener('change', (event) => {
  element('pattern-label').hidden = event.target.value !== 'own';
});
if (!globalThis.crypto?.subtle) { // pages that are not from this machine have no hashes
  element('chain').checked = false;
  element('chain').disabled = true;
}
setInterval(() => {
  showRunning(source !== null && !source.ended);
  showCounts();
}, 200);
watch();
