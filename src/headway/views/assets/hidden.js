const NOTES = {
  lens: "Each layer's states put through the final norm and the model's own head: the likeliest token, and the more colour, the likelier it is.",
  norms: "The length of each state; colour by its logarithm, for a few are often far longer than the others.",
  change: "The cosine of a token's states before and after each layer: 1 where the layer leaves the direction as it was; the more colour, the further it turned.",
  similarity: "The cosines of all tokens' states in one layer.",
};

const hidden = (root, data) => {
  const cosines = bytes(data.similarity), count = data.tokens.length, size = count * count;
  const cosine = (layer, one, other) => (2 * cosines[layer * size + one * count + other]) / 255 - 1;
  const place = layer => (isNaN(data.layers[layer]) ? data.layers[layer] : `layer ${data.layers[layer]}`);
  let mode = data.lens ? "lens" : "norms", layer = data.layers.length - 1;

  const status = el("div", { class: "hw-status", "aria-live": "polite" });
  const note = el("p", { class: "hw-note" });
  const body = el("div", { class: "hw-scroll" });
  const layers = menu("Layer", data.layers.map((name, at) => [at, name]), value => { layer = value; show(); });
  layers.select.value = layer;
  const legend = el("span", { class: "hw-scale" });

  // A table of layers and tokens; `cell(row, column)` gives its text, its shade from 0 to 1, and what is told of it.
  const table = (names, cell) => {
    const rows = names.map((name, row) => el("tr", {}, el("th", { scope: "row" }, name), ...data.tokens.map((_, column) => {
      const { text, shade, told } = cell(row, column);
      const td = el("td", { tabindex: row + column ? -1 : 0, pointerenter: () => { status.textContent = told; }, focus: () => { status.textContent = told; } }, text);
      td.style.background = `rgba(var(--hw-accent), ${(0.03 + 0.55 * clamp(shade, 0, 1)).toFixed(3)})`;
      return td;
    })));
    const node = el("table", {}, el("thead", {}, el("tr", {}, el("th"), ...data.tokens.map(token => el("th", { scope: "col", title: token }, token)))), el("tbody", {}, ...rows));
    node.addEventListener("keydown", event => {
      const td = event.target.closest("td");
      if (!td) return;
      const column = td.cellIndex, row = td.parentNode;
      const next = { ArrowLeft: td.previousSibling, ArrowRight: td.nextSibling,
        ArrowUp: row.previousSibling && row.previousSibling.cells[column], ArrowDown: row.nextSibling && row.nextSibling.cells[column] }[event.key];
      if (!next || next.tagName !== "TD") return;
      event.preventDefault();
      td.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
    return node;
  };

  const large = largeMap(root, (one, other) => {
    status.textContent = one === undefined ? "Point at a cell to read its cosine."
      : `${quoted(data.tokens[one])} and ${quoted(data.tokens[other])}, ${place(layer)}: cosine ${cosine(layer, one, other).toFixed(2)}`;
  });

  const views = {
    lens: () => table(data.layers, (row, column) => {
      const said = data.lens.tokens[row][column], shares = data.lens.probabilities[row][column];
      const list = said.map((text, at) => `${quoted(text)} ${percent(shares[at])}`).join(", ");
      return { text: said[0], shade: shares[0], told: `At ${quoted(data.tokens[column])}, ${place(row)}: ${list}` };
    }),
    norms: () => {
      const logs = data.norms.map(row => row.map(norm => Math.log(Math.max(norm, 1e-9)))), all = logs.flat();
      const least = all.reduce((a, b) => Math.min(a, b)), most = all.reduce((a, b) => Math.max(a, b));
      return table(data.layers, (row, column) => {
        const norm = String(data.norms[row][column]);
        return { text: norm, shade: (logs[row][column] - least) / Math.max(most - least, 1e-9), told: `${quoted(data.tokens[column])}, ${place(row)}: norm ${norm}` };
      });
    },
    change: () => table(data.layers.slice(1), (row, column) => {
      const value = data.change[row][column];
      return { text: value.toFixed(2), shade: 1 - value, told: `${quoted(data.tokens[column])} across ${place(row + 1)}: cosine ${value.toFixed(3)}` };
    }),
    similarity: () => large.canvas,
  };
  const scales = { lens: ["0", "100%"], norms: ["short", "long"], change: ["1", "0"], similarity: ["≤ 0", "1"] };
  const show = () => {
    body.replaceChildren(views[mode]());
    if (mode === "similarity") large.show({ shades: cosines.subarray(layer * size, (layer + 1) * size).map(value => Math.max(0, 2 * value - 255)), rows: data.tokens, columns: data.tokens }, `Similarity of tokens, ${place(layer)}: arrow keys read the cells`);
    layers.node.style.display = mode === "similarity" ? "" : "none";
    note.textContent = NOTES[mode];
    status.textContent = "Point at a cell, or move with the arrow keys, to read it.";
    legend.replaceChildren(...scale(root, ...scales[mode]).childNodes);
  };

  const names = [["lens", "Logit lens"], ["norms", "Norms"], ["change", "Change"], ["similarity", "Similarity"]];
  root.append(
    el("div", { class: "hw-title", role: "heading", "aria-level": 2 }, data.title),
    el("div", { class: "hw-facts" }, `Hidden states · ${data.layers.length} layers with the embeddings · ${count} tokens`),
    el("div", { class: "hw-bar" }, tabs("What to show", names.filter(([name]) => name !== "lens" || data.lens), mode, next => { mode = next; show(); }), layers.node, legend),
    body, note, status);
  show();
  return () => mode === "similarity" && large.draw();
};

start("hidden", hidden);
