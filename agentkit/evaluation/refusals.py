"""Whether an answer says that nothing was found.

Its first sentence is looked at: what the documents (or "I", the one who answers) do not say, have or find. That a lake
"does not contain fish" is an answer. These are patterns of a dozen languages, and no understanding: a refusal that is
written otherwise is missed.
"""

import re

MOST_LOOKED_AT = 300
"""How many characters of an answer are looked at."""

_END = re.compile(r"(?<=\S)[.!?…](?=[\s*\"”»)]|$)|[。！？؟\n]")
_APOLOGY = re.compile(
    r"(?:(?:i am|we are|i'm) )?(?:(?:so |very )?sorry|unfortunately|apologies|i apologi[sz]e|hello|hi|抱歉|对不起"
    r"|對不起"
    r"|申し訳ありません|すみません|죄송합니다|entschuldigung|désolée?|lo siento|извините|к сожалению|عذرا)"
    r"(?: for [\w ]{1,40}| about [\w ]{1,40})?"
)
_PAPERS = (
    r"\b(?:document|documentation|source|context|text|passage|article|page|file|material|search|result|information"
    r"|notes?|excerpt|paragraph|knowledge base|database|record)s?\b"
)
_SAY = (
    r"(?:mention|say|contain|include|specif|stat|provid|giv|have|has|answer|cover|discuss|describ|address|list|indicat"
    r"|reveal|tell|show|name|offer|appear|refer|explain|talk|document)\w*"
)
_FIND = (
    r"(?:find|found|know|have|see|locate|determine|answer|provide|tell|say|identify|access|any|enough|sufficient|sure"
    r"|aware)\b"
)
_KINDS = (
    r"(?:answers?|information|info|mention|sources?|results?|documents?|match(?:es)?|details?|references?|records?)"
)
_ENGLISH = (
    rf"{_PAPERS}(?: [\w-]+){{0,4}}? (?:do|does|did|is|are|was|were|has|have|could|can) (?:not|never"
    rf"|no)\b(?: \w+){{0,2}}? "
    rf"{_SAY}",
    rf"{_PAPERS}(?: [\w-]+){{0,3}}? (?:(?:say|contain|have|has|mention|provide|give|include|return(?:ed)?|found"
    rf"|show)s? (?:nothing|no)\b|lacks?\b|(?:is|are) silent\b)",
    rf"\b(?:i|we) (?:am|are|was|were|do|did|could|can|have|had)(?: \w+)? not(?: \w+){{0,3}}? {_FIND}",
    rf"\b(?:i|we) (?:am |are |was |were )?(?:unable|failed) to (?:\w+ )?{_FIND}|^(?:unable|failed) to {_FIND}",
    rf"\b(?:i|we) (?:found|have|had|see|know)(?: \w+)? (?:nothing|no (?:\w+ ){{0,2}}{_KINDS})",
    r"^(?:i |we )?(?:do|can|could|did) not (?:know|find|answer|tell|determine)\b",
    rf"\bnot (?:\w+ )?(?:mentioned|specified|stated|found|given|provided|available|included|covered|discussed|described"
    rf"|addressed|listed|documented|answered|said|contained|present|there)(?: anywhere)? (?:in|by|from"
    rf"|within)\b[^,;]{{0,30}}"
    rf"{_PAPERS}",
    r"(?:^|\b(?:is|are|was|were|be|been) )not (?:\w+ )?(?:mentioned|specified|stated|provided|given|available|found"
    r"|documented|known)\W*$",
    r"^nothing (?:\w+ ){0,2}?(?:found|matches|relevant|in the|about|is (?:known|said|stated))\b",
    rf"^no (?:\w+ ){{0,2}}?{_KINDS}(?:\W*$| (?:\w+ ){{0,3}}?(?:found|available|given|provided|matche[sd]|match"
    rf"|mentions?"
    r"|located|about|regarding)\b| (?:on|for|of|that|to)\b)",
    rf"\bthere (?:is|are|was|were) (?:nothing|no(?:t any|t enough)? (?:\w+ ){{0,2}}?{_KINDS})\b",
    rf"\b(?:is|are|was|were) not in (?:\w+ ){{0,3}}?{_PAPERS}\W*$|^neither (?:\w+ )?{_PAPERS}",
    rf"^(?:none|neither|nothing) (?:of|in|from)\b[^,;]{{0,25}}{_PAPERS}",
    r"\b(?:not enough|insufficient) (?:\w+ )?(?:information|context|data|evidence)\b",
    r"\bcan not be (?:answered|determined|found)(?:\W*$| (?:from|with|by|using|based|in|here)\b)",
    r"^(?:this |it |that |the answer )?(?:is )?(?:unanswerable|unknown)\W*$",
)
_OTHERS = (
    # German
    r"^(?=.*\b(?:ent?h[aä]l|erwähn|genannt|nenn|gibt|geben|sag|steh|find|antwort|ange|angabe|inform|hervor|liefer))"
    r".*?\b(?:dokument|quelle|text|unterlage|kontext|artikel|datei|seite|auszug)\w*\b[^,;:]{0,50}?\b(?:nicht"
    r"|nichts|kein\w*)\b",
    r"\b(?:nicht|nichts|kein\w*)\b[^,;:]{0,40}?\b(?:in|aus|laut) (?:\w+ ){0,2}?"
    r"(?:dokument|quelle|text|unterlage|kontext|artikel|datei)",
    r"\b(?:ich|wir)\b[^,;:]{0,40}?\b(?:nicht|nichts|keine\w*)\b[^,;:]{0,40}?(?:finden|gefunden|beantwort|wissen"
    r"|antwort|inform)",
    r"\bich wei(?:ß|ss) (?:es |das )?(?:leider )?nicht|^(?:dazu |darüber )?(?:wurde |gibt es |liegen )?(?:leider )?"
    r"(?:nichts|keine (?:\w+ )?(?:information|angabe|antwort|ergebnis|treffer|quelle|hinweis))",
    r"\b(?:nichts|nicht) gefunden|\bnicht (?:erwähnt|angegeben|bekannt)\W*$",
    # French
    r"\b(?:document|source|texte|contexte|article|passage|page|fichier|extrait)s?\b[^,;:]{0,30}?\b(?:ne "
    r"|n')[^,;:]{0,12}?"
    r"(?:mentionn|précis|contien|indiqu|di[st]|fourni|donn|parl|répond|trouv|permet|compor)",
    r"\bje (?:ne |n')(?:\w+ )?(?:sais|trouv|peux|dispos|ai (?:pas|rien|aucun|trouvé)|ai \w+ (?:pas|rien|trouv))",
    r"\b(?:pas|rien|été|jamais) (?:été )?(?:trouvé|mentionné|précisé|indiqué)|^aucune? (?:\w+ )?(?:info|résult"
    r"|menti|docum|sourc"
    r"|répon)|\bimpossible de (?:répondre|trouver|déterminer)",
    # Spanish
    r"\bno (?:he |se ha |se han |hemos )?(?:podido )?(?:encontr|hallad)|\bno (?:pude|puedo|logré) (?:encontr"
    r"|respond|determin)"
    r"|\bno hay (?:\w+ )?(?:informaci|datos|respuesta|nada|menci)|\bno (?:tengo|dispongo de) (?:\w+ )?(?:informa"
    r"|datos)|\bno (?:lo )?sé\b"
    r"|\bno se (?:mencion|indica|especific|encontr)|\b(?:sin|ninguna) (?:informaci|menci)",
    r"\b(?:documento|fuente|texto|contexto|artículo|página|archivo)s?\b[^,;:]{0,30}?\bno (?:\w+ )?"
    r"(?:mencion|contien|especific|proporcion|indic|dic|habl|ofrec|da\b|dan\b)",
    # Portuguese, Italian
    r"\bnão (?:encontrei|foi encontrad|foram encontrad|sei\b|há (?:\w+ )?informa|consegui encontrar"
    r"|tenho (?:\w+ )?informa)|"
    r"\b(?:documento|fonte|texto|contexto)s?\b[^,;:]{0,30}?\bnão (?:mencion|cont|especific|fornec|diz|indic)",
    r"\bnon (?:ho|abbiamo|è stato|sono stat[ei]|sono riuscit[oa] a) trovat?|\bnon (?:lo )?so\W*$"
    r"|\bnessuna (?:informazione|menzione)"
    r"|\b(?:document|font|test|contest)[oiea]\b[^,;:]{0,30}?\bnon (?:menzion|conten|specific|fornisc|dic|indic)",
    # Russian
    r"\b(?:документ|источник|текст|контекст|материал|стать|файл)\w*\b[^,;:]{0,40}?\b(?:не|нет|ничего|отсутств\w*)\b",
    r"\bинформаци\w++[^,;:]{0,40}?\b(?:не |нет\b|отсутств)|\bотсутству\w+ (?:\w+ )?(?:информаци|данны|сведени)",
    r"\b(?:ничего )?не (?:найдено|удалось найти|могу (?:найти|ответить|определить)|упомина\w+|указан[оаы]?)\b"
    r"|\bне знаю\b"
    r"|\bя (?:ничего )?не наш[ёе]л|\bя не нашла|\bне наш[ёе]л (?:ответ|информ|ничего)|\bнет (?:\w+ )?(?:информации"
    r"|ответа|данных|сведений)",
    # Arabic
    r"(?:لا|لم|ليس|ليست|غير) [^،؛]{0,30}(?:الوثائق|الوثيقة|المستند|المصادر|المصدر|النص|السياق|المعلومات|معلومات)",
    r"(?:الوثائق|الوثيقة|المستند|المصادر|المصدر|النص|السياق|المعلومات|معلومات)[^،؛]{0,20} (?:لا|لم|غير)\b",
    r"لم أجد|لم أتمكن|لم يتم العثور|لا أعرف|لا أعلم|لا توجد (?:معلومات|إجابة)|غير مذكور|لا أستطيع|لا يمكنني",
    # Chinese
    r"(?:资料|文档|文件|文中|来源|上下文|原文|文本|材料|資料|文檔|來源|文獻|文献|检索结果|搜索结果)[^，；。]{0,12}"
    r"(?:没有|未|无法|沒有|並未|并未|不(?:包含|含|存在))",
    r"(?:没有|沒有|未能?|无法|無法|找不到|查不到)(?:找到|查到|检索到|提及|提到|说明|記載|记载|回答|确定|相关|相關"
    r"|足够|信息|答案|任何|該|该)"
    r"|(?:找不到|查不到)|无相关信息|不知道(?:答案)?\W*$|^我(?:也)?不知道",
    # Japanese, Korean
    r"見つか(?:り|ら)|(?:わか|分か)りませ|記載(?:が|は|され)[^、]{0,8}(?:ません|ない)|(?:情報|記述|言及"
    r"|資料)[^、]{0,8}(?:ありません|ございません|ない)",
    r"찾을 수 없|찾지 못|모르겠|정보(?:가|는) 없|언급되(?:지|어 있지) 않|나와 있지 않|기재되어 있지 않",
)
_REFUSALS = tuple(map(re.compile, (*_ENGLISH, *_OTHERS)))
_CONTRACTIONS = ((re.compile(r"\bcan'?t\b|\bcannot\b"), "can not"), (re.compile(r"n't\b|(?<=\b(?:do|is))nt\b"), " not"))
_MARKUP = (
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'s(?= no)"), " is"),
    (re.compile(r"[*_`#]|\[\d{1,3}\]|^\W+"), ""),
)


def refuses(text: str) -> bool:
    """Whether a text says in its first sentence that nothing was found; behind an apology, in the next."""
    said = text[:MOST_LOOKED_AT].replace("’", "'").casefold().strip()
    for pattern, made in (*_CONTRACTIONS, *_MARKUP):
        said = pattern.sub(made, said)
    sentences = [each.strip() for each in _END.split(said) if each.strip(" \"'”»)-")]
    if len(sentences) > 1 and _APOLOGY.fullmatch(sentences[0].rstrip(" ,")):
        sentences.pop(0)
    return any(pattern.search(sentences[0]) for pattern in _REFUSALS) if sentences else False
