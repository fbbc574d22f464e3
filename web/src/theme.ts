// Light or dark: the reader's choice, else the system's. public/theme.js applies it before the page is drawn.
import { kept } from "./storage";

const THEME = "agentkit-theme";

export function switchTheme(): void {
  const { dataset } = document.documentElement;
  const isDark = dataset["theme"]
    ? dataset["theme"] === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = isDark ? "light" : "dark";
  kept.set(THEME, theme);
  dataset["theme"] = theme;
}
