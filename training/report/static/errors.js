// The wrongly labelled sentences: found, read in their article, and decided. In a function of its own, beside the figures' script.
(() => {
  if (!byId("errors-settings")) return; // no errors
  const PAGE = 20; // cards drawn at a time: what keeps thousands of them quick
  const { labels: names, choices, thresholds } = JSON.parse(byId("errors-settings").textContent);
  const KINDS = { missed: "missed", given: "wrongly given", all: "all errors" };
  const NAME = "netral/annotator";
  const filter = { label: null, kind: "all", words: [], open: false };
  const painters = new Map(); // card → what draws its decision again, of the cards drawn
  const nodes = new Map();
  let cards = [];
  let shown = [];
  let selected = null;
  let answers = null;

  // What is wrong with a card

  const has = (labels, n) => labels.includes(n);
  const same = (a, b) => a.length === b.length && a.every((n) => has(b, n));
  const wrong = {
    missed: (card, n) => has(card.gold, n) && !has(card.given, n),
    given: (card, n) => has(card.given, n) && !has(card.gold, n),
    all: (card, n) => has(card.gold, n) !== has(card.given, n),
  };
  const isWrong = (card, label, kind) => (label === null ? names.some((_, n) => wrong[kind](card, n)) : wrong[kind](card, label));

  function changedLabels(card) {
    if (!card.answer) return 0;
    const changed = names.filter((_, n) => has(card.answer, n) !== has(card.gold, n)).length;
    return choices.length ? changed / 2 : changed; // one value of a choice for another is one change
  }

  // Two digits, or three where two would hide on which side of the threshold a score is.
  function inDigits(score, needed) {
    const digits = needed !== null && score.toFixed(2) === needed.toFixed(2) ? 3 : 2;
    return [score.toFixed(digits), needed?.toFixed(digits)];
  }

  function verdict(card, n) {
    const [score, needed] = inDigits(card.scores[n], thresholds[n]);
    const what = wrong.missed(card, n) ? "missed" : wrong.given(card, n) ? "wrongly given" : "right";
    const detail = what === "missed" ? `(score ${score}${needed ? `, needs ${needed}` : ""})` : `(${score})`;
    return el("li", { class: `verdict c${n % 8} ${what === "right" ? "right" : "wrong"}` }, el("b", {}, `${what}:`), ` ${names[n]} `, el("span", {}, detail));
  }

  // A name may be broken behind its underscores.
  const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, el("wbr")]);

  // Cards

  function cardNode(card) {
    const told = names.map((_, n) => n).filter((n) => has(card.gold, n) || has(card.given, n));
    told.sort((a, b) => wrong.all(card, b) - wrong.all(card, a) || a - b);
    const around = (texts) => (texts ?? []).flatMap((text) => [el("span", { class: "around" }, text), " "]);
    const facts = [card.outlet && el("span", {}, card.outlet), card.date && el("time", { datetime: card.date }, card.date), el("span", {}, card.article.id)];
    const node = el(
      "article",
      { class: "error", tabindex: -1, click: () => card !== selected && getSelection().isCollapsed && select(card) },
      el("ul", { class: "verdicts", "aria-label": "What is wrong" }, ...told.map((n) => verdict(card, n))),
      card.headline && el("p", { class: "headline" }, card.headline),
      el("p", { class: "text" }, ...around(card.before), el("mark", {}, card.text), " ", ...around(card.after)),
      card.second !== undefined && el("p", { class: "text" }, el("span", { class: "around" }, "Second sentence: "), el("mark", {}, card.second)),
      decision(card),
      el(
        "div",
        { class: "facts" },
        ...facts,
        el("code", {}, card.id),
        el("button", { type: "button", click: () => copy(card.id), "aria-label": `Copy the id ${card.id}` }, "Copy id"),
        allScores(card),
      ),
    );
    nodes.set(card, node);
    painters.get(card)();
    node.classList.toggle("selected", card === selected);
    return node;
  }

  function allScores(card) {
    const yes = (labels, n) => (has(labels, n) ? "yes" : "no");
    const row = (name, n) => {
      const [score, needed] = inDigits(card.scores[n], thresholds[n]);
      return el("tr", {}, el("th", { scope: "row" }, name), ...[yes(card.gold, n), yes(card.given, n), score, needed ?? "likeliest"].map((text) => el("td", {}, text)));
    };
    const head = ["label", "gold", "model", "score", "needs"].map((text) => el("th", { scope: "col" }, text));
    return el("details", {}, el("summary", {}, "All labels"), el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...names.map(row))));
  }

  // The buttons stay and are painted again, so that the keyboard does not lose its place.
  function decision(card) {
    const toggles = names.map((name, n) =>
      el("button", { type: "button", class: `choice c${n % 8}`, click: () => toggle(card, n) }, n < 9 && el("kbd", {}, String(n + 1)), name),
    );
    const button = (text, key, labels) => el("button", { type: "button", click: () => decide(card, labels) }, text, el("kbd", {}, key));
    const buttons = [button("Gold is right", "g", card.gold), button("Take the model’s labels", "m", card.given), button("Undo", "u", undefined)];
    const state = el("span", { class: "state" });
    const whose = el("span", { class: "whose" });
    painters.set(card, () => {
      const now = card.answer ?? card.gold;
      toggles.forEach((each, n) => each.setAttribute("aria-pressed", String(has(now, n))));
      const [isGold, isModel] = [card.gold, card.given].map((labels) => card.answer !== undefined && same(card.answer, labels));
      buttons[0].setAttribute("aria-pressed", String(isGold));
      buttons[1].setAttribute("aria-pressed", String(isModel));
      buttons[2].hidden = !card.answer;
      const decided = isGold ? "gold is right" : isModel ? "the model is right" : "your labels";
      whose.textContent = card.answer ? "Your labels:" : "Gold labels:";
      state.textContent = card.answer ? `✓ Decided: ${decided}` : "Not decided";
      nodes.get(card)?.classList.toggle("decided", card.answer !== undefined);
    });
    const groups = choices.length ? choices : [names.map((_, n) => n)];
    const rows = groups.map((group) => el("div", { class: "row", role: "group", "aria-label": "Labels" }, ...group.map((n) => toggles[n])));
    if (rows.length === 1) rows[0].prepend(whose);
    return el("div", { class: "decision" }, rows.length > 1 && whose, ...rows, el("div", { class: "row" }, ...buttons, state));
  }

  // Filtering and drawing

  const matches = (card) => filter.words.every((word) => card.words.includes(word)) && !(filter.open && card.answer);

  function refilter() {
    const candidates = cards.filter(matches);
    shown = candidates.filter((card) => isWrong(card, filter.label, filter.kind));
    drawPick(candidates);
    nodes.clear();
    painters.clear();
    byId("errors-cards").replaceChildren();
    drawMore();
    if (!nodes.has(selected)) selected = null; // keys decide no card that is not seen
    const of = shown.length === cards.length ? "" : ` of ${cards.length.toLocaleString("en")}`;
    byId("errors-shown").textContent = `${shown.length.toLocaleString("en")}${of} sentences`;
    if (!shown.length) byId("errors-cards").append(el("p", { class: "errors-note" }, "No such error. “all labels” with an empty search shows all."));
  }

  function drawMore() {
    const from = byId("errors-cards").childElementCount;
    byId("errors-cards").append(...shown.slice(from, from + PAGE).map(cardNode));
    const left = shown.length - from - PAGE;
    byId("errors-more").hidden = left <= 0;
    byId("errors-more").textContent = `Show ${Math.min(left, PAGE)} more (${left.toLocaleString("en")} left)`;
  }

  function drawPick(candidates) {
    const place = [...byId("errors-pick").querySelectorAll("button")].indexOf(document.activeElement);
    const labels = [null, ...names.keys()];
    const counts = labels.map((label) => Object.keys(KINDS).map((kind) => candidates.filter((card) => isWrong(card, label, kind)).length));
    const most = Math.max(1, ...counts.slice(1).flat());
    const cell = (label, kind, count, name) => {
      const props = { type: "button", click: () => pick(label, kind), "aria-pressed": String(filter.label === label && filter.kind === kind), "aria-label": `${name}, ${KINDS[kind]}: ${count}` };
      return el("td", {}, el("button", { ...props, "--share": label === null ? 0 : count / most }, count.toLocaleString("en")));
    };
    const rows = labels.map((label, i) => {
      const name = label === null ? "all labels" : names[label];
      const head = el("button", { type: "button", click: () => pick(label, "all"), "aria-pressed": String(filter.label === label) }, ...breakable(name));
      return el("tr", { class: label === null ? "every" : `c${label % 8}` }, el("th", { scope: "row" }, head), ...Object.keys(KINDS).map((kind, k) => cell(label, kind, counts[i][k], name)));
    });
    byId("errors-pick").tBodies[0].replaceChildren(...rows);
    if (place >= 0) byId("errors-pick").querySelectorAll("button")[place].focus();
  }

  function drawDone() {
    const changed = sum(cards.map(changedLabels));
    const number = (n) => n.toLocaleString("en");
    byId("errors-done").textContent = `${number(answers.decided)} of ${number(answers.total)} looked at, ${number(changed)} ${changed === 1 ? "label" : "labels"} changed`;
    byId("errors-progress").max = answers.total;
    byId("errors-progress").value = answers.decided;
    byId("errors-download").disabled = !answers.decided;
    byId("errors-warning").hidden = answers.stored;
    if (!answers.stored) byId("errors-warning").textContent = "This browser does not keep your answers: download them before you close or reload the page.";
  }

  // Deciding

  function decide(card, labels) {
    answers.set(card, labels);
    painters.get(card)?.();
    drawDone();
    if (card !== selected) select(card);
  }

  function toggle(card, n) {
    const now = card.answer ?? card.gold;
    const choice = choices.find((each) => has(each, n));
    if (choice) decide(card, [...now.filter((each) => !has(choice, each)), n]);
    else decide(card, has(now, n) ? now.filter((each) => each !== n) : [...now, n]);
  }

  function save() {
    download(stamped("corrections"), answers.lines(names, byId("errors-annotator").value.trim() || "reviewer"));
    toast(`Downloaded: ${answers.decided.toLocaleString("en")} decided ${answers.decided === 1 ? "sentence" : "sentences"}. “What then?” says what to do with the file.`);
  }

  function keepName() {
    try {
      localStorage.setItem(NAME, byId("errors-annotator").value);
    } catch {
      answers.stored = false;
      drawDone();
    }
  }

  // Moving

  function select(card, reveal = false) {
    nodes.get(selected)?.classList.remove("selected");
    selected = card;
    if (!card) return;
    while (!nodes.has(card)) drawMore();
    const node = nodes.get(card);
    node.classList.add("selected");
    if (!node.contains(document.activeElement)) node.focus({ preventScroll: true });
    if (reveal) node.scrollIntoView({ block: "start" });
  }

  function step(by) {
    const next = selected ? shown.indexOf(selected) + by : 0;
    if (shown[next]) select(shown[next], true);
  }

  // Keeps the address in step, so that a reload or a sent link shows the same errors.
  function pick(label, kind) {
    Object.assign(filter, { label, kind });
    const wanted = label === null && kind === "all" ? "" : `=${label === null ? "" : encodeURIComponent(names[label])}${kind === "all" ? "" : `/${kind}`}`;
    history.replaceState(null, "", `#errors${wanted}`);
    refilter();
  }

  // #errors=LABEL and #errors=LABEL/missed, as the figures link; a label may hold a slash itself.
  function followHash() {
    const wanted = /^#errors(?:=(.*))?$/s.exec(location.hash);
    if (!wanted) return;
    let text = wanted[1] ?? "";
    try {
      text = decodeURIComponent(text);
    } catch {
      // not ours
    }
    const [, label, kind] = names.includes(text) ? [null, text, "all"] : (/^(.*)\/(missed|given|all)$/s.exec(text) ?? [null, text, "all"]);
    Object.assign(filter, { label: names.includes(label) ? names.indexOf(label) : null, kind, words: [], open: false });
    byId("errors-filter").reset();
    refilter();
    byId("errors").scrollIntoView();
  }

  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    "/": () => byId("errors-query").focus(),
    g: () => selected && decide(selected, selected.gold),
    m: () => selected && decide(selected, selected.given),
    u: () => selected && decide(selected, undefined),
    c: () => selected && copy(selected.id),
    Escape: () => select(null),
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const n = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    const action = n < 0 ? KEYS[event.key] : selected && names[n] !== undefined && (() => toggle(selected, n));
    if (!action) return;
    event.preventDefault();
    action();
  }

  // The start

  function prepareCards(found) {
    for (const card of found) {
      const texts = [card.text, card.second, card.headline, card.id, card.article, card.outlet, ...(card.before ?? []), ...(card.after ?? [])];
      card.words = texts.filter(Boolean).join("\n").toLowerCase();
      card.article = { id: card.article, key: card.key, sentences: [card] };
    }
    return found;
  }

  async function start() {
    cards = prepareCards(await unpack("packed"));
    answers = new Answers("netral/corrections/", cards.map((card) => card.article));
    try {
      byId("errors-annotator").value = localStorage.getItem(NAME) ?? "reviewer";
    } catch {
      answers.stored = false;
    }
    answers.onOtherTab(() => {
      painters.forEach((paint) => paint());
      drawDone();
    });
    const readFilter = () => {
      filter.words = byId("errors-query").value.toLowerCase().split(/\s+/).filter(Boolean);
      filter.open = byId("errors-open").checked;
      refilter();
    };
    byId("errors-filter").addEventListener("input", readFilter);
    byId("errors-filter").addEventListener("submit", (event) => event.preventDefault());
    byId("errors-more").addEventListener("click", drawMore);
    byId("errors-download").addEventListener("click", save);
    byId("errors-then").addEventListener("click", () => (byId("errors-steps").open = true));
    byId("errors-steps").open = !matchMedia("(max-width: 62rem)").matches;
    byId("errors-annotator").addEventListener("input", keepName);
    document.addEventListener("keydown", onKey);
    addEventListener("hashchange", followHash);
    // A link to where the address already points changes nothing, and yet was clicked.
    document.addEventListener("click", (event) => event.target.closest?.("a[href^='#errors']")?.hash === location.hash && followHash());
    addEventListener("beforeunload", (event) => !answers.stored && answers.decided && event.preventDefault());
    refilter();
    drawDone();
    followHash();
  }

  start().catch((problem) => {
    byId("errors-warning").hidden = false;
    byId("errors-warning").textContent = `The errors could not be opened: ${problem.message}. A browser of 2023 or later is needed.`;
  });
})();
