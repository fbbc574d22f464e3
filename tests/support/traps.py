"""Pages as real servers send them, wrong in every way: what is sent, and what a visit must say of it.

Each trap is a path of a loopback site, the response (bytes, headers, status), what the result of `visit` contains, and
whether it is an error. `then` are further paths that a trap leads to.
"""

import gzip
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.site import pdf

CHINESE = "灯塔建成于一七九四年，高三十一米，看守人写了一本两千页的日记，其中记录了海上的天气。"
TAIWAN = "燈塔建成於一七九四年，高三十一公尺，看守人寫了一本兩千頁的日記，其中記錄了海上的天氣。"
JAPANESE = "灯台の高さは三十一メートルで、千七百九十四年に完成しました。管理人は日記を書いた。"
KOREAN = "등대의 높이는 31미터이며 1794년에 완공되었다. 등대지기는 바다의 날씨를 일기에 썼다."
RUSSIAN = "Маяк на скале был построен в 1794 году, его высота тридцать один метр, а смотритель вёл дневник."
FRENCH = "Le phare, achevé en 1794, est élevé à côté de la forêt où vécut un gardien."
ENGLISH = "The lighthouse was finished in 1794 and is 31 metres high; its keeper wrote a diary of two thousand pages."
ARTICLE = " ".join([ENGLISH] * 20)
"""Long enough to be an article, whatever it is about."""


@dataclass(frozen=True)
class Trap:
    """name: what is wrong. content, headers, status: the response. says: what the result has. is_error: whether it is
    an error for the model. never: what the result must not have."""

    name: str
    content: bytes
    says: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    is_error: bool = False
    never: str = "\ufffd"


def page(text: str, head: str = "", title: str = "The tower") -> str:
    return f"<!doctype html><html><head>{head}<title>{title}</title></head><body><p>{text}</p></body></html>"


def typed(kind: str | None, **headers: str) -> dict[str, str]:
    return ({} if kind is None else {"content-type": kind}) | {
        name.replace("_", "-"): value for name, value in headers.items()
    }


HTML, UTF8 = "text/html", "text/html; charset=utf-8"


def read(name: str, content: bytes, says: str, kind: str | None = HTML, **headers: str) -> Trap:
    return Trap(name, content, says, typed(kind, **headers))


def wall(name: str, html: str, says: str, status: int = 200, never: str = "\ufffd", **headers: str) -> Trap:
    return Trap(name, html.encode(), says, typed(UTF8, **headers), status, is_error=True, never=never)


def begun_gzip(content: bytes) -> bytes:
    """The beginning of a body, up to the end of a block."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)


def meta(charset: str) -> str:
    return f'<meta charset="{charset}">'


CHARSETS = (
    read("utf-8 named latin-1 by its header", page(FRENCH).encode(), FRENCH, "text/html; charset=iso-8859-1"),
    read("utf-8 named gbk by its meta tag", page(CHINESE, meta("gbk")).encode(), CHINESE),
    read(
        "utf-8 named windows-1251 by both", page(RUSSIAN, meta("cp1251")).encode(), RUSSIAN, "text/html;charset=cp1251"
    ),
    read("utf-8 with a bom and another label", b"\xef\xbb\xbf" + page(KOREAN, meta("euc-kr")).encode(), KOREAN),
    read(
        "utf-8 with one damaged character",
        page(CHINESE * 20).encode() + b"\xff<p>!",
        CHINESE,
        UTF8,
    ),
    read("utf-16 with a bom named utf-8", page(RUSSIAN, meta("utf-8")).encode("utf-16"), RUSSIAN, UTF8),
    read("gbk named utf-8 by its header", page(CHINESE, meta("gb2312")).encode("gbk"), CHINESE, UTF8),
    read(
        "gbk with the server's latin-1",
        page(CHINESE, meta("gbk")).encode("gbk"),
        CHINESE,
        "text/html;charset=ISO-8859-1",
    ),
    read(
        "shift_jis with the server's latin-1",
        page(JAPANESE, meta("Shift_JIS")).encode("cp932"),
        JAPANESE,
        "text/html; charset=ISO-8859-1",
    ),
    read("gb18030 without a label", page(CHINESE).encode("gb18030"), CHINESE),
    read("gbk behind much ascii", page(CHINESE, "<!-- " + "x" * 40_000 + " -->").encode("gbk"), CHINESE),
    read("big5 without a label", page(TAIWAN).encode("big5"), TAIWAN),
    read("big5 with a label", page(TAIWAN, meta("Big5")).encode("big5"), TAIWAN),
    read("shift_jis without a label", page(JAPANESE).encode("cp932"), JAPANESE),
    read("euc-jp without a label", page(JAPANESE).encode("euc_jp"), JAPANESE),
    read("iso-2022-jp without a label", page(JAPANESE).encode("iso2022_jp"), JAPANESE),
    read("iso-2022-jp named latin-1", page(JAPANESE).encode("iso2022_jp"), JAPANESE, "text/html; charset=iso-8859-1"),
    read("euc-kr without a label", page(KOREAN).encode("cp949"), KOREAN),
    read("koi8-r without a label", page(RUSSIAN).encode("koi8-r"), RUSSIAN),
    read("koi8-r with a label", page(RUSSIAN, meta("koi8-r")).encode("koi8-r"), RUSSIAN),
    read("windows-1251 without a label", page(RUSSIAN).encode("cp1251"), RUSSIAN),
    read(
        "a script's charset before the page's own",
        page(RUSSIAN, f'<script charset="utf-8" src="x.js"></script>{meta("windows-1251")}').encode("cp1251"),
        RUSSIAN,
    ),
    read(
        "a charset in a comment before the page's own",
        page(RUSSIAN, f"<!-- {meta('iso-8859-5')} -->{meta('windows-1251')}").encode("cp1251"),
        RUSSIAN,
    ),
    read(
        "a charset late in a long head",
        page(RUSSIAN, "<style>" + "a{}" * 2000 + "</style>" + meta("cp1251")).encode("cp1251"),
        RUSSIAN,
    ),
    read(
        "gbk named latin-1 by both", page(CHINESE, meta("latin1")).encode("gbk"), CHINESE, "text/html; charset=latin1"
    ),
    read("windows-1251 named latin-9", page(RUSSIAN).encode("cp1251"), RUSSIAN, "text/html; charset=iso-8859-15"),
    read(
        "koi8-r named windows-1251", page(RUSSIAN, meta("koi8-r")).encode("koi8-r"), RUSSIAN, "text/html;charset=cp1251"
    ),
    read("utf-16 without a bom", page(RUSSIAN).encode("utf-16-be"), RUSSIAN),
    read("utf-32", page(RUSSIAN).encode("utf-32"), RUSSIAN),
    read("hz-gb-2312", page(CHINESE, meta("hz-gb-2312")).encode("hz"), CHINESE),
    read("hz without a label", page(CHINESE + '<a href="/~u">~</a>').encode("hz"), CHINESE),
    read("iso-2022-kr", page(KOREAN).encode("iso2022_kr"), KOREAN, "text/html; charset=iso-2022-kr"),
    *(
        read(f"short {name} without a label", page(text, title="X").encode("cp1252"), text)
        for name, text in (
            ("french", "Café fermé à midi."),
            ("spanish", "Año nuevo: mañana"),
            ("portuguese", "A estação não abre em março."),
            ("italian", "La città è più bella perché c'è il caffè."),
            ("swedish", "Fyren på ön är hög."),
            ("finnish", "Majakka on kolmekymmentäyksi metriä korkea."),
            ("icelandic", "Vitinn er þrjátíu metra hár og það er gott."),
            ("english with a pound", "Tickets are £5, and it is 31°C."),
            ("english with quotes", "The keeper’s diary – “two thousand pages” – is kept."),
        )
    ),
    *(
        read(f"short {name} without a label", page(text, title="X").encode(codec), text)
        for name, codec, text in (
            ("polish", "iso8859-2", "Latarnia została zbudowana, wysokość: trzydzieści metrów, źrebak."),
            ("czech", "cp1250", "Maják je vysoký třicet metrů; žluťoučký kůň."),
            ("turkish", "cp1254", "Deniz feneri çok güzel, ışığı yüksekliğinde."),
            ("latvian", "cp1257", "Bāka ir trīsdesmit metru augsta; ļoti šauri."),
            ("bulgarian", "cp1251", "Фарът е завършен през 1794 година."),
            ("greek", "cp1253", "Ο φάρος iPhone έχει ύψος τριάντα ένα μέτρα."),
            ("chinese", "gbk", "灯塔高三十一米"),
            ("korean", "cp949", "등대의 높이는 삼십일"),
            ("japanese", "cp932", "灯台の高さ"),
        )
    ),
    read("big5 named gb2312", page(TAIWAN, meta("gb2312")).encode("big5"), TAIWAN),
    read("gbk named big5", page(CHINESE, meta("big5")).encode("gbk"), CHINESE),
    read("euc-kr named gbk", page(KOREAN, meta("gbk")).encode("cp949"), KOREAN),
    read("shift_jis named euc-jp", page(JAPANESE, meta("euc-jp")).encode("cp932"), JAPANESE),
    read("gbk named gb2312", page("镕榕喆堃囍" + CHINESE, meta("gb2312")).encode("gbk"), "镕榕喆堃囍"),
    read("gb18030 named gb2312", page("𠮷㐀" + CHINESE, meta("gb2312")).encode("gb18030"), "𠮷㐀"),
    read("cp949 named euc-kr", page("똠방각하 펲시콜라" + KOREAN, meta("euc-kr")).encode("cp949"), "똠방각하 펲시콜라"),
    read("cp932 named shift_jis", page("①髙﨑Ⅲ㈱" + JAPANESE, meta("shift_jis")).encode("cp932"), "①髙﨑Ⅲ㈱"),
    read(
        "kanji alone in euc-jp", page("東京都渋谷区神宮前一丁目", meta("euc-jp")).encode("euc_jp"), "東京都渋谷区神宮前"
    ),
    read(
        "what windows adds to euc-jp",
        page("一" + JAPANESE, meta("euc-jp")).encode("euc_jp").replace("一".encode("euc_jp"), b"\xad\xa1", 1),
        "①灯台の高さ",
    ),
    read("windows-1252 named us-ascii", page("“It’s €5”").encode("cp1252"), "“It’s €5”", "text/html;charset=us-ascii"),
    *(
        read(f"ascii named {label}", page(ENGLISH).encode(), ENGLISH, f"text/html; charset={label}")
        for label in ("utf-16", "utf-16le", "utf-16be", "hz-gb-2312", "iso-2022-jp")
    ),
    read("utf-8 named utf-16", page(FRENCH).encode(), FRENCH, "text/html; charset=utf-16"),
    read("windows-1252 named utf-16", page(FRENCH).encode("cp1252"), FRENCH, "text/html; charset=utf-16"),
    read("the charset none", page(FRENCH).encode(), FRENCH, "text/html; charset=none"),
    read("a charset that does not exist", page(RUSSIAN).encode("cp1251"), RUSSIAN, "text/html; charset=x-user"),
)
TYPES = (
    read("a doubled type", page(FRENCH).encode(), FRENCH, "text/html, text/html; charset=utf-8"),
    read("a type doubled without spaces", page(FRENCH).encode(), FRENCH, "text/html;charset=utf-8,text/html"),
    read("a quoted charset", page(FRENCH).encode(), FRENCH, 'text/html;charset="utf-8"'),
    read("two semicolons", page(FRENCH).encode(), FRENCH, "text/html;;charset=UTF-8"),
    read("no semicolon", page(FRENCH).encode("cp1252"), FRENCH, "text/html charset=windows-1252"),
    read("a type in capitals", page(FRENCH).encode(), FRENCH, "TEXT/HTML; CHARSET=UTF-8"),
    read("an empty charset", page(FRENCH).encode(), FRENCH, "text/html; charset="),
    read("no type", page(FRENCH).encode(), FRENCH, None),
    read("the type text", page(FRENCH).encode(), FRENCH, "text"),
    read("the type html", page(FRENCH).encode(), FRENCH, "html"),
    read("the type */*", page(FRENCH).encode(), FRENCH, "*/*"),
    read("an empty type", page(FRENCH).encode(), FRENCH, ""),
    read("octet-stream that is html", page(FRENCH).encode(), FRENCH, "application/octet-stream"),
    read("octet-stream that is text", ENGLISH.encode(), ENGLISH, "application/octet-stream"),
    read("octet-stream that is a pdf", pdf("The tower is 31 metres high."), "31 metres", "binary/octet-stream"),
    read("a pdf named html", pdf("The tower is 31 metres high."), "31 metres", HTML),
    read("a download that is json", b'{"height": "31 metres"}', "31 metres", "application/force-download"),
    read("html named json", page(FRENCH).encode(), FRENCH, "application/json"),
    read("html named xml", b'<?xml version="1.0"?>\n' + page(FRENCH).encode(), FRENCH, "application/xml"),
    read("php that was not run", page(FRENCH).encode(), FRENCH, "application/x-httpd-php"),
    Trap(
        "octet-stream that is binary",
        bytes(range(256)) * 4,
        "which has no text",
        typed("application/octet-stream"),
        is_error=True,
    ),
    Trap("a picture named html", b"\x89PNG\r\n\x1a\n" + bytes(900), "was not read", typed(HTML), is_error=True),
)
BODY = page(FRENCH).encode()
PACKED = gzip.compress(BODY)
LARGE = page(f"{FRENCH}</p>" + "".join(f"<p>{number} {ENGLISH}</p>" for number in range(4000))).encode()
CODINGS = (
    *(
        read(f"the coding {word}", BODY, FRENCH, UTF8, content_encoding=word)
        for word in ("utf-8", "none", "ISO-8859-1", "identity", "UTF-8, utf-8", "binary", "8bit", "text/html", "")
    ),
    read("x-gzip", gzip.compress(BODY), FRENCH, UTF8, content_encoding="x-gzip"),
    read("gzip in capitals", gzip.compress(BODY), FRENCH, UTF8, content_encoding="GZIP"),
    read("gzip with a word beside it", gzip.compress(BODY), FRENCH, UTF8, content_encoding="gzip, utf-8"),
    read("gzip twice", gzip.compress(gzip.compress(BODY)), FRENCH, UTF8, content_encoding="gzip, gzip"),
    read(
        "gzip in two members",
        gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]),
        FRENCH,
        UTF8,
        content_encoding="gzip",
    ),
    read("gzip with garbage behind it", gzip.compress(BODY) + b"garbage", FRENCH, UTF8, content_encoding="gzip"),
    read("html named gzip", BODY, FRENCH, UTF8, content_encoding="gzip"),
    read("html named br", BODY, FRENCH, UTF8, content_encoding="br"),
    read("gzip named deflate", gzip.compress(BODY), FRENCH, UTF8, content_encoding="deflate"),
    read("zlib named gzip", zlib.compress(BODY), FRENCH, UTF8, content_encoding="gzip"),
    read("gzip that nobody names", gzip.compress(BODY), FRENCH, UTF8),
    read("deflate without its header", zlib.compress(BODY)[2:-4], FRENCH, UTF8, content_encoding="deflate"),
    read(
        "gzip that is cut short",
        gzip.compress(page(FRENCH + ENGLISH).encode(), 0)[:-60],
        FRENCH,
        UTF8,
        content_encoding="gzip",
    ),
    read(
        "gzip that is cut short says so",
        gzip.compress(page(FRENCH + ENGLISH).encode(), 0)[:-60],
        "was broken off or damaged on its way",
        UTF8,
        content_encoding="gzip",
    ),
    *(
        read(f"{name}, {what}", content, says, UTF8, content_encoding=coding)
        for name, content, coding in (
            ("gzip with a wrong checksum", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gzip"),
            ("gzip with a wrong length", PACKED[:-4] + b"\xff\0\0\0", "gzip"),
            ("zlib with a wrong checksum", zlib.compress(BODY)[:-4] + b"\0\0\0\0", "deflate"),
            ("gzip damaged at its end", begun_gzip(BODY) + b"\xff" * 40, "gzip"),
            ("large gzip with a wrong checksum", gzip.compress(LARGE)[:-8] + bytes(8), "gzip"),
            ("gzip nobody names with a wrong checksum", PACKED[:-8] + bytes(8), ""),
        )
        for what, says in (("read", FRENCH), ("said", "was broken off or damaged on its way"))
    ),
)
END = page("The tower is 31 metres high.").encode()
SHELL_APP = '<!doctype html><html><head><title>App</title><script src="a.js"></script></head><body>%s</body></html>'
REFRESHES = (
    *(
        read(f"refresh {number}", page("You are being moved.", head).encode(), "31 metres", UTF8)
        for number, head in enumerate(
            (
                '<meta http-equiv="refresh" content="0; url=/end">',
                "<META HTTP-EQUIV=REFRESH CONTENT='0; URL=/end'>",
                '<meta content="1;URL=\'/end\'" http-equiv="Refresh">',
                '<meta http-equiv="refresh" content="0;/end">',
                '<meta http-equiv="refresh" content="5, url = /end">',
                '<meta http-equiv="refresh" content="0;url=/end?a=1&amp;b=2">',
            )
        )
    ),
    read("a refresh header", page("You are being moved.").encode(), "31 metres", UTF8, refresh="0; url=/end"),
    read("a refresh without an address", page(ENGLISH, '<meta http-equiv="refresh" content="30">').encode(), ENGLISH),
    read(
        "a refresh after half an hour",
        page(ENGLISH, '<meta http-equiv="refresh" content="1800;url=/logout">').encode(),
        ENGLISH,
    ),
    read(
        "a refresh in noscript",
        page(ENGLISH, '<noscript><meta http-equiv="refresh" content="0;url=/nojs"></noscript>').encode(),
        ENGLISH,
    ),
    read(
        "a refresh in a comment",
        page(ENGLISH, '<!-- <meta http-equiv="refresh" content="0;url=/nojs"> -->').encode(),
        ENGLISH,
    ),
    read(
        "a refresh to a script",
        page(ENGLISH, '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">').encode(),
        ENGLISH,
    ),
    Trap(
        "a refresh to a private address",
        page("", '<meta http-equiv="refresh" content="0;url=http://10.0.0.1/">').encode(),
        "10.0.0.1 is not public",
        typed(UTF8),
        is_error=True,
    ),
    Trap(
        "a refresh in a circle",
        page("", '<meta http-equiv="refresh" content="0;url=/circle-a">').encode(),
        "more than 5 redirects",
        typed(UTF8),
        is_error=True,
    ),
)
WALLS = (
    wall(
        "cloudflare waits",
        page("Enable JavaScript and cookies to continue", title="Just a moment...").replace(
            "</body>", "<script>window._cf_chl_opt={cvId:'3'}</script></body>"
        ),
        "Cloudflare",
        403,
    ),
    wall(
        "cloudflare waits with 200",
        page("Verifying you are human. This may take a few seconds.", title="Just a moment...").replace(
            "</body>", '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate"></script></body>'
        ),
        "Cloudflare",
    ),
    wall("cloudflare by its header", page("..."), "Cloudflare", 403, cf_mitigated="challenge"),
    wall(
        "cloudflare blocks",
        page(
            "Sorry, you have been blocked. You are unable to access example.com. Ray ID: 8f",
            title="Attention Required! | Cloudflare",
        ),
        "Cloudflare",
        403,
    ),
    wall(
        "datadome",
        page("Please enable JS and disable any ad blocker", title="example.com").replace(
            "</body>", '<script src="https://ct.captcha-delivery.com/c.js"></script></body>'
        ),
        "DataDome",
        403,
    ),
    wall(
        "perimeterx",
        page(
            "Press &amp; Hold to confirm you are a human (and not a bot).", title="Access to this page has been denied"
        ).replace("</body>", "<script>window._pxAppId='PX'</script></body>"),
        "PerimeterX",
        403,
    ),
    wall(
        "akamai",
        page(
            'You don\'t have permission to access "http://example.com/" on this server.<p>Reference #18.2f'
            "<p>https://errors.edgesuite.net/18.2f",
            title="Access Denied",
        ),
        "Akamai",
        403,
    ),
    wall(
        "imperva",
        '<html><body><iframe src="/_Incapsula_Resource?x=1">Request unsuccessful. Incapsula incident ID: 1'
        "</iframe></body></html>",
        "Imperva",
    ),
    wall(
        "aws waf",
        '<html><body><script>window.gokuProps = {}</script><div id="challenge-container"></div></body></html>',
        "AWS WAF",
        202,
    ),
    wall(
        "pardon our interruption",
        page(
            "As you were browsing something about your browser made us think you were a bot.",
            title="Pardon Our Interruption",
        ),
        "check against robots",
    ),
    wall(
        "google's captcha",
        page("Our systems have detected unusual traffic from your computer network."),
        "check against robots",
        429,
    ),
    wall(
        "are you a robot",
        page("To continue, please click the box below.", title="Bloomberg - Are you a robot?"),
        "check against robots",
    ),
    wall("baidu", page("请完成下列验证后继续:", title="百度安全验证"), "check against robots"),
    wall("wechat", page("当前环境异常，完成验证后即可继续访问。", title="微信公众平台"), "check against robots"),
    wall(
        "a cookie wall",
        page("We and our partners store data. Accept all cookies to continue to the article."),
        "cookie wall",
    ),
    wall(
        "google's consent",
        page("We use cookies and data to deliver and maintain services", title="Before you continue to Google Search"),
        "cookie wall",
    ),
    wall("german consent", page("Mit Werbung weiterlesen wie gewohnt, oder ein Abo abschließen."), "cookie wall"),
    wall(
        "a login",
        '<html><head><title>Log in | Wiki</title></head><body><form>User <input name="u"> <input '
        'type="password" name="p"><button>Log in</button></form><p>Welcome back.</p></body></html>',
        "login page",
    ),
    wall("please sign in", page("Please sign in to continue reading this discussion."), "login page"),
    wall("a chinese login", page("请登录后查看全部内容。"), "login page"),
    wall("a soft 404", page("Sorry, we looked everywhere.", title="Page not found | Example"), "error page"),
    wall(
        "a soft 404 in a heading",
        "<html><title>Example</title><body><h1>404</h1><p>Go home.</p></body></html>",
        "error page",
    ),
    wall("google's 404", page("The requested URL was not found.", title="Error 404 (Not Found)!!1"), "error page"),
    wall("a chinese soft 404", page("抱歉，您访问的页面不存在", title="示例网"), "error page"),
    wall("a russian soft 404", page("Вернитесь на главную.", title="Страница не найдена — Пример"), "error page"),
    wall("a german soft 404", page("Zur Startseite", title="Seite nicht gefunden"), "error page"),
    wall("an empty root", SHELL_APP % '<div id="root"></div>', "JavaScript"),
    wall(
        "an app that asks for javascript",
        SHELL_APP % ('<noscript>You need to enable JavaScript to run this app.</noscript><div id="app"></div>'),
        "JavaScript",
    ),
    wall("an app that loads", SHELL_APP % '<div id="__next"><p>Loading...</p></div>', "JavaScript"),
    wall(
        "a page that asks for javascript",
        page("Please enable JavaScript to view this site.").replace("</head>", "<script>var a</script></head>"),
        "JavaScript",
    ),
)
REAL = (
    read(
        "an article on cloudflare",
        page(
            f"Cloudflare shows 'Just a moment...' and asks: verify you are human. {ARTICLE}",
            title="How Cloudflare says Just a moment",
        ).encode(),
        "31 metres",
        UTF8,
    ),
    read(
        "an article on 404",
        page(
            f"A server says 404 page not found when there is none. {ARTICLE}", title="HTTP 404 - Encyclopedia"
        ).encode(),
        "31 metres",
        UTF8,
    ),
    read(
        "a short note on 404 errors",
        page("A 404 error means that a server has no page at that address.", title="What is a 404 error?").encode(),
        "no page at that address",
        UTF8,
    ),
    read(
        "a short note on captchas",
        page("A captcha is a puzzle that tells people from programs.", title="Captcha").encode(),
        "a puzzle",
        UTF8,
    ),
    read(
        "a page behind cloudflare's script",
        page(ENGLISH)
        .replace("</body>", '<script src="/cdn-cgi/challenge-platform/scripts/jsd/main.js"></script></body>')
        .encode(),
        ENGLISH,
        UTF8,
    ),
    read(
        "a page with a login form in its corner",
        page(ENGLISH).replace("<body>", '<body><form>Log in <input type="password"></form>').encode(),
        ENGLISH,
        UTF8,
    ),
    read(
        "an article with a cookie banner",
        page(f"{ENGLISH}</p><div>We use cookies. Accept all</div><p>").encode(),
        ENGLISH,
        UTF8,
    ),
    read(
        "an app that was rendered",
        (SHELL_APP % f'<noscript>Enable JavaScript.</noscript><div id="root"><p>{ENGLISH}</p></div>').encode(),
        ENGLISH,
        UTF8,
    ),
    read("a short page with scripts", (SHELL_APP % "<p>31 metres.</p>").encode(), "31 metres.", UTF8),
    read(
        "a page on javascript",
        page("JavaScript is a language of 1995, made in ten days.", title="JavaScript")
        .replace("</head>", "<script>var a</script></head>")
        .encode(),
        "in ten days",
        UTF8,
    ),
    *(
        read(f"{name} beside text", page(ENGLISH, f"<script {script}></script>").encode(), ENGLISH, UTF8)
        for name, script in (
            ("imperva", 'src="/_Incapsula_Resource?a=1"'),
            ("aws waf", 'src="https://a.token.awswaf.com/a/challenge.js"'),
            ("perimeterx", ">window._pxAppId='PX1'"),
            ("geetest", 'src="https://static.geetest.com/v4/gt4.js"'),
        )
    ),
    read(
        "a film named not found",
        page("Not Found is a film of 2011.", title="Not Found (film)").encode(),
        "a film",
        UTF8,
    ),
    read("a library for members", page("Its library is for members only.", title="The club").encode(), "library", UTF8),
    read("a question on scripts", page("How do I see whether JavaScript is enabled?").encode(), "How do I", UTF8),
    read("a chinese page with a login link", page("灯塔高三十一米。</p><p>请登录 免费注册").encode(), "三十一米", UTF8),
)
TRAPS = (*CHARSETS, *TYPES, *CODINGS, *REFRESHES, *WALLS, *REAL)
OTHERS = {
    "/end": Trap("", END, "", typed(UTF8)),
    "/end?a=1&b=2": Trap("", END, "", typed(UTF8)),
    "/circle-a": Trap("", b'<html><meta http-equiv="refresh" content="0;url=/circle-b"></html>', "", typed(UTF8)),
    "/circle-b": Trap("", b'<html><meta http-equiv="refresh" content="0;url=/circle-a"></html>', "", typed(UTF8)),
}


@dataclass
class TrapSite:
    """The running site. answers: a response by path, beside the traps; a function is asked at each request.
    requests: paths and headers, in order."""

    port: int
    answers: dict[str, object] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def at(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def paths(self) -> list[str]:
        """What was requested, but for robots.txt."""
        return [path for path, _ in self.requests if path != "/robots.txt"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: TrapSite

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)  # the base class would query DNS
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: connections are aborted on purpose."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        site = self.server.site
        sent = {name.lower(): value for name, value in self.headers.items()}
        site.requests.append((self.path, sent))
        answer = site.answers.get(self.path) or OTHERS.get(self.path)
        if answer is None and self.path.startswith("/trap/"):
            answer = TRAPS[int(self.path.removeprefix("/trap/"))]
        if callable(answer):
            answer = answer(sent)
        if not isinstance(answer, Trap):
            answer = Trap("", b"none", "", typed("text/plain"), 404)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "content-length" not in answer.headers:
            self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serve_traps() -> Iterator[TrapSite]:
    """Serve the traps on a free port, at /trap/NUMBER, until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site = TrapSite(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
