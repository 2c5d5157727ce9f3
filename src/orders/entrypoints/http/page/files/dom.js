// What all modules do with the page: find, clone templates, say what is in its phrases, remember.

export const find = (selector, root = document) => root.querySelector(selector);
export const clone = (id) => find(`#${id}`).content.cloneNode(true);
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const limits = document.body.dataset;
const language = document.documentElement.lang;
export const locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;

export function phrase(name, values = {}) {
  const text = find(`[data-name="${name}"]`, find("#phrases").content).textContent;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

export function say(text) {
  find("#announcer").textContent = text;
}

// Choices of the reader stay in the browser; one that denies storage forgets them.
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {}
}

export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
