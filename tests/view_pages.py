"""The crawl of the article and annotate views' tests, labelled, and which of its articles a page shows."""

from pathlib import Path

from support import labelled_output, write_jsonl

ARTICLES = [
    {
        "id": "satu",
        "text": "Wali Kota Ingatkan ASN Netral 🙂\n\nBaca juga: Harga beras turun\n\n🙂 ASN dilarang ikut kampanye sesuai Pasal 2 huruf f "
        "UU Nomor 5 Tahun 2014. Pelanggar &quot;akan&quot; diberi sanksi.\nApel dibuka pukul tujuh pagi.",
        "outlet": "Warta Contoh",
        "date": "2024-11-18",
        "url": "https://example.org/satu",
    },
    {
        "id": "dua",
        "text": "Hujan deras merendam dua kelurahan. Warga mengungsi ke balai desa.",
        "title": "Banjir di Lembahsari",
        "outlet": "Kabar Contoh",
        "date": "2024-03-02",
    },
    {
        "id": "tiga",
        "text": "Pegawai berhak memberikan suara di TPS. Hal itu diatur dalam Pasal 2 huruf f UU Nomor 5 Tahun 2014.",
        "title": "Hak Pilih Pegawai",
        "outlet": "Kabar Contoh",
        "date": "2023-12-30",
    },
]
SCORES = {
    "Ingatkan": {"warning": 0.91},
    "dilarang": {"warning": 0.97, "regulation_reference": 0.99},
    "sanksi": {"sanction_threat": 0.62},
    "berhak": {"permission": 0.88},
    "diatur": {"regulation_reference": 0.95},
}


def make_output(folder: Path) -> Path:
    """Write the crawl and its labelled output."""
    write_jsonl(folder / "crawl.jsonl", ARTICLES)
    return labelled_output(folder / "crawl.jsonl", folder / "out.jsonl", SCORES)


def facts(page) -> list[list[str]]:
    return page.locator("article .facts").evaluate_all("all => all.map(each => [...each.children].map(e => e.textContent))")


def shown(page) -> list[str]:
    """Return the ids of the articles shown."""
    page.wait_for_selector("article, .empty")
    return [next(fact for fact in row if fact in {"satu", "dua", "tiga"}) for row in facts(page)]
