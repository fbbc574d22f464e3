"""What the endings of files say of them."""


def _endings(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


TEXT = _endings(
    "txt text md markdown mdown mkd mdx qmd rmd rst rest tex ltx latex bib adoc asciidoc asc org log textile wiki "
    "mediawiki creole srt vtt po pot ics vcf diff patch"
)
"""Texts for people."""

CODE = _endings(
    "py pyi pyx pxd js mjs cjs jsx ts mts cts tsx vue svelte java kt kts scala groovy gradle go rs c h cc cpp cxx hpp "
    "hh hxx ino m mm cs fs fsx vb swift dart rb rake gemspec php pl pm lua r jl hs lhs elm ex exs erl hrl clj cljs "
    "cljc edn ml mli nim zig d pas f f77 f90 f95 f03 for asm s v sv vhd vhdl sh bash zsh fish ps1 psm1 bat cmd awk sed "
    "sql graphql gql proto thrift yaml yml toml ini cfg conf properties editorconfig xml xsd xsl xslt dtd css scss "
    "sass less styl cmake mk tf tfvars hcl nix bzl j2 jinja jinja2 tmpl tcl vim el lisp scm rkt sol wgsl glsl hlsl cu "
    "cl cob cbl abap ada adb ads coffee pug hbs erb ejs"
)
"""Source code, and settings that are written like it."""

SHEETS = _endings("xlsx xlsm xltx xltm")
"""Workbooks, which are read with openpyxl."""

PACKAGES = SHEETS | _endings("docx docm dotx dotm pptx pptm ppsx ppsm potx odt ott odp otp ods ots epub")
"""Documents that are ZIP files."""

DOCUMENTS = PACKAGES | _endings(
    "html htm xhtml pdf csv tsv tab psv json geojson webmanifest jsonl ndjson ipynb eml mbox mht mhtml"
)
"""What has a reader of its own."""

WITHOUT_TEXT = _endings(
    "png jpg jpeg jpe jfif gif bmp tif tiff webp avif heic heif ico icns psd ai eps svg svgz raw cr2 nef arw xcf blend "
    "fbx obj stl glb gltf dwg dxf "
    "mp3 wav flac ogg oga opus m4a aac wma aiff mid midi mp4 m4v mkv mov avi webm wmv flv mpg mpeg 3gp ogv "
    "zip gz tgz bz2 tbz xz txz zst lz4 lzma 7z rar tar jar war ear whl egg deb rpm apk ipa dmg iso img msi cab crx xpi "
    "exe dll so dylib a lib o ko pdb class pyc pyo pyd elc beam wasm bin pak rom hex "
    "ttf otf woff woff2 eot db sqlite sqlite3 db3 mdb accdb parquet feather arrow avro orc h5 hdf5 npy npz mat pkl "
    "pickle joblib pt pth ckpt safetensors gguf onnx tflite rds rdata sav dta sas7bdat "
    "pem key crt cer der p12 pfx jks keystore kdbx gpg pgp sig "
    "lock map tmp temp bak swp swo orig part crdownload torrent lnk url ds_store "
    "db-wal db-shm db-journal sqlite-wal sqlite-shm sqlite-journal sqlite3-wal sqlite3-shm sqlite3-journal"
)
"""Images, sound, archives, programs, data of programs, keys, and what is not worth reading."""

INSTEAD = {
    **dict.fromkeys((".doc", ".dot", ".wpd", ".wps", ".rtf", ".pages"), "docx"),
    **dict.fromkeys((".xls", ".xlt", ".xlsb", ".numbers"), "xlsx"),
    **dict.fromkeys((".ppt", ".pps"), "pptx"),
    **dict.fromkeys((".mobi", ".azw", ".azw3", ".lit"), "epub"),
    **dict.fromkeys((".djvu", ".ps", ".xps", ".oxps", ".vsd", ".vsdx", ".pub", ".one"), "pdf"),
    ".msg": "eml",
}
"""Documents of kinds that are not read, and the kind that they can be saved as."""

LEFT_OUT_NAMES = frozenset(
    ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum", "Thumbs.db", "desktop.ini", "ehthumbs.db")
)
"""What programs write for themselves."""

GENERATED = (".min.js", ".min.css", ".bundle.js", "~", "-lock.yaml")
"""How names of generated files and of backups end."""
