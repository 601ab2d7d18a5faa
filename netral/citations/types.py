"""The types of regulation with their spellings, and the ministries that issue them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Type:
    """One row of the table of types.

    Attributes:
        id: The type in canonical ids; of a ministry's regulation only the beginning (``permen``).
        spellings: A pattern; a space in it stands for up to four spaces, hyphens or line breaks, or none.
        issuer: The issuer if the type alone says it, or the word that begins it (``Bupati``).
        alone: The type is an instrument by itself, without number (KUHP).
        articles: It has articles, so that a bare ``Pasal 5`` behind it can mean it.
        gap: Which words may stand between type and number: ``none``, those of an ``issuer`` or of several ``issuers``, of a ``title``, of a court ``case``.
        title: What it is about, of an instrument by itself.
        year_only: ``PP Tahun 2004`` is a mention; ``SKB tahun 2019`` (a civil service test) is not.
    """

    id: str
    spellings: str
    issuer: str = ""
    alone: bool = False
    articles: bool = True
    gap: str = "issuer"
    year_only: bool = True
    title: str = ""


_CONSTITUTION = "Undang-Undang Dasar Negara Republik Indonesia Tahun 1945"
# Longer names before their beginnings: the first that matches is taken.
TYPES = (
    Type("uud", r"uud(?: (?:nri|negara (?:republik indonesia|ri)|ri))?(?: tahun)?(?: ['’‘]?(?:19)?45)?", alone=True, title=_CONSTITUTION),
    Type(
        "uud",
        r"undang undang dasar(?: \(?uud\)?)?(?: nri| (?:negara )?(?:republik indonesia|ri))?(?: tahun)?(?: ['’‘]?(?:19)?45)?"
        r"(?: \(uud(?: nri)?(?: tahun)?(?: 1945)?\))?",
        alone=True,
        title=_CONSTITUTION,
    ),
    Type(
        "kuhp",
        r"kuhp(?:idana)?|kuh pidana|kitab undang undang hukum pidana(?: \(kuhp\))?",
        alone=True,
        title="Kitab Undang-Undang Hukum Pidana",
    ),
    Type(
        "kuhap", r"kuhap|kitab undang undang hukum acara pidana(?: \(kuhap\))?", alone=True, title="Kitab Undang-Undang Hukum Acara Pidana"
    ),
    Type("perppu", r"perpp?u|peraturan pemerintah pengganti (?:undang undang|uu)", gap="title"),
    Type("pp", r"pp|p\. p\.?|peraturan pemerintah", gap="title"),
    Type("perpres", r"perpres|peraturan presiden", "Presiden", gap="title"),
    Type("keppres", r"kepp?res|keputusan presiden", "Presiden", gap="title"),
    Type("inpres", r"inpres|instruksi presiden", "Presiden", gap="title"),
    Type("tap-mpr", r"(?:tap|ketetapan) (?:mprs?|majelis permusyawaratan rakyat(?: sementara)?)", "MPR"),
    Type("pkpu", r"pkpu|peraturan (?:komisi pemilihan umum|kpu)", "KPU"),
    Type("perbawaslu", r"perbawaslu|peraturan (?:bawaslu|badan pengawas (?:pemilihan umum|pemilu))", "Bawaslu"),
    Type("perdkpp", r"peraturan (?:dkpp|dewan kehormatan penyelenggara (?:pemilihan umum|pemilu))", "DKPP"),
    Type("perbkn", r"perbkn|(?:perka|peraturan(?: kepala)?) (?:bkn|badan kepegawaian negara)", "BKN"),
    Type("perkasn", r"perkasn|peraturan(?: ketua)? (?:kasn|komisi aparatur sipil negara)", "KASN"),
    Type("perlan", r"perlan|(?:perka|peraturan(?: kepala)?) (?:lan|lembaga administrasi negara)", "LAN"),
    Type("perkap", r"perkap(?:olri)?|peraturan (?:kapolri|kepala (?:kepolisian(?: negara)?|polri))", "Kapolri"),
    Type("perpol", r"perpol(?:ri)?|peraturan (?:polri|kepolisian(?: negara)?)", "Polri"),
    Type("perpang", r"perpang|peraturan panglima", "Panglima TNI"),
    Type("perma", r"perma|peraturan (?:mahkamah agung|ma)", "Mahkamah Agung"),
    Type("permenkeu", r"pmk", "Menteri Keuangan", gap="none"),
    Type("permen", r"peraturan (?:menteri|men(?=[a-z]))|permen", gap="title"),
    Type("kepmen", r"(?:surat )?keputusan (?:menteri|men(?=[a-z]))|kepmen|sk (?:menteri|men(?=[a-z]))", gap="title"),
    Type("perda", r"perda|perdasus|perdasi|peraturan daerah(?: khusus)?"),
    Type("qanun", r"qanun"),
    Type("pergub", r"pergub|peraturan gubernur", "Gubernur"),
    Type("perbup", r"perbup|peraturan bupati", "Bupati"),
    Type("perwali", r"perwali(?:kota)?|perwalkot|perwako|peraturan wali kota", "Wali Kota"),
    Type("kepgub", r"kepgub|(?:surat )?keputusan gubernur|sk gubernur", "Gubernur"),
    Type("kepbup", r"kepbup|(?:surat )?keputusan bupati|sk bupati", "Bupati"),
    Type("kepwali", r"kepwali(?:kota)?|kepwalkot|(?:surat )?keputusan wali kota|sk wali kota", "Wali Kota"),
    Type("skb", r"skb|(?:surat )?keputusan bersama", articles=False, gap="issuers", year_only=False),
    Type("se", r"sema", "Mahkamah Agung", articles=False, gap="none"),
    Type("se", r"se|surat edaran(?: bersama)?", articles=False, gap="issuers", year_only=False),
    Type("instruksi", r"inmendagri|instruksi mendagri", "Menteri Dalam Negeri", articles=False),
    Type("instruksi", r"ingub|instruksi gubernur", "Gubernur", articles=False),
    Type("instruksi", r"inbup|instruksi bupati", "Bupati", articles=False),
    Type("instruksi", r"inwali|instruksi wali kota", "Wali Kota", articles=False),
    Type("instruksi", r"instruksi", articles=False, year_only=False),
    Type("putusan-mk", r"putusan (?:mk|mahkamah konstitusi)", "Mahkamah Konstitusi", articles=False, gap="case"),
    Type(
        "putusan-ma", r"putusan (?:(?:kasasi|pk|peninjauan kembali) )?(?:ma|mahkamah agung)", "Mahkamah Agung", articles=False, gap="case"
    ),
    Type("putusan-dkpp", r"putusan (?:dkpp|dewan kehormatan penyelenggara (?:pemilihan umum|pemilu))", "DKPP", articles=False, gap="case"),
    Type("putusan", r"putusan", articles=False, gap="case", year_only=False),
    Type("uu-darurat", r"(?:undang undang|uu) (?:darurat|drt\.?)", gap="title"),
    Type("uu", r"uu|u\. u\.?|undang undang", gap="title"),
)

# Short name in ids, spellings behind `Peraturan Menteri` or `Permen`, full name. Longer names first.
MINISTRIES = (
    (
        "panrb",
        r"pendayagunaan aparatur negara(?:,? (?:dan|&) reformasi birokrasi)?|pan (?:dan |& )?rb|pan",
        "Pendayagunaan Aparatur Negara dan Reformasi Birokrasi",
    ),
    ("dikbudristek", r"pendidikan, kebudayaan,? riset,? dan teknologi|dikbud ristek", "Pendidikan, Kebudayaan, Riset, dan Teknologi"),
    ("dikdasmen", r"pendidikan dasar dan menengah|dikdasmen", "Pendidikan Dasar dan Menengah"),
    ("dikbud", r"pendidikan dan kebudayaan|dikbud", "Pendidikan dan Kebudayaan"),
    ("diknas", r"pendidikan nasional|diknas", "Pendidikan Nasional"),
    ("ristekdikti", r"riset,? teknologi,? dan pendidikan tinggi|ristek dikti", "Riset, Teknologi, dan Pendidikan Tinggi"),
    ("dagri", r"dalam negeri|dagri", "Dalam Negeri"),
    ("dag", r"perdagangan|dag", "Perdagangan"),
    ("des", r"desa,? pembangunan daerah tertinggal,? dan transmigrasi|desa(?: pdtt)?|des(?: pdtt)?", "Desa"),
    ("keu", r"keuangan|keu", "Keuangan"),
    ("kumham", r"hukum dan (?:ham|hak asasi manusia)|kumham", "Hukum dan Hak Asasi Manusia"),
    ("kum", r"hukum|kum", "Hukum"),
    ("kominfo", r"komunikasi dan informatika|kominfo", "Komunikasi dan Informatika"),
    ("komdigi", r"komunikasi dan digital|komdigi", "Komunikasi dan Digital"),
    ("kopukm", r"koperasi dan (?:ukm|usaha kecil dan menengah)|kop(?: ukm)?", "Koperasi dan Usaha Kecil dan Menengah"),
    ("kes", r"kesehatan|kes", "Kesehatan"),
    ("akertrans", r"tenaga kerja dan transmigrasi|n?akertrans", "Tenaga Kerja dan Transmigrasi"),
    ("aker", r"ketenagakerjaan|tenaga kerja|n?aker", "Ketenagakerjaan"),
    ("hub", r"perhubungan|hub", "Perhubungan"),
    ("lhk", r"lingkungan hidup dan kehutanan|lhk", "Lingkungan Hidup dan Kehutanan"),
    ("lh", r"lingkungan hidup|lh", "Lingkungan Hidup"),
    ("hut", r"kehutanan|hut", "Kehutanan"),
    ("perin", r"perindustrian|perin", "Perindustrian"),
    ("tan", r"pertanian|tan", "Pertanian"),
    ("han", r"pertahanan|han", "Pertahanan"),
    ("esdm", r"energi dan sumber daya mineral|esdm", "Energi dan Sumber Daya Mineral"),
    ("pupr", r"pekerjaan umum dan perumahan rakyat|pupr", "Pekerjaan Umum dan Perumahan Rakyat"),
    ("pu", r"pekerjaan umum|pu", "Pekerjaan Umum"),
    ("kp", r"kelautan dan perikanan|kk?p", "Kelautan dan Perikanan"),
    ("sos", r"sosial|sos", "Sosial"),
    ("bumn", r"badan usaha milik negara|bumn", "Badan Usaha Milik Negara"),
    ("lu", r"luar negeri|lu", "Luar Negeri"),
    ("parekraf", r"pariwisata dan ekonomi kreatif|parekraf", "Pariwisata dan Ekonomi Kreatif"),
    ("par", r"pariwisata|par", "Pariwisata"),
    ("pora", r"pemuda dan olahraga|pora", "Pemuda dan Olahraga"),
    (
        "atr",
        r"agraria dan tata ruang(?: / kepala bpn| / kepala badan pertanahan nasional)?|atr(?: / (?:kepala )?bpn)?",
        "Agraria dan Tata Ruang",
    ),
    ("ppn", r"perencanaan pembangunan nasional(?: / kepala bappenas)?|ppn(?: / (?:kepala )?bappenas)?", "Perencanaan Pembangunan Nasional"),
    ("pppa", r"pemberdayaan perempuan dan p?erlindungan anak|pppa|pp?pa", "Pemberdayaan Perempuan dan Perlindungan Anak"),
    ("investasi", r"investasi(?: / kepala bkpm)?", "Investasi"),
    ("imipas", r"imigrasi dan pemasyarakatan|imipas", "Imigrasi dan Pemasyarakatan"),
    ("setneg", r"sekretaris negara|setneg|sesneg", "Sekretaris Negara"),
    ("diktisaintek", r"pendidikan tinggi,? sains,? dan teknologi|dikti saintek", "Pendidikan Tinggi, Sains, dan Teknologi"),
    ("pkp", r"perumahan dan kawasan permukiman|pkp", "Perumahan dan Kawasan Permukiman"),
    ("umkm", r"usaha mikro,? kecil,? dan menengah|umkm", "Usaha Mikro, Kecil, dan Menengah"),
    ("ko", r"koordinator(?: bidang)? perekonomian|ko perekonomian", "Koordinator Bidang Perekonomian"),
    ("ag", r"agama|ag", "Agama"),
)


# White space inside a mention, bounded: an unbounded run, tried from each of its characters, would take quadratic time.
S, SP = r"\s{0,9}", r"\s{1,9}"
# Some pages use a hyphen that does not break (U+2011) or a dash.
HYPHENS = r"\-‐‑–"


def spelling(pattern: str) -> str:
    """Turn a pattern of the tables into one that forgives line breaks, hyphens, missing spaces and OCR's 1 for l and 0 for o.

    >>> bool(re.fullmatch(spelling("perwali kota"), "perwa1i-kota"))
    True
    """
    return pattern.replace("l", "[l1]").replace("o", "[o0]").replace(" ", rf"[\s{HYPHENS}]{{0,4}}")


# A type or ministry ends where the word ends, or where a number was glued to it (`UUNo.5`).
WORD_END = r"(?:(?![^\W\d_])|(?=no(?:mor)?\s?[.:]?\s?\d))"
MINISTRY = re.compile(
    rf"(?:{S}\([a-z]{{1,8}}\))?[\s{HYPHENS}]{{0,4}}(?:negara\s)?(?:"
    + "|".join(f"(?P<{short}>{spelling(pattern)})" for short, pattern, _ in MINISTRIES)
    + ")"
    + WORD_END,
    re.I,
)
MINISTRY_NAMES = {short: name for short, _, name in MINISTRIES}
TYPE = re.compile(
    r"(?<!\w)(?:"
    + "|".join(
        f"(?P<t{index}>{spelling(f'(?:{each.spellings})')}{'' if each.id.endswith('men') else WORD_END})"
        for index, each in enumerate(TYPES)
    )
    + ")",
    re.I,
)
