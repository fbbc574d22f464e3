// What the words, strings and comments of a programming language look like. Each pattern reads on from where it begins and
// takes what it has read, closed or not, or gives up after a bounded number of characters: code that others wrote is read in
// linear time.

/** Patterns by the kind of what they find, in the order in which they are tried. */
type Kinds = [kind: Kind, pattern: string][];
export type Kind = "comment" | "string" | "number" | "name" | "key" | "variable" | "meta" | "added" | "removed" | "strong" | "keyword";

export interface Language {
  kinds: Kinds;
  /** Whether upper and lower case are the same. */
  isCaseless?: boolean;
  /** Whether its words are names of types and functions. */
  hasNames?: boolean;
}

const words = (text: string): string => `\\b(?:${text.trim().split(/\s+/).join("|")})\\b`;

const SLASHES = String.raw`\/\/.*|\/\*[^]*?(?:\*\/|$(?![^]))`;
const HASH = String.raw`(?<![^\s;(])#.*`;
const DOUBLE = String.raw`"(?:\\[^]|[^"\\\n])*"?`;
const SINGLE = String.raw`'(?:\\[^]|[^'\\\n])*'?`;
const BACKTICK = "`(?:\\\\[^]|[^`\\\\])*`?";
const TRIPLE = String.raw`[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$(?![^]))|'''[^]*?(?:'''|$(?![^])))`;
const CHAR = String.raw`'(?:\\.[^'\n]{0,8}|[^'\\\n])'`;
const NUMBER = String.raw`(?<![\w.])(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)[A-Za-z%]{0,4}\b`;
const INDENT = String.raw`^[ \t]*`;

/** A language with comments, strings and words as most have them. */
function usual(comments: string, strings: string, keywords: string, more: Kinds = []): Language {
  const kinds: Kinds = [["comment", comments], ...more, ["string", strings], ["number", NUMBER], ["keyword", words(keywords)]];
  return { kinds, hasNames: true };
}

const C = `
    break case const continue default do double else enum extern float for goto if int long return short signed
    sizeof static struct switch typedef union unsigned void volatile while char auto register inline bool true
    false NULL`;
const CPP = `
    ${C} class namespace template typename public private protected virtual override final using new delete this
    throw try catch constexpr noexcept nullptr operator friend explicit mutable decltype static_cast
    dynamic_cast reinterpret_cast const_cast concept requires co_await co_return co_yield static_assert`;
const JAVA = `
    abstract assert boolean break byte case catch char class const continue default do double else enum extends
    final finally float for if implements import instanceof int interface long native new package private
    protected public record return sealed permits short static strictfp super switch synchronized this throw
    throws transient try var void volatile while yield true false null`;
const SCRIPT = `
    async await break case catch class const continue debugger default delete do else export extends finally for
    from function get if import in instanceof let new null of return set static super switch this throw try
    typeof undefined var void while with yield true false NaN Infinity`;
const TYPED = `
    ${SCRIPT} abstract any as asserts bigint boolean declare enum implements infer interface is keyof module
    namespace never number object override private protected public readonly satisfies string symbol type
    unknown`;
const REGEX = String.raw`(?<=(?:^|[=(,:;!&|?{}\[]|return)[ \t]{0,3})\/(?![*\/])(?:\\.|\[(?:\\.|[^\]\\\n]){0,100}\]|[^\/\\\n\[]){1,200}\/[a-z]{0,8}`;
const script = (keywords: string): Language =>
  usual(SLASHES, `${DOUBLE}|${SINGLE}|${BACKTICK}|${REGEX}`, keywords, [["meta", String.raw`@[A-Za-z]\w*`]]);

const PREPROCESSOR: Kinds = [["meta", String.raw`^[ \t]*#[ \t]*[a-z]+(?: *<[^>\n]{1,200}>)?`]];
const ATTRIBUTE: Kinds = [["meta", String.raw`@[A-Za-z_][\w.]*`]];
const SHELL_WORDS = `
    if then else elif fi for in do done while until case esac function select return exit break continue local
    export readonly declare set unset shift trap source alias echo cd test eval exec printf read sudo`;

const XML: Language = {
  kinds: [
    ["comment", String.raw`<!--[^]*?(?:-->|$(?![^]))`],
    ["meta", String.raw`<[!?][^>]{0,500}>?`],
    ["keyword", String.raw`<\/?[A-Za-z][\w:.-]*|(?<=[\w"'\s/])\/?>`],
    ["string", String.raw`(?<==[ \t]?)(?:"[^"]*"?|'[^']*'?)`],
    ["key", String.raw`(?<=\s)[A-Za-z_:@#*][\w:.@-]{0,100}(?==)`],
    ["number", String.raw`&#?\w{1,30};`],
  ],
};
const CSS: Language = {
  kinds: [
    ["comment", SLASHES.replace(String.raw`\/\/.*|`, "")],
    ["string", `${DOUBLE}|${SINGLE}`],
    ["meta", String.raw`@[\w-]+|!important`],
    ["key", String.raw`(?<=[{;\s])[\w-]{1,60}(?=[ \t]{0,3}:(?!hover|focus|active|not|is|where|has|first|last|nth|before|after|root|:))`],
    ["variable", String.raw`--[\w-]+|\$[\w-]+`],
    ["number", String.raw`#[\da-f]{3,8}\b|-?\b\d*\.?\d+(?:[a-z]{1,4}\b|%)?`],
    ["name", String.raw`[.#][A-Za-z_][\w-]*|::?[a-z-]+|\b[\w-]{1,60}(?=\()`],
  ],
  isCaseless: true,
};
const MARKDOWN: Language = {
  kinds: [
    ["strong", String.raw`^#{1,6}[ \t].*`],
    ["comment", String.raw`^>.*`],
    ["string", "^(?:```|~~~).*|`[^`\\n]{1,500}`"],
    ["keyword", String.raw`^[ \t]*(?:[-*+]|\d{1,9}[.)])(?=\s)`],
    ["strong", String.raw`\*\*[^*\n]{1,500}\*\*`],
    ["key", String.raw`\[[^\]\n]{1,300}\]\([^)\n]{0,500}\)`],
  ],
};
const YAML: Language = {
  kinds: [
    ["comment", HASH],
    ["key", String.raw`^[ \t]*(?:-[ \t]+)*(?:"[^"\n]{0,200}"|[\w.\/$@-][\w. \/$@-]{0,100})(?=[ \t]{0,3}:(?:\s|$))`],
    ["string", `${DOUBLE}|${SINGLE}`],
    ["variable", String.raw`[&*][\w-]+`],
    ["meta", String.raw`^---.*|![\w!]+`],
    ["number", NUMBER],
    ["keyword", words("true false null yes no on off")],
  ],
};
const JSON_KINDS: Language = {
  kinds: [
    ["comment", SLASHES],
    ["key", String.raw`"(?:\\.|[^"\\\n]){0,300}"(?=[ \t]{0,3}:)`],
    ["string", DOUBLE],
    ["number", String.raw`-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?`],
    ["keyword", words("true false null")],
  ],
};
const INI: Language = {
  kinds: [
    ["comment", `${INDENT}[;#].*|${HASH}`],
    ["strong", String.raw`^[ \t]*\[.*\]`],
    ["key", String.raw`^[ \t]*[\w."-][\w. "-]{0,100}(?=[ \t]{0,3}=)`],
    ["string", `${TRIPLE}|${DOUBLE}|${SINGLE}`],
    ["number", NUMBER],
    ["keyword", words("true false yes no on off")],
  ],
};
const DIFF: Language = {
  kinds: [
    ["strong", String.raw`^(?:diff|index|---|\+\+\+|\*\*\*).*`],
    ["meta", "^@@.*"],
    ["added", String.raw`^\+.*`],
    ["removed", "^-.*"],
  ],
};
const SHELL: Language = usual(HASH, `${DOUBLE.replaceAll(String.raw`\n`, "")}|'[^']*'?`, SHELL_WORDS, [
  ["variable", String.raw`\$(?:\w+|\{[^}\n]{0,200}\}?|[@#?*!$])`],
  ["key", String.raw`(?<=\s)--?[A-Za-z][\w-]*`],
]);
const SQL_WORDS = `
    select from where insert into values update set delete create table view index drop alter add column primary
    key foreign references unique not null default check constraint join left right inner outer full cross on
    using group by order having limit offset union all distinct as and or in is like ilike between exists case
    when then else end begin commit rollback transaction with recursive returning grant revoke explain analyze
    over partition window cast coalesce count sum avg min max true false asc desc int integer bigint text
    varchar char boolean date timestamp numeric decimal serial if replace trigger function procedure declare`;

/** The languages by all of their names. */
export const LANGUAGES: Record<string, Language> = {
  "bash sh shell zsh console terminal shellsession": SHELL,
  "c h": usual(SLASHES, `${DOUBLE}|${CHAR}`, C, PREPROCESSOR),
  "cpp c++ cc cxx hpp cuda cu arduino": usual(SLASHES, `${DOUBLE}|${CHAR}`, CPP, PREPROCESSOR),
  "csharp cs c#": usual(SLASHES, `[$@]{0,2}${DOUBLE}|${CHAR}`, `
    ${JAVA} async await base bool checked decimal delegate dynamic event explicit extern fixed foreach get goto
    implicit in init internal is lock namespace object operator out override params readonly ref sbyte set
    sizeof stackalloc string struct typeof uint ulong unchecked unsafe ushort using value virtual when where
    partial`),
  "css scss less sass": CSS,
  "dart": usual(SLASHES, `${TRIPLE}|${DOUBLE}|${SINGLE}`, `
    ${JAVA} async await dynamic export external factory Function get in is late library mixin on operator part
    required rethrow set show hide typedef with String`, ATTRIBUTE),
  "diff patch": DIFF,
  "dockerfile docker": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    FROM AS RUN CMD LABEL EXPOSE ENV ADD COPY ENTRYPOINT VOLUME USER WORKDIR ARG ONBUILD STOPSIGNAL HEALTHCHECK
    SHELL`, [["variable", String.raw`\$\{?\w+\}?`]]),
  "elixir ex exs": usual(HASH, `${TRIPLE}|${DOUBLE}`, `
    def defp defmodule defmacro defstruct do end fn if else unless case cond with for when and or not in import
    alias use require receive after try rescue catch raise true false nil`, [["variable", String.raw`(?<!:):[a-z_]\w*|@\w+`]]),
  "go golang": usual(SLASHES, `${DOUBLE}|${CHAR}|${BACKTICK}`, `
    break case chan const continue default defer else fallthrough for func go goto if import interface map
    package range return select struct switch type var true false nil iota string int int8 int16 int32 int64
    uint byte rune float32 float64 bool error any make new len cap append panic recover`),
  "graphql gql": usual(HASH, DOUBLE, `
    type query mutation subscription fragment on schema scalar enum input interface union implements extend
    directive true false null`, [["variable", String.raw`[$@]\w+`]]),
  "haskell hs": usual(String.raw`--.*|\{-[^]*?(?:-\}|$(?![^]))`, `${DOUBLE}|${CHAR}`, `
    case class data default deriving do else foreign if import in infix infixl infixr instance let module
    newtype of then type where qualified as hiding`),
  "ini toml conf cfg properties dotenv env editorconfig": INI,
  "java": usual(SLASHES, `${TRIPLE}|${DOUBLE}|${CHAR}`, JAVA, ATTRIBUTE),
  "javascript js jsx mjs cjs node": script(SCRIPT),
  "json json5 jsonc jsonl ndjson": JSON_KINDS,
  "julia jl": usual(HASH, `${TRIPLE}|${DOUBLE}`, `
    function end if else elseif for while in do let begin return break continue struct mutable abstract type
    module using import export const global local macro quote try catch finally true false nothing where`, [["meta", String.raw`@\w+`]]),
  "kotlin kt kts gradle groovy scala": usual(SLASHES, `${TRIPLE}|${DOUBLE}|${CHAR}`, `
    ${JAVA} fun val when is in object companion data override open internal lateinit by init suspend inline
    reified operator typealias where as def trait match lazy implicit given with`, ATTRIBUTE),
  "latex tex": { kinds: [["comment", String.raw`(?<!\\)%.*`], ["keyword", String.raw`\\(?:[A-Za-z@]+\*?|.)`], ["string", String.raw`\$[^$\n]{1,500}\$`]] },
  "lua": usual(String.raw`--\[\[[^]*?(?:\]\]|$(?![^]))|--.*`, String.raw`${DOUBLE}|${SINGLE}|\[\[[^]*?(?:\]\]|$(?![^]))`, `
    and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while`),
  "makefile make mk": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    ifeq ifneq ifdef ifndef else endif include define endef export override`, [["key", String.raw`^[\w.%\/ -]{1,200}(?=:)`], ["variable", String.raw`\$[({]?[\w.@<^*]+[)}]?`]]),
  "markdown md mdx": MARKDOWN,
  "nginx": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    server location listen server_name root index proxy_pass upstream return rewrite if set include http events
    worker_processes on off`, [["variable", String.raw`\$\w+`]]),
  "perl pl": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    my our local sub use package if elsif else unless while until for foreach return last next redo print die
    eval require and or not eq ne lt gt`, [["variable", String.raw`[$@%]\w+`]]),
  "php": usual(`${SLASHES}|${HASH}`, `${DOUBLE}|${SINGLE}`, `
    ${JAVA} and array as callable declare echo elseif empty endfor endforeach endif endwhile fn foreach function
    global include include_once isset list match namespace or print readonly require require_once self string
    trait unset use xor mixed`, [["variable", String.raw`\$\w+`], ["meta", String.raw`<\?(?:php|=)?|\?>`]]),
  "powershell ps1 pwsh": { ...usual(String.raw`<#[^]*?(?:#>|$(?![^]))|#.*`, `${DOUBLE}|'[^']*'?`, `
    begin break catch class continue do else elseif end exit filter finally for foreach from function if in
    param process return switch throw trap try until while`, [["variable", String.raw`\$(?:\{[^}\n]{0,100}\}?|[\w:]+)`], ["key", String.raw`(?<=\s)-[A-Za-z]+`], ["name", String.raw`\b[A-Z][a-z]+-[A-Z]\w+`]]), isCaseless: true },
  "protobuf proto": usual(SLASHES, DOUBLE, `
    syntax package import option message enum service rpc returns stream repeated optional required oneof map
    reserved extend int32 int64 uint32 uint64 bool string bytes float double true false`),
  "python py python3 pycon ipython": usual(HASH, `${TRIPLE}|[rbfu]{0,2}${DOUBLE}|[rbfu]{0,2}${SINGLE}`, `
    and as assert async await break case class continue def del elif else except finally for from global if
    import in is lambda match nonlocal not or pass raise return try type while with yield True False None self
    cls`, [["meta", String.raw`^[ \t]*@[\w.]+|^>>>|^\.\.\.`]]),
  "r": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    if else for while repeat function break next return in TRUE FALSE NULL NA Inf NaN library require`),
  "ruby rb": usual(HASH, `${DOUBLE}|${SINGLE}`, `
    alias and begin break case class def defined do else elsif end ensure false for if in module next nil not or
    redo rescue retry return self super then true undef unless until when while yield require require_relative
    attr_accessor attr_reader puts raise`, [["variable", String.raw`@{1,2}\w+|(?<![:\w]):[A-Za-z_]\w*`]]),
  "rust rs": usual(SLASHES, String.raw`b?r?${DOUBLE}|${CHAR}`, `
    as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod
    move mut pub ref return self Self static struct super trait true type unsafe use where while i8 i16 i32 i64
    i128 u8 u16 u32 u64 u128 isize usize f32 f64 bool char str String Vec Option Result Some None Ok Err Box`, [["meta", String.raw`#!?\[[^\]\n]{0,200}\]?|\b\w+!(?=[(\[{])`], ["variable", String.raw`'[a-z_]+\b(?!')`]]),
  "sql postgresql postgres mysql sqlite plsql tsql": { ...usual(String.raw`--.*|\/\*[^]*?(?:\*\/|$(?![^]))`, String.raw`'[^']*'?|"[^"\n]*"?`, SQL_WORDS), isCaseless: true },
  "swift": usual(SLASHES, `${TRIPLE}|${DOUBLE}`, `
    actor as associatedtype async await break case catch class continue convenience default defer deinit do else
    enum extension fallthrough false fileprivate final for func get guard if import in init inout internal is
    lazy let mutating nil open operator override private protocol public repeat required rethrows return self
    Self set some static struct subscript super switch throw throws true try typealias unowned var weak where
    while Int String Bool Double`, ATTRIBUTE),
  "terraform hcl tf": usual(`${SLASHES}|${HASH}`, DOUBLE, `
    resource data variable output module provider locals terraform for in if true false null`, [["key", String.raw`^[ \t]*[\w-]{1,100}(?=[ \t]{0,20}=)`]]),
  "typescript ts tsx mts cts": script(TYPED),
  "xml html xhtml svg vue svelte astro": XML,
  "yaml yml": YAML,
  "zig": usual(SLASHES, `${DOUBLE}|${CHAR}`, `
    const var fn pub return if else while for switch struct enum union error try catch defer errdefer comptime
    inline test break continue and or orelse unreachable undefined null true false usize u8 i32 void bool`, [["meta", String.raw`@\w+`]]),
};
