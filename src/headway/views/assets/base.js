const el = (tag, values = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const bytes = text => Uint8Array.from(atob(text), char => char.charCodeAt(0));

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

const percent = share =>
  share >= 0.0995 ? `${Math.round(100 * share)}%` : share >= 0.0005 ? `${(100 * share).toFixed(1)}%` : "0%";

const quoted = text => `“${text}”`;

const theme = root => {
  const style = getComputedStyle(root);
  const get = name => style.getPropertyValue(`--hw-${name}`).trim();
  return { ground: get("ground"), ink: get("ink"), soft: get("soft"), line: get("line"), accent: get("accent"), strong: get("strong") };
};

// The context of a canvas of this size, sharp on every screen and within what browsers can draw.
const sheet = (canvas, width, height) => {
  const scale = Math.min(window.devicePixelRatio || 1, 16000 / Math.max(width, height, 1));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
};

// Shades, a byte each, as a picture of one colour on nothing.
const picture = (shades, rows, columns, accent) => {
  const canvas = el("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const [red, green, blue] = accent.split(",").map(Number);
  for (let i = 0, at = 0; i < rows * columns; i++) {
    image.data[at++] = red;
    image.data[at++] = green;
    image.data[at++] = blue;
    image.data[at++] = shades[i];
  }
  context.putImageData(image, 0, 0);
  return canvas;
};

const tabs = (label, names, chosen, change) => {
  const buttons = names.map(([value, text]) =>
    el("button", {
      type: "button",
      "aria-pressed": String(value === chosen),
      click: event => {
        for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
        change(value);
      },
    }, text));
  return el("span", { class: "hw-tabs", role: "group", "aria-label": label }, ...buttons);
};

const menu = (label, names, change) => {
  const select = el("select", { change: () => change(Number(select.value)) });
  const fill = options => select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  fill(names);
  return { node: el("label", { class: "hw-field" }, label, select), select, fill };
};

const scale = (root, from, to) => {
  const bar = el("span");
  bar.style.background = "linear-gradient(90deg, transparent, rgb(var(--hw-accent)))";
  return el("span", { class: "hw-scale", role: "img", "aria-label": `colours from ${from} to ${to}` }, from, bar, to);
};

const FONT = '13px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif';

// A map with its tokens: queries down, keys across. Calls `hover(query, key)`, or `hover()` when the pointer has left.
const largeMap = (root, hover) => {
  const canvas = el("canvas", { role: "img" });
  let shown = null, place = null, at = null;
  const draw = () => {
    if (!shown) return;
    const colors = theme(root), { shades, rows, columns } = shown;
    const measure = canvas.getContext("2d");
    measure.font = FONT;
    const longest = texts => Math.min(150, Math.max(0, ...texts.map(text => measure.measureText(text).width)));
    const left = longest(rows) + 10, slant = longest(columns), top = slant * 0.71 + 16;
    const room = (canvas.parentNode.clientWidth - left - slant * 0.71 - 12) / columns.length;
    const cell = Math.floor(clamp(room, 15, 32));
    place = { left, top, cell };
    const context = sheet(canvas, left + cell * columns.length + slant * 0.71 + 12, top + cell * rows.length + 2);
    context.imageSmoothingEnabled = false;
    context.drawImage(picture(shades, rows.length, columns.length, colors.accent), left, top, cell * columns.length, cell * rows.length);
    context.strokeStyle = colors.line;
    context.strokeRect(left - 0.5, top - 0.5, cell * columns.length + 1, cell * rows.length + 1);
    context.font = FONT;
    context.textBaseline = "middle";
    context.textAlign = "right";
    rows.forEach((text, row) => {
      context.fillStyle = at && at[0] === row ? colors.strong : colors.ink;
      context.fillText(text, left - 8, top + (row + 0.5) * cell, 150);
    });
    context.textAlign = "left";
    columns.forEach((text, column) => {
      context.save();
      context.translate(left + (column + 0.5) * cell, top - 8);
      context.rotate(-Math.PI / 4);
      context.fillStyle = at && at[1] === column ? colors.strong : colors.ink;
      context.fillText(text, 0, 0, 150);
      context.restore();
    });
    if (at) {
      context.strokeStyle = colors.ink;
      context.lineWidth = 1.5;
      context.strokeRect(left + at[1] * cell, top + at[0] * cell, cell, cell);
    }
  };
  const move = next => {
    if (String(next) === String(at)) return;
    at = next;
    draw();
    hover(...(at || []));
  };
  canvas.tabIndex = 0;
  canvas.addEventListener("pointermove", event => {
    const column = Math.floor((event.offsetX - place.left) / place.cell), row = Math.floor((event.offsetY - place.top) / place.cell);
    move(row >= 0 && column >= 0 && row < shown.rows.length && column < shown.columns.length ? [row, column] : null);
  });
  canvas.addEventListener("pointerleave", () => move(null));
  canvas.addEventListener("blur", () => move(null));
  canvas.addEventListener("keydown", event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = at || [0, 0];
    move([clamp(row + step[0], 0, shown.rows.length - 1), clamp(column + step[1], 0, shown.columns.length - 1)]);
  });
  return { canvas, draw, show: (next, label) => { shown = next; at = null; canvas.setAttribute("aria-label", label); draw(); } };
};

const start = (kind, build) => {
  for (const root of document.querySelectorAll(`.headway-view[data-kind="${kind}"]:not([data-ready])`)) {
    root.dataset.ready = "";
    const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    root.querySelector("p").remove();
    const draw = build(root, data);
    let width = 0;
    const resized = () => {
      if (root.clientWidth === width) return;
      width = root.clientWidth;
      root.classList.toggle("hw-narrow", width < 760);
      draw();
    };
    resized();
    new ResizeObserver(resized).observe(root);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }
};
