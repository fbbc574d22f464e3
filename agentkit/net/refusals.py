"""What a server's refusal is about: an image, a schema, streaming; and whether it is that one request's fault, or the
server can't do such a thing at all. The words are those of `agentkit.net.error_words.words_of`."""

from agentkit._lazy.patterns import pattern

REFUSING = frozenset({400, 403, 404, 406, 413, 415, 422, 424, 500, 501})
"""Statuses of a refusal of a part of the request."""

_IMAGE = pattern(
    r"\b(?:images?|pictures?|photos?|vision|pixels?|base64|multi-?modal|media|mime[ _]?type)\b|image_url|"
    r"input_image|mmproj|"
    r"\.(?:png|jpe?g|webp|gif)\b|图片|图像|视觉|多模态|content' : value must be a string|content must be a string|"
    r"content\.type.{0,20}参数非法"
)
_ITS_KIND = pattern(
    r"(?:format|mime|type|extension|encod\w*|webp|gif|svg|heic|heif|bmp|avif|tiff?|animated|corrupt\w*|larger|size|"
    r"dimensions?|urls?|links?|more than|multiple|格式|大小|尺寸)\b"
)
_SUPPORTS = r"(?:support|accept|process|handle|allow|understand|have|take|see)\w*"
_CAN = r"(?:accept|process|handle|see|understand|take|support|view)"
_NOT = r"(?:not|n't|cannot|never|no longer)"
_VISUAL = r"(?:image|images|vision|visual|multi-?modal|picture|image_url|input_image)"
_NO_VISION = pattern(
    "|".join(
        (
            rf"(?:(?:does|do|is|are|did)(?: not|n't)(?: currently| yet)? {_SUPPORTS}|"
            rf"not support\w*)(?: \w+){{0,3}}? ['\"`]?{_VISUAL}\b",
            rf"(?:cannot|can't|can not|unable to|not able to) {_CAN}(?: \w+){{0,2}}? (?:images|vision|visual|"
            rf"multi-?modal|image inputs?)\b",
            rf"\b(?:image|vision|visual|multi-?modal)(?: content| inputs?| modality| understanding| support|"
            rf" capabilit\w+| requests?| parts?){{0,2}}"
            rf"(?: (?:is|are))? {_NOT} (?:currently )?(?:enabled|supported|available|allowed|implemented|accepted)",
            r"\bimages (?:is|are) not (?:currently )?(?:enabled|supported|available|allowed|accepted)",
            rf"(?:image_url|input_image)['\"`]?(?: \w+){{0,3}}? (?:{_NOT} (?:supported|allowed|permitted|accepted|"
            rf"implemented)|unsupported)",
            r"(?:unsupported|unknown|invalid|unexpected)(?: message)?(?: content)?(?: part)? ?(?:type|variant|value|"
            r"part)s?[: ]{1,2}['\"`]?(?:image_url|input_image|image)\b",
            r"image_url is only supported by|no endpoints found that support image|unknown variant ['\"`]?image_url",
            r"failed to deserialize.{0,200}image_url|not a (?:multi-?modal|vision|visual)|(?:text|language)[- ]only|"
            r"non-(?:vision|multi-?modal|visual)",
            r"at most 0 image|(?:use|requires?|choose|select) a (?:vision|multi-?modal)|mmproj|"
            r"only (?:supports? )?['\"`]?text['\"`]? (?:content|input|is|parts?|type)",
            r"content' : value must be a string|content must be a string|content\.type.{0,20}参数非法.{0,40}text",
            r"不支持(?:输入)?[^。，|格]{0,8}(?:图片|图像|多模态|视觉)(?!.{0,6}(?:格式|大小|尺寸|链接|类型))",
        )
    )
)
_TOO_MANY = pattern(
    r"too (?:many|much) (?:images?|media|pictures|photos|image)|at most \d+ image|image count|"
    r"max(?:imum)? (?:number of |of \d+ )?images|"
    r"images exceed|image (?:count|number|limit)|number of (?:input )?images|images? per (?:request|prompt|message|"
    r"conversation)|"
    r"(?:up to|only|limit of|more than|limited to) \d+ images?|图片(?:数|个数|数量)|"
    r"images? (?:\(\d+\) )?exceeds? (?:the )?(?:max|limit|allowed)"
)
_MOST = pattern(
    r"(?:at most|limit(?: of| is)?|up to|maximum(?: of| is)?|max|only|limited to|more than|allowed:?|"
    r">) ?\(?(\d{1,4})\b|"
    r"(\d{1,4}) images? per|最多[^\d]{0,6}(\d{1,4})"
)
_NOTHING_SAID = pattern(
    r"^(?:(?:error code: )?\d{3,4}(?!\d)|(?:invalid|bad)[ _]request(?:[ _]error)?\.?|provider returned error\.?|"
    r"(?:invalid (?:argument|(?:api )?parameter)s?|the messages parameter is illegal)"
    r"(?:[.,] please check the documentation)?\.?|"
    r"request failed\.?|error|unknown error|badrequesterror|invalid_argument|upstream error\.?| |\|)++$"
)


def is_about_images(words: str) -> bool:
    """Whether a refusal is about an image."""
    return _IMAGE.search(words) is not None


def says_no_vision(words: str) -> bool:
    """Whether the model sees no images at all: else it is the fault of an image."""
    found = _NO_VISION.search(words)
    if found is None:
        return False
    return _ITS_KIND.match(words[found.end() :].lstrip(" '\"`s:,-")) is None


def most_images(words: str) -> int | None:
    """How many images a request may have, for a refusal of too many; 0 when the words do not say; None for another."""
    if not _TOO_MANY.search(words):
        return None
    found = _MOST.search(words)
    return int(next(group for group in found.groups() if group)) if found else 0


def says_nothing(words: str) -> bool:
    """Whether a refusal gives no reason."""
    return _NOTHING_SAID.match(words) is not None


_SCHEMA = pattern(
    r"response_?(?:format|schema)|json_schema|json schema|\bschemas?\b|grammar|guided|structured|json[ _](?:mode|"
    r"object|output)|结构化"
)
_SCHEMA_OF_A_TOOL = pattern(r"\b(?:functions?|tools?)\b")
_NAMES_FORMAT = pattern(r"response_?(?:format|schema)|json_schema")
_ITS_PART = pattern(
    r"schema for response_format|in context ?=|keyword|propert|\$ref|oneof|anyof|allof|pattern|prefixitems|"
    r"uniqueitems|"
    r"recurs|nesting|too (?:complex|large|deep|many)|required'? |enum|regex|invalid schema|at path|strict|"
    r"contains|schema structure"
)
_FORMAT = (
    r"(?:response[ _]?format|json[ _]schema|structured[ _]outputs?|json[ _](?:mode|object|output)|guided[ _]\w+|"
    r"grammars?)"
)
_NO_SCHEMA = pattern(
    "|".join(
        (
            rf"(?:unknown|unrecogni[sz]ed|unexpected|unsupported|extra|invalid|"
            rf"additional)(?: \w+){{0,4}}?[ :'\"`]{{1,4}}(?:body\.)?{_FORMAT}",
            rf"{_FORMAT}\b.{{0,60}}?(?:not (?:currently |yet )?(?:supported|permitted|available|enabled|allowed|"
            rf"implemented)|un(?:supported|available|known)|"
            r"extra_forbidden|not recogni[sz]ed|only supported|deactivated|disabled)",
            rf"{_NOT} support\w*(?: \w+){{0,3}}? ['\"`]?{_FORMAT}",
            r"supported values are|must be (?:one of )?['\"`]?(?:json_object|text)|should be ['\"`]?(?:text|"
            r"json_object)|expected one of ['\"`]?text",
            r"extra_forbidden.{0,80}response_?format|不支持.{0,20}(?:response_?format|json_schema|结构化)",
        )
    )
)


def is_about_schema(words: str) -> bool:
    """Whether a refusal is about the request's response_format, and not about a tool's parameters."""
    if _NAMES_FORMAT.search(words):
        return True
    return _SCHEMA.search(words) is not None and _SCHEMA_OF_A_TOOL.search(words) is None


def names_format(words: str) -> bool:
    """Whether a refusal names the field response_format."""
    return _NAMES_FORMAT.search(words) is not None


def says_no_schema(words: str) -> bool:
    """Whether the server takes no schema at all: else it is the fault of one schema."""
    return _NO_SCHEMA.search(words) is not None and _ITS_PART.search(words) is None


_STREAM = pattern(r"\bstream(?:s|ed|ing)?\b|流式")
_NO_STREAM = pattern(
    rf"{_NOT}(?: \w+){{0,6}}? ['\"`]?stream(?:s|ed|ing)?\b|verified to stream|不支持流式|"
    rf"\bstream(?:ing)?\b['\"`]?.{{0,50}}?(?:{_NOT} (?:currently )?(?:support|available|enabled|allowed|implemented|"
    rf"permitted)|unsupported|disabled|"
    r"must be (?:set to )?false|should be false)|unsupported (?:value|parameter)[: ]{1,2}['\"`]?stream"
)
_ONLY_STREAM = pattern(
    r"only supports? (?:the )?stream|\bstream['\"`]? (?:mode )?(?:must|should|has to) be (?:set to )?(?:true|"
    r"enabled)|must (?:be )?(?:use )?stream(?:ed|ing)?\b|"
    r"please enable (?:the )?stream|non-stream(?:ing)?\b|requires? (?:['\"`]?stream|streaming)|"
    r"streaming is required|(?:只|仅)支持流式"
)


def is_about_streaming(words: str) -> bool:
    """Whether a refusal is about streaming."""
    return _STREAM.search(words) is not None


def says_no_streaming(words: str) -> bool:
    """Whether the server does not stream (this model, or with tools)."""
    return _NO_STREAM.search(words) is not None


def says_only_streaming(words: str) -> bool:
    """Whether the server answers only streamed requests."""
    return _ONLY_STREAM.search(words) is not None


def is_about_tools(words: str) -> bool:
    """Whether a refusal mentions tools."""
    return _SCHEMA_OF_A_TOOL.search(words) is not None


_WANTS_TOOLS = pattern(
    r"(?:tool calling|tool_?calls?|tool_use|tool_?results?|tooluse)\b[^|]{0,120}"
    r"(?:without [`'\"]?tools|must define tools)|"
    r"tool_?config field must be defined"
)


def wants_tools(words: str) -> bool:
    """Whether a server refuses messages of tools in a request without tools (Anthropic's and Bedrock's API behind
    gateways)."""
    return _WANTS_TOOLS.search(words) is not None


_NO_SYSTEM = pattern(
    r"system[ _-](?:role|messages?|prompts?|instructions?)\b.{0,30}(?:not supported|unsupported|not enabled)|"
    r"role\W{1,4}system\W{1,4}(?:is |are )?(?:not supported|unsupported|not allowed|invalid)|"
    r"(?:not|n't) support[a-z ]{0,20}\W?system\b(?:\W{0,2}$|\W{0,2} ?(?:role|message|prompt|instruction|with this|"
    r"[.,|]))|"
    r"only user(?:,| and) (?:and )?(?:assistant|model) roles are supported|"
    r"developer instructions? (?:is|are) not (?:enabled|supported)"
)
_NO_DEVELOPER = pattern(
    r"\bdeveloper\b.{0,80}?(?:not one of|not supported|unsupported|must be one of|expected one of|invalid|not allowed)|"
    r"(?:unknown|invalid|unexpected|unsupported|not|n't) (?:support |(?:message )?roles? |variant |value ){0,2}"
    r"\W{0,3}developer\b|"
    r"(?:incorrect|unexpected|invalid|unknown|unsupported) (?:message )?role\b"
)


def says_no_system(words: str) -> bool:
    """Whether a model or its chat template takes no instructions of their own (Gemma; Google: "Developer instruction is
    not enabled")."""
    return _NO_SYSTEM.search(words) is not None


def says_no_developer(words: str) -> bool:
    """Whether a refusal is about the role "developer", if there is a message with it."""
    return _NO_DEVELOPER.search(words) is not None
