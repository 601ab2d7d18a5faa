// The page: state, filters, pages of articles, the selected sentence, keys.
const PAGE = 20; // articles drawn at a time: what keeps thousands of them quick
const MOST_OUTLETS = 12;
const settings = JSON.parse(byId("settings").textContent);
const names = settings.labels;
const filter = { query: "", labels: new Set(), score: 0, outlet: "", from: "", to: "", labelled: false, undecided: false };
const nodes = new Map(); // sentence → its element, of the articles drawn
let all = [];
let found = { articles: [] };
let page = 0;
let selected = null;
let answers = null;

const look = {
  names,
  labels: (sentence) => sentence.answer ?? givenLabels(sentence, filter.score),
  isSelected: (sentence) => sentence === selected,
  select: (sentence) => select(sentence),
  tooltip: showTooltip,
};

// Filtering and drawing

function refilter() {
  found = applyFilter(all, filter, names);
  page = 0;
  drawCounts();
  drawCharts();
  drawArticles();
  if (selected && !nodes.has(selected)) select(null); // keys decide nothing that is not there to see
}

function drawCounts() {
  const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
  const articles = found.articles.length === all.length ? count(all.length, "article") : `${found.articles.length.toLocaleString("en")} of ${count(all.length, "article")}`;
  byId("summary").textContent = `${articles} · ${count(found.sentences, "sentence")} · ${found.labelled.toLocaleString("en")} with labels`;
  found.labels.forEach((n, i) => (byId(`count-${i}`).textContent = n.toLocaleString("en")));
  if (!answers) return;
  byId("progress").max = Math.max(answers.total, 1);
  byId("progress").value = answers.decided;
  byId("undecided").textContent = `${(answers.total - answers.decided).toLocaleString("en")} of ${count(answers.total, "sentence")} undecided`;
  if (answers.stored) return;
  byId("warning").hidden = false;
  byId("warning").textContent = "This browser does not keep your answers: download them before you close or reload the page.";
}

function drawCharts() {
  const time = timeRows(found.days, names);
  const pickTime = (row) => {
    const same = filter.from === row.from && filter.to === row.to;
    setField("from", same ? "" : row.from);
    setField("to", same ? "" : row.to);
  };
  const outlets = outletRows(found.outlets, names, MOST_OUTLETS, filter.outlet);
  drawChart("timeline", `Labels by ${time.unit}`, time.rows, columns, (row) => filter.from === row.from && filter.to === row.to, pickTime);
  const more = found.outlets.size > outlets.length ? `, ${outlets.length} of ${found.outlets.size}` : "";
  drawChart("outlets", `Labels by outlet${more}`, outlets, bars, (row) => filter.outlet === row.key, (row) =>
    setField("outlet", filter.outlet === row.key ? "" : row.key),
  );
}

function drawChart(id, caption, rows, chart, picked, onPick) {
  const figure = byId(id);
  const focused = [...figure.querySelectorAll("[role=button]")].indexOf(document.activeElement);
  figure.hidden = !rows.length;
  if (!rows.length) return;
  figure.replaceChildren(el("figcaption", {}, caption), chart(rows, picked, onPick));
  if (focused >= 0) figure.querySelectorAll("[role=button]")[focused]?.focus();
}

function setField(id, value) {
  byId(id).value = value;
  byId(id).dispatchEvent(new Event("input", { bubbles: true }));
}

function drawArticles() {
  nodes.clear();
  const first = page * PAGE;
  const shown = found.articles.slice(first, first + PAGE);
  const cards = shown.map((article) => articleCard(article, look, nodes));
  byId("articles").replaceChildren(...(cards.length ? cards : [el("p", { class: "empty" }, "No article matches. “Clear filters” shows all.")]));
  markHits(byId("articles"), searchWords(filter.query));
  const pages = Math.ceil(found.articles.length / PAGE);
  const turn = (text, by) => el("button", { type: "button", disabled: !found.articles[(page + by) * PAGE], click: () => turnPage(by) }, text);
  byId("pages").hidden = pages < 2;
  byId("pages").replaceChildren(turn("← Previous", -1), el("span", {}, `Page ${page + 1} of ${pages}`), turn("Next →", 1));
}

function turnPage(by) {
  if (!found.articles[(page + by) * PAGE]) return;
  page += by;
  drawArticles();
  window.scrollTo(0, 0);
}

function repaint(sentence) {
  const node = nodes.get(sentence);
  if (node) paintSentence(node, sentence, look);
}

// The selected sentence

function select(sentence, reveal = false) {
  const before = selected;
  selected = sentence;
  if (sentence && reveal && !nodes.has(sentence)) {
    page = Math.floor(found.articles.indexOf(sentence.article) / PAGE);
    drawArticles();
  }
  if (before) repaint(before);
  if (sentence) repaint(sentence);
  drawDock();
  if (!sentence) return;
  nodes.get(sentence).focus({ preventScroll: true });
  if (reveal) nodes.get(sentence).scrollIntoView({ block: "center" });
}

function drawDock() {
  byId("dock").hidden = !selected;
  if (!selected) return;
  const sentence = selected;
  const id = [
    el("code", {}, sentence.id),
    el("button", { type: "button", id: "copy-id", click: () => copy(sentence.id) }, "Copy id"),
    el("button", { type: "button", class: "close", click: () => select(null), "aria-label": "Close" }, "✕"),
  ];
  const scores = names.map((name, n) =>
    el("span", { class: `meter c${n % 8}` }, name, el("i", { "--score": sentence.scores[n] }), el("b", {}, sentence.scores[n].toFixed(2))),
  );
  const cited = new Set((sentence.cites ?? []).flatMap((part) => part.to ?? []).map((each) => each.id));
  const cites = [...cited].flatMap((each) => [
    el("code", {}, each),
    el("button", { type: "button", click: () => copy(each) }, "Copy"),
    el("button", { type: "button", click: () => setField("query", each) }, "All articles that cite it"),
  ]);
  const text = el("p", {}, shortened(sentence.text, 240));
  byId("dock").replaceChildren(el("div", {}, ...id), text, el("div", {}, ...(answers ? answerButtons(sentence) : scores)), el("div", {}, ...cites));
}

function showTooltip(target, citations) {
  const tooltip = byId("tooltip");
  tooltip.hidden = !target;
  if (!target) return;
  tooltip.replaceChildren(...citations.map(citationFacts));
  const place = target.getBoundingClientRect();
  const above = place.top > tooltip.offsetHeight + 16;
  tooltip.style.top = `${above ? place.top - tooltip.offsetHeight - 8 : place.bottom + 8}px`;
  tooltip.style.left = `${Math.max(8, Math.min(place.left, innerWidth - tooltip.offsetWidth - 8))}px`;
}

// Walks the sentences of the articles found, from the selected one on, round the end.
function step(direction, wanted, fromStart = false) {
  const sentences = found.articles.flatMap((article) => article.sentences);
  const drawn = found.articles[page * PAGE]?.sentences[0];
  const from = fromStart ? -1 : selected && sentences.includes(selected) ? sentences.indexOf(selected) : sentences.indexOf(drawn) - (direction > 0 ? 1 : 0);
  for (let i = 1; i <= sentences.length; i++) {
    const sentence = sentences[(((from + direction * i) % sentences.length) + sentences.length) % sentences.length];
    if (wanted(sentence)) return select(sentence, true);
  }
  toast(answers && wanted === isUndecided ? "Every sentence shown is decided." : "No such sentence among the articles shown.");
}

const isUndecided = (sentence) => !sentence.answer;
const isLabelled = (sentence) => look.labels(sentence).length > 0;

// Annotating

function answerButtons(sentence) {
  const given = look.labels(sentence);
  const choices = names.map((name, n) =>
    el(
      "button",
      { type: "button", class: `choice c${n % 8}`, "aria-pressed": String(given.includes(n)), click: () => toggle(n) },
      el("kbd", {}, String(n + 1)),
      `${name} ${sentence.scores[n].toFixed(2)}`,
    ),
  );
  return [
    ...choices,
    el("button", { type: "button", click: () => decide([]) }, el("kbd", {}, "0"), "None"),
    el("button", { type: "button", id: "accept", click: accept }, el("kbd", {}, "Enter"), sentence.answer ? "Next" : "Accept"),
    sentence.answer && el("button", { type: "button", click: () => decide(undefined) }, el("kbd", {}, "u"), "Undo"),
  ];
}

function decide(labels) {
  if (!answers || !selected) return;
  answers.set(selected, labels);
  repaint(selected);
  drawCounts();
  drawDock();
  nodes.get(selected)?.focus({ preventScroll: true }); // the button pressed is gone; keys go on from the sentence
}

function toggle(n) {
  if (!selected) return;
  const given = look.labels(selected);
  decide(given.includes(n) ? given.filter((each) => each !== n) : [...given, n]);
}

// Takes the labels as they stand and goes on.
function accept() {
  if (!selected) return step(1, isUndecided);
  if (isUndecided(selected)) decide(selected.labels);
  step(1, isUndecided);
}

function saveAnswers() {
  if (!answers.decided) return toast("Nothing is decided yet.");
  download(stamped("corrections"), answers.lines(names, settings.annotator));
  toast(`${answers.decided} answers downloaded`);
  byId("then").open = true;
}

// Keys

const KEYS = [
  ["j", "next labelled sentence", () => step(1, isLabelled)],
  ["k", "previous labelled sentence", () => step(-1, isLabelled)],
  ["]", "next page", () => turnPage(1)],
  ["[", "previous page", () => turnPage(-1)],
  ["/", "search; Enter goes to the first hit", () => byId("query").focus()],
  ["d", "show or hide what cleaning dropped", () => byId("dropped").click()],
  ["c", "copy the id of the selected sentence", () => selected && copy(selected.id)],
  ["Escape", "close the selected sentence", () => select(null)],
  ["?", "these keys", () => byId("help").showModal()],
];
const ANSWER_KEYS = [
  ...names.slice(0, 9).map((name, n) => [String(n + 1), `give or take ${name}`, () => toggle(n)]),
  ["0", "no label", () => decide([])],
  ["Enter", "accept the labels and go to the next undecided sentence", accept],
  ["n", "next undecided sentence", () => step(1, isUndecided)],
  ["p", "previous undecided sentence", () => step(-1, isUndecided)],
  ["u", "take the answer back", () => decide(undefined)],
  ["s", "download the answers", saveAnswers],
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const typing = event.target.matches("input:not([type=checkbox]):not([type=range]), select, textarea");
  if (event.key === "Enter" && event.target.id === "query") {
    event.preventDefault();
    event.target.blur();
    const words = searchWords(filter.query);
    return step(1, (sentence) => words.every((word) => sentence.text.toLowerCase().includes(word.toLowerCase())), true);
  }
  if (typing && event.key !== "Escape") return;
  if (event.key === "Enter" && event.target.matches("button, a, summary, [role=button]")) return;
  const key = (settings.annotator ? [...KEYS, ...ANSWER_KEYS] : KEYS).find(([name]) => name === event.key);
  if (!key) return;
  event.preventDefault();
  if (typing) event.target.blur();
  else key[2]();
}

function buildHelp() {
  const keys = (settings.annotator ? [...ANSWER_KEYS, ...KEYS] : KEYS).flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]);
  byId("help").append(el("h2", {}, "Keys"), el("dl", {}, ...keys), el("form", { method: "dialog" }, el("button", {}, "Close")));
}

// The start

function buildFilters() {
  byId("labels").append(
    ...names.map((name, n) =>
      el("label", { class: `c${n % 8}` }, el("input", { type: "checkbox", value: n }), el("span", { class: "swatch" }), name, el("span", { class: "count", id: `count-${n}` })),
    ),
  );
  const outlets = [...new Set(all.map((article) => article.outlet).filter(Boolean))].sort();
  byId("outlet").append(...outlets.map((outlet) => el("option", { value: outlet }, outlet)));
  byId("outlet-field").hidden = !outlets.length;
  byId("date-field").hidden = !all.some((article) => article.date);
  byId("dropped-field").hidden = !all.some((article) => article.pieces.some((piece) => piece.kind === "dropped"));
  if (matchMedia("(max-width: 52rem)").matches) byId("filters").open = false;
}

function readFilter() {
  filter.query = byId("query").value;
  filter.labels = new Set([...byId("labels").querySelectorAll("input:checked")].map((input) => Number(input.value)));
  filter.score = Number(byId("score").value);
  for (const name of ["outlet", "from", "to"]) filter[name] = byId(name).value;
  filter.labelled = byId("only-labelled").checked;
  filter.undecided = byId("only-undecided")?.checked ?? false;
  byId("score-shown").textContent = filter.score.toFixed(2);
  byId("articles").classList.toggle("show-dropped", byId("dropped").checked);
  refilter();
}

// view.html#ID opens at a sentence, view.html#id/uu/2014/5 shows what cites a regulation.
function followHash() {
  let wanted = location.hash.slice(1);
  try {
    wanted = decodeURIComponent(wanted);
  } catch {
    // not ours
  }
  if (wanted.startsWith("id/")) return setField("query", wanted);
  const sentence = wanted && all.flatMap((article) => article.sentences).find((each) => each.id === wanted);
  if (!sentence) return;
  byId("filter").reset();
  readFilter();
  select(sentence, true);
}

async function start() {
  all = await unpack("packed");
  prepare(all);
  if (settings.annotator) {
    answers = new Answers(`netral/${settings.digest}/${settings.annotator}/`, all);
    byId("download").addEventListener("click", saveAnswers);
    byId("next-undecided").addEventListener("click", () => step(1, isUndecided));
    addEventListener("beforeunload", (event) => !answers.stored && answers.decided && event.preventDefault());
    answers.onOtherTab(() => {
      drawCounts();
      drawArticles();
      drawDock();
    });
  }
  buildFilters();
  buildHelp();
  byId("filter").addEventListener("input", readFilter);
  byId("filter").addEventListener("reset", () => setTimeout(readFilter));
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", followHash);
  readFilter();
  followHash();
}

start().catch((problem) => {
  byId("warning").hidden = false;
  byId("warning").textContent = `The articles could not be opened: ${problem.message}. A browser of 2023 or later is needed.`;
});
