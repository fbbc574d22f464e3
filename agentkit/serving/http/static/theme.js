// The theme, before anything is drawn: a page that turns dark when its script has come flashes white.
try {
  const theme = localStorage.getItem("agentkit-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // the browser keeps nothing: the system's theme
}
