// An article as a reader sees it.

// `look` says which labels a sentence shows, and what a click on a sentence or a citation does.
function articleCard(article, look, nodes) {
  const first = article.pieces.find((piece) => piece.headline);
  const facts = [
    article.outlet && el("span", {}, article.outlet),
    article.date && el("time", { datetime: article.date }, article.date),
    article.url && link(article.url, "original"),
    el("span", {}, article.id),
    article.source && article.source !== article.id && el("span", { title: "where it was read" }, article.source),
    article.gone && el("span", { title: "reason as in netral verify" }, `sentences alone (${article.gone})`),
  ];
  const heading = first ? sentenceNode(first, look, nodes) : el("span", {}, article.title || article.id);
  const card = el("article", {}, el("h2", {}, heading), el("div", { class: "facts" }, ...facts));
  let paragraph = null;
  for (const piece of article.pieces) {
    if (piece.headline) continue;
    if (piece.kind === "dropped") {
      card.append(el("div", { class: "dropped" }, el("code", { title: "rule that dropped it" }, piece.rule), " ", piece.text));
      paragraph = piece.p ? null : paragraph;
      continue;
    }
    if (piece.p || !paragraph || paragraph !== card.lastElementChild) card.append((paragraph = el("p")));
    else paragraph.append(" ");
    paragraph.append(piece.kind === "plain" ? el("span", { class: "plain" }, piece.text) : sentenceNode(piece, look, nodes));
  }
  return card;
}

function sentenceNode(sentence, look, nodes) {
  const node = el("span", { tabindex: -1, click: () => getSelection().isCollapsed && look.select(sentence) });
  nodes.set(sentence, node);
  paintSentence(node, sentence, look);
  return node;
}

// Draws a sentence again: after a change of the labels it shows.
function paintSentence(node, sentence, look) {
  const labels = look.labels(sentence);
  const strongest = labels.reduce((best, n) => (sentence.scores[n] > sentence.scores[best] ? n : best), labels[0]);
  node.className = ["s", labels.length && `labelled c${strongest % 8}`, sentence.answer && "decided", look.isSelected(sentence) && "selected"]
    .filter(Boolean)
    .join(" ");
  if (labels.length) node.style.setProperty("--score", sentence.answer ? 1 : sentence.scores[strongest]);
  const text = (sentence.cites ?? [sentence.text]).map((part) => (part.to ? citationNode(part, look) : part));
  const chips = labels.map((n) => {
    const score = sentence.answer ? "" : ` ${sentence.scores[n].toFixed(2)}`;
    return el("button", { type: "button", class: `chip c${n % 8}`, "aria-label": `${look.names[n]}${score}: details` }, look.names[n] + score);
  });
  node.replaceChildren(...text, ...chips);
}

// The address of a citation is the page itself with the id behind #: opened in a new tab it shows every article that cites it.
function citationNode(part, look) {
  const onClick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    copy(part.to.map((cited) => cited.id).join(" "));
  };
  const show = (event) => look.tooltip(event.currentTarget, part.to);
  const hide = () => look.tooltip(null);
  const address = `#${encodeURI(part.to[0].id)}`;
  return el("a", { class: "cite", href: address, click: onClick, mouseenter: show, focus: show, mouseleave: hide, blur: hide }, part.text);
}

function citationFacts(cited) {
  const { id, known, ...facts } = cited;
  const rows = Object.entries({ id, ...facts, "in gazetteer": known === undefined ? undefined : known ? "yes" : "no" });
  return el("dl", {}, ...rows.filter(([, value]) => value !== undefined).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
}

// Marks what was searched for without touching the elements; browsers without highlights show the articles unmarked.
function markHits(root, words) {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("hit");
  if (!words.length) return;
  const pattern = new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gi");
  const ranges = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    for (const match of walker.currentNode.data.matchAll(pattern)) {
      const range = new Range();
      range.setStart(walker.currentNode, match.index);
      range.setEnd(walker.currentNode, match.index + match[0].length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("hit", new Highlight(...ranges));
}
