const MEAN = -1, ROW = 26;

const attention = (root, data) => {
  const sets = data.maps.map(set => ({ ...set, bytes: bytes(set.roots) }));
  const several = set => Number(set.heads.length > 1);  // is there a mean to show?
  let set = sets[0], tone = null, layer = 0, head = 0, mode = "lines", focus = null, pinned = null;

  // Square roots of weights, a byte each, of one map or of the mean of a layer's heads.
  const roots = (l, h) => {
    const size = set.queries.length * set.keys.length, from = l * set.heads.length * size;
    if (h !== MEAN) return set.bytes.subarray(from + h * size, from + (h + 1) * size);
    const mean = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let k = 0; k < set.heads.length; k++) sum += (set.bytes[from + k * size + i] / 255) ** 2;
      mean[i] = Math.round(255 * Math.sqrt(sum / set.heads.length));
    }
    return mean;
  };
  const tones = () => Float32Array.from({ length: 256 }, (_, root) => (root / 255) ** (2 * set.exponent));
  const toned = map => map.map(root => Math.round(255 * tone[root]));
  const weight = (map, query, key) => (map[query * set.keys.length + key] / 255) ** 2;
  const named = h => (h === MEAN ? "mean of heads" : `head ${set.heads[h]}`);

  const facts = el("div", { class: "hw-facts" });
  const layers = menu("Layer", [], value => select(value, head));
  const heads = menu("Head", [], value => select(layer, value));
  const grid = el("canvas", { class: "hw-grid", tabindex: 0, role: "img" });
  const overview = el("div", { class: "hw-overview" }, el("div", { class: "hw-scroll" }, grid),
    el("p", { class: "hw-note" }, "Layers down, heads across; the first column is the mean of a layer's heads. Click a map, or move with the arrow keys."));
  const detail = el("div", { class: "hw-detail" });
  const status = el("div", { class: "hw-status", "aria-live": "polite" });

  // --- all maps, small -----------------------------------------------------------------------------------------

  let place = null;
  const small = el("canvas");
  // All maps beside each other, drawn anew only where they would look otherwise.
  const drawMaps = (columns, step, accent) => {
    const key = [set.name, columns, step, accent, window.devicePixelRatio].join();
    if (small.dataset.key === key) return;
    small.dataset.key = key;
    const size = step - 4, context = sheet(small, columns * step, set.layers.length * step);
    context.imageSmoothingEnabled = set.keys.length > size;
    for (let l = 0; l < set.layers.length; l++) {
      for (let column = 0; column < columns; column++) {
        const map = picture(toned(roots(l, column - several(set))), set.queries.length, set.keys.length, accent);
        context.drawImage(map, column * step, l * step, size, size);
      }
    }
  };
  const drawGrid = () => {
    overview.hidden = set.layers.length * set.heads.length === 1;
    root.querySelector(".hw-body").style.gridTemplateColumns = overview.hidden ? "minmax(0, 1fr)" : "";
    if (overview.hidden) return;
    const colors = theme(root), columns = set.heads.length + several(set), left = 24, top = 20;
    const narrow = root.classList.contains("hw-narrow");
    const room = (narrow ? root.clientWidth - 42 : root.clientWidth * 0.46) - left;
    const step = Math.floor(clamp(room / columns, 20, 72)), size = step - 4, rows = set.layers.length;
    place = { left, top, step };
    drawMaps(columns, step, colors.accent);
    const context = sheet(grid, left + columns * step, top + rows * step);
    context.drawImage(small, left, top, columns * step, rows * step);
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const name = (text, x, y, chosen) => {
      context.fillStyle = chosen ? colors.strong : colors.soft;
      context.fillText(text, x, y);
    };
    const frame = (l, h, color, width) => {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.strokeRect(left + (h + several(set)) * step - 0.5, top + l * step - 0.5, size + 1, size + 1);
    };
    for (let h = several(set) ? MEAN : 0; h < set.heads.length; h++) {
      const text = h === MEAN ? (step < 36 ? "x̄" : "mean") : String(set.heads[h]);
      name(text, left + (h + several(set)) * step + size / 2, top / 2, h === head);
      for (let l = 0; l < rows; l++) frame(l, h, colors.line, 1);
    }
    for (let l = 0; l < rows; l++) name(String(set.layers[l]), left / 2 - 2, top + l * step + size / 2, l === layer);
    frame(layer, head, colors.ink, 2);
    grid.setAttribute("aria-label", `${rows} layers of ${set.heads.length} heads; layer ${set.layers[layer]}, ${named(head)} is chosen`);
  };
  grid.addEventListener("click", event => {
    const column = Math.floor((event.offsetX - place.left) / place.step), row = Math.floor((event.offsetY - place.top) / place.step);
    if (row >= 0 && row < set.layers.length && column >= 0 && column < set.heads.length + several(set)) select(row, column - several(set));
  });
  grid.addEventListener("keydown", event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    select(clamp(layer + step[0], 0, set.layers.length - 1), clamp(head + step[1], several(set) ? MEAN : 0, set.heads.length - 1));
  });

  // --- one map: tokens joined by lines -------------------------------------------------------------------------

  const tell = () => {
    if (!focus) {
      const next = mode === "lines" ? "Point at a token to see what it looks at, or who looks at it; click to hold it." : "Point at a cell to read its weight.";
      status.textContent = next;
      return;
    }
    const map = roots(layer, head), [side, at] = focus;
    const others = side === "from" ? set.keys : set.queries, own = side === "from" ? set.queries : set.keys;
    const found = others.map((text, i) => [side === "from" ? weight(map, at, i) : weight(map, i, at), text]).sort((a, b) => b[0] - a[0]);
    const list = found.slice(0, 6).map(([share, text]) => `${quoted(text)} ${percent(share)}`).join(", ");
    status.textContent = side === "from" ? `${quoted(own[at])} looks at ${list}` : `${quoted(own[at])} is looked at by ${list}`;
  };

  const lines = (() => {
    const canvas = el("canvas", { "aria-hidden": "true" });
    const between = el("div", { class: "hw-between" }, canvas);
    const lists = { from: el("ol", { role: "listbox", "aria-label": "tokens that look" }),
      to: el("ol", { role: "listbox", "aria-label": "tokens looked at" }) };
    const node = el("div", { class: "hw-lines" },
      el("div", { class: "hw-side hw-from" }, el("div", { class: "hw-head" }, "looks"), lists.from), between,
      el("div", { class: "hw-side hw-to" }, el("div", { class: "hw-head" }, "is looked at"), lists.to));
    const item = (side, text, at) => el("li", {
      role: "option", tabindex: at === 0 ? 0 : -1, title: text,
      pointerenter: () => pinned || look([side, at]),
      pointerleave: () => pinned || look(null),
      focus: () => look([side, at]),
      blur: () => look(pinned),
      click: () => { pinned = String(pinned) === String([side, at]) ? null : [side, at]; look([side, at]); },
    }, el("b", {}, text), el("i"));
    const look = next => { focus = next; paint(); tell(); };
    node.addEventListener("keydown", event => {
      const li = event.target.closest("li");
      if (!li) return;
      const list = li.parentNode, at = [...list.children].indexOf(li);
      const other = list === lists.from ? lists.to : lists.from;
      const next = { ArrowUp: li.previousSibling, ArrowDown: li.nextSibling, Home: list.firstChild, End: list.lastChild,
        ArrowRight: lists.to.children[Math.min(at, lists.to.children.length - 1)], ArrowLeft: lists.from.children[Math.min(at, lists.from.children.length - 1)] }[event.key];
      if (event.key === "Escape") { pinned = null; look(null); }
      else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); li.click(); }
      else if (next) { event.preventDefault(); li.tabIndex = -1; next.tabIndex = 0; next.focus(); }
    });
    const fill = () => {
      lists.from.replaceChildren(...set.queries.map((text, at) => item("from", text, at)));
      lists.to.replaceChildren(...set.keys.map((text, at) => item("to", text, at)));
    };
    const paint = () => {
      const colors = theme(root), map = roots(layer, head), width = between.clientWidth;
      const context = sheet(canvas, width, ROW * Math.max(set.queries.length, set.keys.length));
      const one = focus && focus[1], onFrom = focus && focus[0] === "from", onTo = focus && focus[0] === "to";
      for (let query = 0; query < set.queries.length; query++) {
        if (onFrom && query !== one) continue;
        for (let key = 0; key < set.keys.length; key++) {
          if (onTo && key !== one) continue;
          const strength = tone[map[query * set.keys.length + key]];
          if (strength < (focus ? 0.05 : 0.16)) continue;
          const y = (query + 0.5) * ROW, to = (key + 0.5) * ROW;
          context.strokeStyle = `rgba(${colors.accent}, ${focus ? strength : strength ** 1.5})`;
          context.lineWidth = 0.75 + 3.25 * strength ** 2;
          context.beginPath();
          context.moveTo(0, y);
          context.bezierCurveTo(width * 0.45, y, width * 0.55, to, width, to);
          context.stroke();
        }
      }
      const mark = (list, side, share) => [...list.children].forEach((li, at) => {
        const value = share ? share(at) : null;
        li.style.background = value === null ? "" : `rgba(${colors.accent}, ${0.55 * Math.sqrt(value)})`;
        li.lastChild.textContent = value === null || value < 0.0005 ? "" : percent(value);
        li.setAttribute("aria-selected", String(Boolean(focus) && focus[0] === side && one === at));
      });
      mark(lists.from, "from", onTo ? at => weight(map, at, one) : null);
      mark(lists.to, "to", onFrom ? at => weight(map, one, at) : null);
    };
    return { node, fill, paint };
  })();

  const large = largeMap(root, (query, key) => {
    if (query === undefined) tell();
    else status.textContent = `${quoted(set.queries[query])} gives ${percent(weight(roots(layer, head), query, key))} to ${quoted(set.keys[key])}`;
  });

  const drawDetail = () => {
    focus = pinned;
    if (mode === "lines") {
      detail.replaceChildren(el("div", { class: "hw-scroll" }, lines.node));
      lines.fill();
      lines.paint();
    } else {
      detail.replaceChildren(el("div", { class: "hw-scroll" }, large.canvas));
      large.show({ shades: toned(roots(layer, head)), rows: set.queries, columns: set.keys }, `Map of layer ${set.layers[layer]}, ${named(head)}: arrow keys read the cells`);
    }
    tell();
  };

  const select = (l, h) => {
    [layer, head] = [l, h];
    layers.select.value = l;
    heads.select.value = h;
    drawGrid();
    drawDetail();
  };
  const open = next => {
    set = next;
    tone = tones();
    pinned = null;
    const { queries, keys } = set, sizes = queries.length === keys.length ? `${keys.length} tokens` : `${queries.length} × ${keys.length} tokens`;
    const count = (number, name) => `${number} ${name}${number === 1 ? "" : "s"}`;
    facts.textContent = `${set.name === "self" ? "Attention" : `Attention: ${set.name}`} · ${count(set.layers.length, "layer")} × ${count(set.heads.length, "head")} · ${sizes}`;
    layers.fill(set.layers.map((number, at) => [at, number]));
    heads.fill([...(several(set) ? [[MEAN, "mean"]] : []), ...set.heads.map((number, at) => [at, number])]);
    select(Math.min(layer, set.layers.length - 1), Math.min(head, set.heads.length - 1));
  };

  root.append(
    el("div", { class: "hw-title", role: "heading", "aria-level": 2 }, data.title), facts,
    el("div", { class: "hw-bar" },
      ...(sets.length > 1 ? [tabs("Which attention", sets.map(one => [one, one.name[0].toUpperCase() + one.name.slice(1)]), set, open)] : []),
      tabs("How to show it", [["lines", "Lines"], ["map", "Map"]], mode, next => { mode = next; drawDetail(); }),
      layers.node, heads.node, scale(root, "0", "100%")),
    el("div", { class: "hw-body" }, overview, detail), status);
  open(set);
  return () => { drawGrid(); mode === "lines" ? lines.paint() : large.draw(); };
};

start("attention", attention);
