// The tiles, the lists of words and the table.

import * as text from "./text.js";

const $ = (id) => document.getElementById(id);
const mostRows = 20;

function element(tag, content, className = "") {
  const e = document.createElement(tag);
  e.textContent = content;
  if (className) e.className = className;
  return e;
}

/** The seconds of a batch's window. */
export const interval = (batch) => (batch.end - batch.start) / 1000;

/** Shows the figures of the newest batch, and the late lines of all. */
export function showTiles(batches, now) {
  const newest = batches[batches.length - 1];
  $("newest").textContent = text.time(newest.end, now);
  $("newest-note").textContent = `${text.span(interval(newest))} window, ${text.count(newest.lines)} lines`;
  $("rate").textContent = text.rate(newest.words / interval(newest));
  $("rate-note").textContent = `${text.rate(newest.lines / interval(newest))} lines per second`;
  $("latency").textContent = text.span(newest.total_delay_seconds);
  $("latency-note").textContent = "window end to counted";
  const late = batches.reduce((sum, b) => sum + b.late_lines, 0);
  $("late").textContent = text.count(late);
  $("late").classList.toggle("warn", late > 0);
  $("late-note").textContent = batches.length === 1 ? "in this batch" : `in the last ${text.count(batches.length)} batches`;
}

/** Shows how old the newest batch is. */
export function showBehind(newest, now) {
  const behind = Math.max((now - newest.end) / 1000, 0);
  const slow = behind > 2 * interval(newest) + 1;
  $("behind").textContent = behind < 60 ? `${behind.toFixed(1)} s` : text.span(behind);
  $("behind").classList.toggle("warn", slow);
  $("behind-note").textContent = slow ? "more than two batches: catching up, or none come" : "age of the newest batch";
}

/** Shows values of a chart, of a time unless they are the newest: {name, key, value, write}. */
export function showLegend(id, at, values) {
  const parts = values.map(({ name, key, value, write }) => {
    const part = element("span", `${name} `, key ? `key ${key}` : "");
    part.append(element("b", value == null ? "–" : write(value)));
    return part;
  });
  if (at !== null) parts.push(element("span", `at ${text.time(at)}`));
  $(id).replaceChildren(...parts);
}

/** Shows a list of words, each with a bar; choose is called with a word that is clicked. */
export function showWords(id, list, choose) {
  const body = $(id).tBodies[0];
  const highest = Math.max(...list.top.map((w) => w.count), 1);
  list.top.forEach((w, i) => {
    const row = body.rows[i] ?? body.appendChild(newWordRow(choose));
    row.word = w.word;
    const button = row.querySelector("button");
    const { text: shown, odd } = text.visible(w.word);
    button.firstChild.textContent = shown;
    button.classList.toggle("odd", odd);
    row.querySelector(".bar").style.width = `${(100 * w.count) / highest}%`;
    row.cells[1].textContent = (w.at_least ? "≥ " : "") + text.count(w.count);
  });
  while (body.rows.length > list.top.length) body.lastChild.remove();
}

// Rows are used again, so that focus stays on a word's button when counts change.
function newWordRow(choose) {
  const row = document.createElement("tr");
  const cell = row.insertCell();
  const bar = element("div", "", "bar");
  bar.setAttribute("aria-hidden", "true");
  const button = element("button", "", "word");
  button.type = "button";
  button.append(document.createElement("bdi"));
  button.addEventListener("click", () => choose(row.word));
  cell.append(bar, button);
  row.insertCell();
  return row;
}

/** Says what the lists are of. */
export function showListNotes(newest, last, recent) {
  const shown = last.top.length;
  $("last-note").textContent = shown === 0 ? "no words" : last.more ? `${shown} of ${text.count(newest.distinct_words)} words` : "all its words";
  const minutes = (Date.parse(recent.window_end) - Date.parse(recent.window_start)) / 1000;
  $("recent-note").textContent = `${text.span(minutes).replace(/ 0 s$/, "")}, ${text.count(recent.batches)} ${recent.batches === 1 ? "batch" : "batches"}` +
    (recent.top.some((w) => w.at_least) ? "; ≥ where a word was not always among the first 100" : "");
}

/** Shows the newest batches as a table, newest first. */
export function showRows(batches, now) {
  $("rows").replaceChildren(...batches.slice(-mostRows).reverse().map((b) => {
    const row = document.createElement("tr");
    const head = element("th", text.time(b.end, now));
    head.scope = "row";
    row.append(head,
      figure(b.lines), figure(b.words), figure(b.distinct_words), figure(b.late_lines, b.late_lines > 0 ? "warn" : "zero"),
      element("td", text.span(b.scheduling_delay_seconds)), element("td", text.span(b.processing_seconds)), element("td", text.span(b.total_delay_seconds)));
    return row;
  }));
}

const figure = (n, className = n === 0 ? "zero" : "") => element("td", text.count(n), className);

/** Shows whether batches come. */
export function showStatus(state) {
  const names = { connecting: "Connecting", live: "Live", waiting: "Reconnecting", paused: "Paused" };
  if ($("status").dataset.state !== state) {
    $("status").dataset.state = state;
    $("status").textContent = names[state];
  }
}

/** Shows the history of a word: what api/words answered. */
export function showHistory(answer, chart) {
  const { text: shown } = text.visible(answer.word);
  const known = answer.batches.length - answer.unknown_batches;
  const word = document.createElement("bdi");
  word.textContent = shown;
  $("found").replaceChildren(word, `: ${text.count(answer.count)} in the last ${text.count(known)} batches` +
    (answer.unknown_batches ? `; of ${text.count(answer.unknown_batches)} more the page no longer has all words` : ""));
  $("word-details").hidden = $("word-chart").hidden = answer.batches.length === 0;
  $("word-chart").setAttribute("aria-label", `Chart of the counts of ${shown}; below as a table`);
  const points = answer.batches.map((b) => [Date.parse(b.window_end) / 1000, b.count]).reverse();
  if (points.length) chart.show(points, (Date.parse(answer.batches[0].window_end) - Date.parse(answer.batches[0].window_start)) / 1000);
  $("word-table").tBodies[0].replaceChildren(...answer.batches.map((b) => {
    const row = document.createElement("tr");
    const head = element("th", text.time(Date.parse(b.window_end)));
    head.scope = "row";
    row.append(head, element("td", b.count === null ? "not known" : text.count(b.count)));
    return row;
  }));
}
