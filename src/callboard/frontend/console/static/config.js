// What the server told with the page: its settings of the console, each with its unit in the name.
export const config = JSON.parse(document.querySelector('meta[name="callboard"]').content);
