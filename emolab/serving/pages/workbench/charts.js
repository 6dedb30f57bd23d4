// Charts as SVG, made element by element; colours and letters come from the style sheet.

/** An SVG element with attributes and children; text goes in as text. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const [LEFT, RIGHT, TOP, BOTTOM] = [46, 24, 12, 36];

/** A frame with axes: `x` and `y` are { low, high, ticks, label, text }; `draw(px, py)` gives what stands in it. */
export function plot({ label, x, y, draw }) {
  const [WIDTH, HEIGHT] = matchMedia("(max-width: 640px)").matches ? [330, 230] : [560, 260];
  const px = (value) => LEFT + ((value - x.low) / (x.high - x.low || 1)) * (WIDTH - LEFT - RIGHT);
  const py = (value) => HEIGHT - BOTTOM - ((value - y.low) / (y.high - y.low || 1)) * (HEIGHT - TOP - BOTTOM);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "chart" },
    y.ticks.map((tick) => [svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: py(tick), y2: py(tick) }),
      svg("text", { x: LEFT - 7, y: py(tick) + 4, "text-anchor": "end" }, y.text(tick))]),
    x.ticks.map((tick) => svg("text", { x: px(tick), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, x.text(tick))),
    svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle", class: "axis" }, x.label),
    draw(px, py));
}

/** Round numbers from low to high, about `n` of them. */
export function ticks(low, high, n = 5) {
  const raw = (high - low) / n || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((by) => by * unit).find((each) => each >= raw) ?? raw;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}
