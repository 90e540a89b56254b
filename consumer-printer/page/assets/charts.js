// The charts, drawn by uPlot in the page's colours.

import * as text from "./text.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A chart over time. lines are {colour, tint}: CSS variables; the first is the lowest layer. write makes text of a value. tell is
 * called with the values of the point under the cursor, else of the newest, and with the time of the former.
 */
export class Chart {
  constructor(element, { lines, write, tell, bars, band }) {
    Object.assign(this, { element, lines, write, bars, band, data: [[], ...lines.map(() => [])] });
    this.tell = (index) => tell?.(this.data.slice(1).map((values) => values[index ?? values.length - 1]), index === null ? null : this.data[0][index] * 1000);
    new ResizeObserver(() => this.resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  /** Shows points [seconds, value of each line…], oldest first; a value may be null. step is the seconds between two. */
  show(points, step) {
    const data = [[], ...this.lines.map(() => [])];
    let before = Infinity;
    for (const point of points) {
      if (point[0] - before > 3 * step) [before + step, ...this.lines.map(() => null)].forEach((v, i) => data[i].push(v)); // a gap
      point.forEach((v, i) => data[i].push(v));
      before = point[0];
    }
    this.data = data;
    this.step = step;
    if (this.plot) this.plot.setData(data);
    else this.build();
    this.tell(null);
  }

  build() {
    this.plot?.destroy();
    this.plot = null;
    const width = this.element.clientWidth;
    if (width === 0 || this.data[0].length === 0) return;
    const axis = {
      stroke: colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const margin = this.bars ? this.step / 2 : 0;
    this.plot = new uPlot({
      width, height: this.element.clientHeight, padding: [8, 30, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: {
        x: { range: (_, from, to) => [Math.min(from ?? 0, to - 24 * this.step) - margin, to + margin] },
        y: { range: (_, from, to) => [0, to > 0 ? to * 1.12 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 80, size: 26, values: (_, ticks) => ticks.map((s) => text.time(s * 1000).replace(/^.* /, "").replace(/:00$/, "")) },
        { ...axis, size: 62, space: 38, values: (_, ticks) => ticks.map((v) => this.write(v)) },
      ],
      series: [{}, ...this.lines.map((line) => ({
        stroke: colour(line.colour), fill: line.tint && colour(line.tint), width: this.bars ? 0 : 1.75, points: { show: false },
        paths: this.bars ? uPlot.paths.bars({ size: [0.9, 24], gap: 1 }) : undefined,
      }))],
      bands: this.band && [{ series: [1, 2], fill: colour(this.band) }],
      hooks: { setCursor: [(u) => this.tell(u.cursor.idx ?? null)] },
    }, this.data, this.element);
  }

  resize() {
    if (!this.plot) this.build();
    else this.plot.setSize({ width: this.element.clientWidth, height: this.element.clientHeight });
  }
}
