// The words of rendered text, in the reader's language.
const WORDS: Record<string, { copy: string; copied: string }> = {
  en: { copy: "Copy", copied: "Copied" },
  de: { copy: "Kopieren", copied: "Kopiert" },
  zh: { copy: "复制", copied: "已复制" },
};

export const words = WORDS[navigator.language.slice(0, 2)] ?? WORDS["en"]!;
