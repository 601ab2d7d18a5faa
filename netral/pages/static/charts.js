// Two small charts in plain SVG. A row is {key, name, title, counts}: counts one number a series (classes c0, c1, …).
const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
const WIDTH = 300;

function pickable(row, picked, onPick, ...shapes) {
  const pick = () => onPick(row);
  const onKey = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pick();
  };
  const props = { role: "button", tabindex: 0, "aria-label": row.title, "aria-pressed": String(picked), click: pick, keydown: onKey };
  return svg("g", props, svg("title", {}, row.title), ...shapes);
}

// Bars that stand side by side, for a timeline.
function columns(rows, picked, onPick) {
  const height = 90;
  const foot = 14;
  const head = 12;
  const top = Math.max(1, ...rows.map((row) => sum(row.counts)));
  const step = WIDTH / rows.length;
  const width = Math.max(Math.min(step - 1, 24), step * 0.6);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "group" });
  rows.forEach((row, i) => {
    let y = height - foot;
    const bars = row.counts.map((n, series) => {
      const size = (n / top) * (height - foot - head);
      y -= size;
      return svg("rect", { class: `bar c${series % 8}`, x: i * step + (step - width) / 2, y, width, height: size });
    });
    const hit = { x: i * step, y: 0, width: step, height: height - foot };
    const isPicked = picked(row);
    chart.append(
      pickable(row, isPicked, onPick, isPicked && svg("rect", { class: "picked", ...hit }), ...bars, svg("rect", { class: "hover", ...hit })),
    );
  });
  chart.append(
    svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: height - foot, y2: height - foot }),
    svg("text", { x: 0, y: 9 }, String(top)),
    svg("text", { x: 0, y: height - 2 }, rows[0].name),
  );
  if (rows.length > 1) chart.append(svg("text", { x: WIDTH, y: height - 2, "text-anchor": "end" }, rows.at(-1).name));
  return chart;
}

// Bars that lie under each other, with their names.
function bars(rows, picked, onPick) {
  const line = 17;
  const left = 112;
  const right = 34;
  const top = Math.max(1, ...rows.map((row) => sum(row.counts)));
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${rows.length * line}`, role: "group" });
  rows.forEach((row, i) => {
    let x = left;
    const parts = row.counts.map((n, series) => {
      const width = (n / top) * (WIDTH - left - right);
      x += width;
      return svg("rect", { class: `bar c${series % 8}`, x: x - width, y: i * line + 3, width, height: line - 6 });
    });
    const hit = { x: 0, y: i * line, width: WIDTH, height: line };
    const isPicked = picked(row);
    chart.append(
      pickable(
        row,
        isPicked,
        onPick,
        isPicked && svg("rect", { class: "picked", ...hit }),
        svg("text", { x: left - 6, y: i * line + 12, "text-anchor": "end" }, shortened(row.name, 16)),
        ...parts,
        svg("text", { x: x + 4, y: i * line + 12 }, String(sum(row.counts))),
        svg("rect", { class: "hover", ...hit }),
      ),
    );
  });
  return chart;
}

function shortened(text, length) {
  const characters = [...text];
  return characters.length > length ? characters.slice(0, length - 1).join("") + "…" : text;
}
