// Which articles are shown, and what is counted of them.

// Prepares what filtering asks of every article: its sentences, and its text in lower case.
function prepare(articles) {
  articles.forEach((article, number) => {
    article.key = String(number);
    article.sentences = article.pieces.filter((piece) => piece.kind === "sentence");
    const ids = [];
    article.sentences.forEach((sentence) => {
      sentence.article = article;
      for (const part of sentence.cites ?? []) if (part.to) ids.push(...part.to.map((cited) => cited.id));
    });
    const texts = article.pieces.filter((piece) => piece.kind !== "dropped").map((piece) => piece.text);
    article.words = [article.title ?? "", article.id, ...texts, ...ids].join("\n").toLowerCase();
  });
}

// Words that must all stand in an article; “quoted” words stand together.
function searchWords(query) {
  const found = query.toLowerCase().match(/"[^"]+"|“[^”]+”|\S+/g) ?? [];
  return found.map((word) => word.replace(/["“”]/g, "").trim()).filter(Boolean);
}

const givenLabels = (sentence, score) => sentence.labels.filter((n) => sentence.scores[n] >= score);

// Counts a filter's result. The charts leave their own filter out, so that what was not picked can still be seen.
function applyFilter(articles, filter, names) {
  const words = searchWords(filter.query);
  const found = { articles: [], sentences: 0, labelled: 0, labels: names.map(() => 0), outlets: new Map(), days: new Map() };
  for (const article of articles) {
    if (!words.every((word) => article.words.includes(word))) continue;
    if (filter.undecided && !article.sentences.some((sentence) => !sentence.answer)) continue;
    const counts = names.map(() => 0);
    let labelled = 0;
    for (const sentence of article.sentences) {
      const given = givenLabels(sentence, filter.score);
      labelled += given.length > 0;
      for (const n of given) counts[n]++;
    }
    const inOutlet = !filter.outlet || article.outlet === filter.outlet;
    const inDates = (!filter.from || article.date >= filter.from) && (!filter.to || article.date <= filter.to);
    if (inOutlet && inDates) counts.forEach((n, i) => (found.labels[i] += n));
    if (filter.labelled && !labelled) continue;
    if (filter.labels.size && ![...filter.labels].some((n) => counts[n])) continue;
    if (inDates && article.outlet) addCounts(found.outlets, article.outlet, counts);
    if (inOutlet && article.date) addCounts(found.days, article.date, counts);
    if (!inOutlet || !inDates) continue;
    found.articles.push(article);
    found.sentences += article.sentences.length;
    found.labelled += labelled;
  }
  return found;
}

function addCounts(map, key, counts) {
  const entry = map.get(key) ?? { articles: 0, counts: counts.map(() => 0) };
  entry.articles++;
  counts.forEach((n, i) => (entry.counts[i] += n));
  map.set(key, entry);
}

const DAY = 86400000;
const iso = (time) => new Date(time).toISOString().slice(0, 10);

// Days become days, weeks, months or years, so that the whole span fits; spans without an article stand empty.
function timeRows(days, names) {
  const sorted = [...days.keys()].sort();
  if (!sorted.length) return { unit: "", rows: [] };
  const span = (Date.parse(sorted.at(-1)) - Date.parse(sorted[0])) / DAY;
  const unit = span <= 45 ? "day" : span <= 300 ? "week" : span <= 1830 ? "month" : "year";
  const rows = [];
  for (let from = beginOf(sorted[0], unit); from <= sorted.at(-1); from = nextOf(from, unit)) {
    const to = iso(Date.parse(nextOf(from, unit)) - DAY);
    rows.push({ key: from, from, to, name: unit === "year" ? from.slice(0, 4) : unit === "month" ? from.slice(0, 7) : from, articles: 0, counts: names.map(() => 0) });
  }
  let i = 0;
  for (const day of sorted) {
    while (rows[i].to < day) i++;
    rows[i].articles += days.get(day).articles;
    days.get(day).counts.forEach((n, series) => (rows[i].counts[series] += n));
  }
  for (const row of rows) row.title = described(row.from === row.to ? row.from : `${row.from} to ${row.to}`, row, names);
  return { unit, rows };
}

function beginOf(day, unit) {
  if (unit === "year") return `${day.slice(0, 4)}-01-01`;
  if (unit === "month") return `${day.slice(0, 7)}-01`;
  if (unit === "day") return day;
  const time = Date.parse(day);
  return iso(time - ((new Date(time).getUTCDay() + 6) % 7) * DAY);
}

function nextOf(from, unit) {
  if (unit === "day") return iso(Date.parse(from) + DAY);
  if (unit === "week") return iso(Date.parse(from) + 7 * DAY);
  const [year, month] = from.split("-").map(Number);
  return iso(Date.UTC(unit === "year" ? year + 1 : year, unit === "year" ? 0 : month, 1));
}

function outletRows(outlets, names, most, picked) {
  const rows = [...outlets].map(([name, entry]) => ({ key: name, name, ...entry, title: described(name, entry, names) }));
  rows.sort((a, b) => sum(b.counts) - sum(a.counts) || b.articles - a.articles || (a.name < b.name ? -1 : 1));
  return rows.filter((row, i) => i < most || row.key === picked);
}

function described(what, entry, names) {
  const labels = names.map((name, i) => (entry.counts[i] ? `${entry.counts[i]} ${name}` : "")).filter(Boolean);
  return `${what}: ${entry.articles} ${entry.articles === 1 ? "article" : "articles"}, ${labels.join(", ") || "no label"}`;
}
