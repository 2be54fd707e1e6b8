// Before the first paint, so that a page that was set to dark never flashes white. A classic script, for modules run later.
try {
  const chosen = localStorage.getItem('callboard-theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {
  // storage is forbidden here: the system's choice it is
}
