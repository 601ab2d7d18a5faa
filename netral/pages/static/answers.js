// Answers to sentences, kept in the browser at once: one item of local storage an article, under its `key`, so that an answer writes
// little. Prefix and key together hold a digest of the sentences: answers survive a new page of the same sentences and never meet others.
class Answers {
  constructor(prefix, articles) {
    this.prefix = prefix;
    this.articles = articles;
    this.byKey = new Map(articles.map((article) => [article.key, article]));
    this.stored = true;
    this.decided = 0;
    this.total = sum(articles.map((article) => article.sentences.length));
    for (const key of this.byKey.keys()) this.load(key);
  }

  // Reads an article's answers, again when another tab wrote them. What is not an answer is left out.
  load(key) {
    const article = this.byKey.get(key);
    if (!article) return;
    let found = {};
    try {
      found = JSON.parse(localStorage.getItem(this.prefix + key) ?? "{}") ?? {};
    } catch (problem) {
      if (!(problem instanceof SyntaxError)) this.stored = false; // storage is switched off; a broken item is as good as none
    }
    article.sentences.forEach((sentence, i) => {
      const labels = found[i];
      const valid = Array.isArray(labels) && labels.every((n) => Number.isInteger(n) && n >= 0 && n < sentence.scores.length);
      this.put(sentence, valid ? labels : undefined);
    });
  }

  // Calls back after another tab changed an answer.
  onOtherTab(changed) {
    addEventListener("storage", (event) => {
      if (!event.key?.startsWith(this.prefix)) return;
      this.load(event.key.slice(this.prefix.length));
      changed();
    });
  }

  put(sentence, labels) {
    this.decided += (labels !== undefined) - (sentence.answer !== undefined);
    sentence.answer = labels;
  }

  set(sentence, labels) {
    this.put(sentence, labels && [...labels].sort((a, b) => a - b));
    const { article } = sentence;
    const found = {};
    article.sentences.forEach((each, i) => {
      if (each.answer) found[i] = each.answer;
    });
    try {
      localStorage.setItem(this.prefix + article.key, JSON.stringify(found));
    } catch {
      this.stored = false;
    }
  }

  lines(names, annotator) {
    const decided = this.articles.flatMap((article) => article.sentences.filter((sentence) => sentence.answer));
    const rows = decided.map((sentence) => ({
      sentence_id: sentence.id,
      article_id: sentence.article.id,
      start: sentence.start,
      end: sentence.end,
      sentence: sentence.raw ?? sentence.text,
      labels: sentence.answer.map((n) => names[n]),
      annotator,
    }));
    return rows.map((row) => JSON.stringify(row) + "\n").join("");
  }
}
