// How figures and words are written.

const number = new Intl.NumberFormat("en");
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A whole number: 1,234. */
export const count = (n) => number.format(n);

/** A rate: 27.4, and 1,234 where a fraction means nothing. */
export const rate = (n) => (n < 100 ? oneDigit : number).format(n < 100 ? n : Math.round(n));

/** A span of time in seconds: 263 ms, 1.52 s, 3 min 5 s, 2 h 10 min, 4 days. */
export function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? Math.round(seconds * 100) / 100 : Math.round(seconds * 10) / 10} s`;
  const s = Math.round(seconds);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${count(Math.floor(s / 86400))} days`;
}

/** The time of a batch, with its date unless it is today's, and with what it has below a second. */
export function time(ms, now = Date.now()) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  let text = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (ms % 1000 !== 0) text += `.${String(ms % 1000).padStart(3, "0").replace(/0+$/, "")}`;
  if (d.toDateString() !== new Date(now).toDateString()) text = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${text}`;
  return text;
}

// What cannot be seen, or would reorder the text around it. Joiners that scripts need stay.
const unseen = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const mostShown = 200; // characters of a word

/** A word as text that a person can see: {text, odd}; odd texts are not the word itself. */
export function visible(word) {
  if (word === "") return { text: "(empty word)", odd: true };
  if (/^\s+$/u.test(word)) return { text: "(white space)", odd: true };
  let text = word;
  if (text.length > mostShown) text = `${text.slice(0, mostShown).replace(/[\ud800-\udbff]$/, "")}…`;
  text = text.replace(unseen, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return { text, odd: false };
}
