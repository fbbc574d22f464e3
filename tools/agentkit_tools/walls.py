"""Names what stands in place of a page: a bot check, a cookie wall, a login, an error page, a page made by scripts.

Such a page has little text. A long text is an article, whatever it is about; what counts in a short one is the markup
that only the real thing has, or a sentence that is the whole page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

ARTICLE = 1_500
"""Length of a text, in characters, from which on it is an article."""
SHORT = 600
"""The same for what is known by its words alone, not by its markup."""
SHELL = 60
"""The same for a page that is made by scripts."""
HEAD = 400_000
"""How much of the markup is searched, in characters."""


def wall_of(headers: Mapping[str, str], markup: str, title: str, text: str) -> str:
    """Returns what a page is in place of what was asked for, as in "it is ..."; "" for a page that can be read.

    headers: of the response, names in lower case. markup: the HTML. title, text: as they were read.
    """
    mitigated = headers.get("cf-mitigated", "") == "challenge" or "x-amzn-waf-action" in headers
    if mitigated:
        return _bot_check("Cloudflare" if "cf-mitigated" in headers else "AWS WAF")
    if len(text) >= ARTICLE:
        return ""
    markup = markup[:HEAD]
    services = (*_SERVICES, *_ALSO_BESIDE_TEXT) if len(text) < SHELL else _SERVICES
    service = next((name for name, mark in services if mark.search(markup)), "")
    if not service and _WAITING.search(markup) and _OF_CLOUDFLARE.search(markup):
        service = "Cloudflare"
    if service:
        return _bot_check(service)
    page = f"{title[:300]}\n{text}"
    if len(text) < SHORT:
        for pattern, what in _BY_WORDS:
            if pattern.search(page):
                return what
        if _is_login(markup, title, text):
            return "a login page: the text is for those who are signed in"
        if _is_not_found(title, text):
            return "an error page: the page was not found there"
    return _shell(markup, text)


def _bot_check(service: str) -> str:
    return f"a check against robots ({service}), which can't be passed"


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_SERVICES = (
    (
        "Cloudflare",
        _pattern(
            r"window\._cf_chl_opt|cf-browser-verification",
            r"cf_chl_(?:prog|opt|rc)|id=[\"']?challenge-(?:form|running|stage)",
            r"<title>\s*(?:Attention Required! \| Cloudflare|Please Wait\.\.\. \| Cloudflare)\s*</title>",
            r"class=[\"']?cf-error-(?:details|overview)|id=[\"']?cf-error-details",
        ),
    ),
    ("DataDome", _pattern(r"<(?:script|iframe)[^>]{0,500}captcha-delivery\.com", r"var dd=\{[^}]{0,500}'rt'")),
    ("PerimeterX", _pattern(r"id=[\"']?px-captcha", r"captcha\.px-cdn", r"window\._px(?:HostUrl|Uuid)")),
    (
        "Akamai",
        _pattern(r"errors\.edgesuite\.net", r"id=[\"']?sec-(?:if-)?cpt-", r"[?&]bm-verify=", r"_sec/cp_challenge"),
    ),
    (
        "Imperva",
        _pattern(
            r"Incapsula incident ID", r"<iframe[^>]{0,300}_Incapsula_Resource", r"id=[\"']?distilIdentificationBlock"
        ),
    ),
    ("AWS WAF", _pattern(r"window\.gokuProps")),
    ("Sucuri", _pattern(r"sucuri_cloudproxy_js", r"<title>\s*Sucuri WebSite Firewall")),
    ("DDoS-Guard", _pattern(r"<title>\s*DDoS-Guard\s*</title>", r"/\.well-known/ddos-guard/js-challenge")),
    ("Anubis", _pattern(r"id=[\"']?anubis_challenge", r"/\.within\.website/x/cmd/anubis/")),
    ("Vercel", _pattern(r"<title>\s*Vercel Security Checkpoint\s*</title>")),
    ("Aliyun", _pattern(r"var arg1\s*=\s*'[0-9A-F]{40}'", r"id=[\"']?aliyun_waf|aliyunCaptcha")),
    ("Baidu", _pattern(r"wappass\.baidu\.com/static/captcha", r"<title>\s*百度安全验证\s*</title>")),
)
"""The markup of the services that put a check before a page."""
_ALSO_BESIDE_TEXT = (
    ("PerimeterX", _pattern(r"window\._px(?:AppId|jsClientSrc)")),
    ("Imperva", _pattern(r"_Incapsula_Resource")),
    ("AWS WAF", _pattern(r"window\.awsWafCookieDomainList", r"src=[^>]{0,300}\.token\.awswaf\.com")),
    ("Kasada", _pattern(r"window\.KPSDK\s*=", r"<script[^>]{0,300}/ips\.js\?")),
    ("Geetest", _pattern(r"(?:src|href)=[^>]{0,300}static\.geetest\.com", r"initGeetest4?\s*\(")),
    ("a captcha", _pattern(r"class=[\"']?(?:g-recaptcha|h-captcha|cf-turnstile)")),
)
"""The same for markup that real pages have too, and that tells only where there is no text."""
_WAITING = _pattern(
    r"<title>\s*(?:just a moment|un momento|einen moment"
    r"|un instant|请稍候|お待ちください|один момент)(?:\.\.\.|…)?\s*</title>"
)
_OF_CLOUDFLARE = _pattern(r"cdn-cgi/challenge-platform|challenges\.cloudflare\.com")

_BY_WORDS = (
    (
        _pattern(
            r"\bverify(?:ing)? (?:that )?you(?:'re| are|’re) (?:a )?(?:human|not a (?:ro)?bot)",
            r"\b(?:please )?(?:confirm|prove)(?: that)? you(?:'re| are|’re) (?:a )?(?:human|not a (?:ro)?bot)",
            r"^(?:[\w ]{1,40} [-|–] )?are you a (?:ro)?bot\?\s*(?:\n|\Z)|(?:^|\n)i(?:'m| am|’m) not a (?:ro)?bot",
            r"mak(?:ing|e) sure (?:that )?you(?:'re| are|’re) not a (?:ro)?bot",
            r"^安全验证\b|网络环境存在异常|点击.{0,12}按钮进行验证",
            r"checking (?:your browser|if the site connection is secure|the site connection security)",
            r"checking if you(?:'re| are|’re) (?:a )?human",
            r"unusual (?:traffic|activity) from your (?:computer|network|ip)",
            r"press (?:&|and) hold to confirm you are",
            r"pardon our interruption",
            r"made us think (?:that )?you (?:were|are|might be) a (?:ro)?bot",
            r"sorry,? you have been blocked",
            r"access to this page has been (?:denied|blocked)",
            r"you don[’']t have permission to access .{1,300}\s+on this server\.\s*+Reference #",
            r"(?:please )?(?:enter|type|solve|complete) the (?:re)?captcha",
            r"complete the (?:security check|challenge) (?:below )?to (?:access|continue|proceed)",
            r"ddos protection by ",
            r"请(?:先)?(?:完成|进行|通过)(?:以下|下方|下列|安全)*(?:安全)?验证",
            r"拖动滑块|滑动验证|当前环境异常|请输入验证码|访问验证",
            r"请完成下列验证后继续|检测到.{0,12}异常(?:流量|访问|请求)|您的访问.{0,10}(?:过于频繁|被拦截)",
            r"подтвердите, что (?:вы не робот|запросы отправляли вы)|вы не робот\?",
            r"bestätigen sie, dass sie (?:ein mensch|kein roboter)|ロボットではありません|ロボットでないこと",
            r"vérifiez que vous êtes (?:un )?humain|vérification que vous n'êtes pas un robot|로봇이 아닙니다",
            r"confirme que (?:usted )?(?:no )?(?:es|eres|você é|não é) (?:un |um )?(?:humano|robot|robô)",
        ),
        _bot_check("a captcha or the like"),
    ),
    (
        _pattern(
            r"before you continue to (?:google|youtube|yahoo)",
            r"(?:accept|allow|consent to|agree to)(?: (?:all|the|our|use of|these))* cookies (?:to|before you|and) "
            r"(?:continue|access|view|read|proceed|see|enter)",
            r"to (?:continue|access|view|read|proceed)[^.\n]{0,60}(?:accept|allow|agree to)[^.\n]{0,30}cookie",
            r"please (?:enable|turn on|allow) (?:your )?(?:browser )?cookies\b|cookies must be enabled",
            r"your browser (?:is blocking|does not (?:accept|support)) cookies",
            r"mit werbung (?:und tracking )?(?:weiter|lesen)|cookies (?:akzeptieren|zustimmen) und weiter",
            r"bitte (?:aktivieren|erlauben) sie cookies|zustimm\w+,? um (?:fortzufahren|weiterzulesen)",
            r"accept(?:er|ez) (?:les |tous les )?cookies pour (?:continuer|accéder|lire)|continuer sans accepter",
            r"acept(?:ar|e|a) (?:las |todas las )?cookies para (?:continuar|acceder|leer)",
            r"请(?:先)?(?:启用|接受|允许|开启)\s*cookies?|включите (?:файлы )?cookies?",
        ),
        "a cookie wall: the text is shown only to those who accept cookies",
    ),
    (
        _pattern(
            r"(?:please|need to|must|have to) (?:enable|turn on|activate|allow) (?:your )?(?:browser.s )?java\s?script",
            r"(?:site|page|app|application|website|content|feature) (?:requires|needs) java\s?script",
            r"java\s?script (?:must|has to|needs to) be (?:enabled|turned on|activated)",
            r"java\s?script (?:is|seems to be|appears to be) (?:disabled|required|turned off|blocked|not available)",
            r"browser (?:does not|doesn[’']t) support java\s?script",
            r"java\s?script (?:and cookies )?to (?:continue|run|view)",
            r"(?:启用|开启|打开|允许|需要)\s*(?:浏览器的?)?\s*java\s?script",
            r"(?:включите|требуется|включить) java\s?script",
            r"java\s?script (?:aktivieren|ist (?:deaktiviert|erforderlich)|を有効|가 필요|を許可)",
            r"(?:aktivieren sie|activez|activer|active|habilite) java\s?script",
        ),
        "a page that needs JavaScript: its text is loaded by scripts",
    ),
)
"""Sentences that stand on a short page only if it is what they say."""

_LOGIN_TITLE = _pattern(
    r"^\W*(?:please )?(?:log ?in|sign ?in|sign ?on|log on)\b",
    r"^\W*(?:anmelden|anmeldung|einloggen|connexion|se connecter)\b",
    r"^\W*(?:iniciar sesión|inicia sesión|acceder|entrar|accedi|войти|вход|авторизация|登录|登入|登錄|ログイン|로그인)",
    r"(?:^|[-|–·:] *)(?:log ?in|sign ?in|login|anmelden|登录|登入|войти|вход|ログイン|로그인)\W*$",
    r"^(?:[^\n]{1,40}: )?log in or sign up",
)
_LOGIN_WORDS = _pattern(
    r"(?:please |you (?:must|need to|have to) (?:be )?)(?:log(?:ged)?|sign(?:ed)?)[ -]?in\b",
    r"(?:log|sign) ?in (?:or (?:sign|register|create)[^.\n]{0,30} )?to (?:continue|view|read|see|access|proceed)\b",
    r"only (?:members|subscribers|registered users) can (?:see|view|read)",
    r"请先(?:登录|登入|登錄)|请(?:登录|登入|登錄)[后後以查继]|登[录入錄](?:后|後)(?:查看|继续|可见|繼續|阅读|才能)",
    r"войдите,? (?:чтобы|в)|необходимо (?:войти|авторизоваться)",
    r"bitte (?:melden sie sich an|anmelden|einloggen)",
    r"veuillez vous (?:connecter|identifier)|ログインしてください|로그인이 필요",
)
_PASSWORD = re.compile(r"<input[^>]{0,500}type\s*=\s*[\"']?password", re.IGNORECASE)


def _is_login(markup: str, title: str, text: str) -> bool:
    """Whether a short page asks to sign in: with a field for the password, or with nothing but that sentence."""
    words = _LOGIN_WORDS.search(text)
    if _PASSWORD.search(markup):
        return bool(words or _LOGIN_TITLE.search(title) or _LOGIN_TITLE.search(text.lstrip("# ")))
    if len(text) < SHELL and _LOGIN_TITLE.search(title):
        return True
    return bool(words) and len(text) < SHORT // 2 and (words.start() < 80 if words else False)


_NOT_FOUND = re.compile(
    r"\W*(?:(?:(?:http|error|erreur|fehler|ошибка|错误|エラー|오류) ?)?404(?: error| not found| page)?"
    r"(?:[\s:.,!()–-]+(?:error|(?:the )?(?:page|file)(?: was| could)? ?not (?:be )?found|not found)\W*1?)?"
    r"|(?:(?:oops|sorry|whoops|uh-oh|error)[!,.:… ]*)?(?:the |this |that )?(?:requested "
    r"|error )?(?:page|url|file|document|article|content|resource)"
    r"(?: you(?:'re| are|’re) looking for| you requested| requested)?"
    r"(?:(?: was| is)? not found|(?: can(?:'t|not|’t)| could(?: not"
    r"|n't|n’t)) be found|(?: does(?: not|n't|n’t)| no longer) exists?"
    r"|(?: is| was| has been)? (?:unavailable|not available|no longer available|missing|removed|deleted))"
    r"(?: \(?(?:error )?404\)?| on this (?:site|server))?"
    r"|not found|nothing found|(?:oops|whoops)!? (?:that page can[’']t be found"
    r"|we can[’']t find that page|page not found)"
    r"|we can[’']t (?:seem to )?find (?:that|the|this) page(?: you(?:'re| are|’re) looking for)?"
    r"|(?:seite|dokument|artikel) (?:wurde )?nicht gefunden"
    r"|(?:diese|die) seite (?:existiert nicht|wurde nicht gefunden)"
    r"|(?:cette )?page (?:introuvable|non trouvée|inexistante)|página no encontrada|página não encontrada"
    r"|(?:la )?página (?:que buscas )?no existe|pagina non trovata|pagina niet gevonden|strona nie została znaleziona"
    r"|(?:такая )?страница не (?:найдена|существует)|сторінку не знайдено|sayfa bulunamadı"
    r"|(?:抱歉[,，!！]?\s*)?(?:您(?:要)?(?:访问|查看|找)的)?(?:页面|网页|頁面"
    r"|網頁|内容|文章)(?:不存在|未找到|找不到(?:了)?|没有找到|已(?:被)?删除|走丢了|丢失了)"
    r"|(?:找不到|未找到|没有找到)(?:该|此|您要的|这个)?(?:页面|网页|頁面|網頁)"
    r"|(?:お探しの|指定された)?(?:ページ|記事)(?:が"
    r"|は)(?:見つかりません(?:でした)?|存在しません)|페이지를 찾을 수 없습니다"
    r"|الصفحة غير موجودة|لم يتم العثور على الصفحة|הדף לא נמצא|पृष्ठ नहीं मिला|پیج نہیں ملا)\W*",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\s+[|–—·»:-]+\s+|\s*[|»]\s*|: ")


_SORRY = re.compile(r"^\W*(?:oops|whoops|uh[- ]oh|(?:we.re |we are )?sorry|很?抱歉|lo sentimos)\W+", re.IGNORECASE)


def _is_not_found(title: str, text: str) -> bool:
    """Whether a part of the title, or the first line of a page of a few sentences, is nothing but that error."""
    parts = [title, *_PARTS.split(title)][:8] if len(title) < 300 else []
    if any(_NOT_FOUND.fullmatch(part) for part in parts):
        return True
    first = _SORRY.sub("", text.split("\n", 1)[0].lstrip("# "))
    sentence = re.split(r"(?<=[.!?。！？])\s*", first, maxsplit=1)[0]
    return len(text) < SHORT // 2 and any(len(each) < 200 and _NOT_FOUND.fullmatch(each) for each in (first, sentence))


_LOADED = re.compile(
    r"\W*(?:loading|please wait|lade|chargement|cargando|загрузка|加载中|正在加载|読み込み中|로딩)?\W*", re.IGNORECASE
)
_JAVASCRIPT = re.compile(r"java\s?script", re.IGNORECASE)
_ASKS = _pattern(
    r"java\s?script\s[\s\S]{0,60}(?:run|use|view|continue|access|proceed|load|display)\b",
    r"work[\s\S]{0,20} without java\s?script",
    r"(?:requires|needs) java\s?script|java\s?script (?:is )?(?:required|disabled)",
)
"""What the page of an app says to those without scripts."""


def _shell(markup: str, text: str) -> str:
    """Returns the name of a page whose text is loaded by scripts: what is there without them is next to nothing."""
    if len(text) > SHELL and not _JAVASCRIPT.search(text):
        return ""
    if "<script" not in markup.lower():
        return ""
    page = _Seen()
    parser = etree.HTMLParser(target=page, huge_tree=True)
    parser.feed(markup)
    parser.close()
    asks = any(_ASKS.search(" ".join(each)) for each in page.without_scripts)
    seen = " ".join(" ".join(page.parts).split())
    if _LOADED.fullmatch(seen) or (asks and len(seen) <= SHELL):
        return "an empty page that needs JavaScript: its text is loaded by scripts"
    return ""


_UNSEEN = frozenset(("script", "style", "noscript", "template", "head"))


@dataclass
class _Seen:
    """What the parser calls for each tag and each text of a page. parts: what is seen without scripts. without_scripts:
    the texts in each <noscript>."""

    parts: list[str] = field(default_factory=list)
    without_scripts: list[list[str]] = field(default_factory=list)
    _unseen: list[str] = field(default_factory=list)
    """The elements that are open in one that is not seen, with it."""

    _noscripts: int = 0
    """How many <noscript> are open."""

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        if tag == "noscript":
            self._noscripts += 1
            self.without_scripts.append([])
        if self._unseen or tag in _UNSEEN:
            self._unseen.append(tag)

    def end(self, _: str) -> None:
        if self._unseen and self._unseen.pop() == "noscript":
            self._noscripts -= 1

    def data(self, text: str) -> None:
        if not self._unseen:
            self.parts.append(text)
        elif self._noscripts and self._unseen[-1] not in ("script", "style"):
            self.without_scripts[-1].append(text)

    def close(self) -> None:
        """Nothing is left to do."""
