// An annotator's answers, kept in the browser: one item of local storage an article, so that an answer writes little.
// The key holds the digest of the sentences: answers survive a new page of the same sentences and never meet others.
class Answers {
  constructor(digest, annotator, articles) {
    this.prefix = `netral/${digest}/${annotator}/`;
    this.articles = articles;
    this.stored = true;
    this.decided = 0;
    this.total = sum(articles.map((article) => article.sentences.length));
    articles.forEach((_, number) => this.load(number));
  }

  // Reads an article's answers, again when another tab wrote them. What is not an answer is left out.
  load(number) {
    const article = this.articles[number];
    if (!article) return;
    let found = {};
    try {
      found = JSON.parse(localStorage.getItem(this.prefix + number) ?? "{}") ?? {};
    } catch (problem) {
      if (!(problem instanceof SyntaxError)) this.stored = false; // storage is switched off; a broken item is as good as none
    }
    article.sentences.forEach((sentence, i) => {
      const labels = found[i];
      const valid = Array.isArray(labels) && labels.every((n) => Number.isInteger(n) && n >= 0 && n < sentence.scores.length);
      this.put(sentence, valid ? labels : undefined);
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
      localStorage.setItem(this.prefix + article.number, JSON.stringify(found));
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
