// The live page: follows the stream of batches, keeps what it brings, and shows it.

import { Chart } from "./charts.js";
import * as text from "./text.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);
const mostBatches = 720; // as many as the server keeps
const silence = 40_000; // ms; heartbeats come every 15 s
const announceEvery = 30_000; // ms; to a screen reader every batch would be too much

const state = {
  batches: [], // oldest first, each as the API has it, with start and end in ms
  last: null, // the top words of the newest batch
  recent: null, // those of the last minutes
  ahead: 0, // the server's clock less ours, ms
  id: "", // of the last event
  paused: false,
  word: null, // whose history is shown
};

const charts = {
  rate: new Chart($("rate-chart"), {
    lines: [{ colour: "--accent", tint: "--tint" }], write: text.rate,
    tell: ([words], at) => view.showLegend("rate-legend", at, [{ name: at === null ? "Newest" : "", value: words, write: text.rate }]),
  }),
  latency: new Chart($("latency-chart"), {
    lines: [{ colour: "--second" }, { colour: "--accent", tint: "--tint" }], band: "--second-tint", write: text.span,
    tell: ([total, scheduling], at) => view.showLegend("latency-legend", at, [
      { name: "Scheduling delay", key: "first", value: scheduling, write: text.span },
      { name: "Processing time", key: "second", value: total == null ? null : Math.max(total - scheduling, 0), write: text.span },
    ]),
  }),
  word: new Chart($("word-chart"), {
    lines: [{ colour: "--accent", tint: "--accent" }], write: text.count, bars: true,
  }),
};

const now = () => Date.now() + state.ahead;

/** Takes in an event: batches that are new, or come again after the server began anew. */
function take(data) {
  const merged = new Map(state.batches.map((b) => [b.end, b]));
  for (const b of data.batches) {
    b.start = Date.parse(b.window_start);
    b.end = Date.parse(b.window_end);
    merged.set(b.end, b);
  }
  state.batches = [...merged.values()].sort((a, b) => a.end - b.end).slice(-mostBatches);
  state.last = data.last;
  state.recent = data.recent;
}

function show() {
  if (state.batches.length === 0 || state.paused) return;
  const newest = state.batches[state.batches.length - 1];
  const step = view.interval(newest);
  $("empty").hidden = true;
  view.showTiles(state.batches, now());
  view.showBehind(newest, now());
  view.showWords("last-words", state.last, find);
  view.showWords("recent-words", state.recent, find);
  view.showListNotes(newest, state.last, state.recent);
  view.showRows(state.batches, now());
  charts.rate.show(state.batches.map((b) => [b.end / 1000, b.words / view.interval(b)]), step);
  charts.latency.show(state.batches.map((b) => [b.end / 1000, b.total_delay_seconds, b.scheduling_delay_seconds]), step);
  announce(newest);
  if (state.word !== null) refreshWord();
}

let announced = 0;
function announce(newest) {
  if (Date.now() - announced < announceEvery) return;
  announced = Date.now();
  const top = state.last.top[0];
  $("said").textContent = `Batch of ${text.time(newest.end, now())}: ${text.count(newest.words)} words` +
    (top ? `, most often ${text.visible(top.word).text}, ${text.count(top.count)} times` : "");
}

// The stream. A browser reconnects by itself and says what it got last, but not after an answer that is an error, nor when a
// connection dies in silence.
let stream = null;
let watchdog = 0;
let retry = 0;

function connect() {
  clearTimeout(retry);
  stream?.close();
  stream = new EventSource(`api/events${state.id ? `?last_event_id=${state.id}` : ""}`);
  stream.onopen = alive;
  stream.onerror = () => {
    status("waiting");
    if (stream.readyState === EventSource.CLOSED) retry = setTimeout(connect, 3000);
  };
  stream.addEventListener("clock", (event) => {
    state.ahead = Date.parse(JSON.parse(event.data).now) - Date.now();
    alive();
  });
  stream.addEventListener("batches", (event) => {
    state.id = event.lastEventId;
    take(JSON.parse(event.data));
    show();
    alive();
  });
}

function alive() {
  status("live");
  clearTimeout(watchdog);
  watchdog = setTimeout(() => {
    status("waiting");
    connect();
  }, silence);
}

let connection = "connecting";
function status(name) {
  connection = name;
  view.showStatus(state.paused && name === "live" ? "paused" : name);
}

// The history of a word.
let asking = null;
async function refreshWord() {
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(`api/words?limit=120&word=${encodeURIComponent(state.word)}`, { signal: asking.signal });
    const found = await answer.json();
    if (answer.ok) view.showHistory(found, charts.word);
    else $("found").textContent = `The server says: ${found.error}`;
  } catch (error) {
    if (error.name !== "AbortError") $("found").textContent = "The server does not answer; the next batch tries again.";
  }
}

function find(word) {
  state.word = word;
  if ($("word").value !== word) $("word").value = word.length > 200 ? "" : word;
  refreshWord();
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find($("word").value);
});

$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  status(connection);
  show();
});

setInterval(() => {
  if (state.batches.length > 0 && !state.paused) view.showBehind(state.batches[state.batches.length - 1], now());
}, 1000);

connect();
