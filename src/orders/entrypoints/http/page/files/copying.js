// Buttons that copy.

import { pause, phrase, say } from "./dom.js";

const COPIED_MS = 2000;

export async function copyFrom(button, text) {
  const label = (button.dataset.label ??= button.textContent);
  const result = phrase((await copied(text)) ? "copied" : "copy_failed");
  button.textContent = result;
  say(result);
  await pause(COPIED_MS);
  button.textContent = label;
}

// Without https or localhost there is no clipboard API; then the text is selected and copied by the
// browser.
async function copied(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before.focus();
  return done;
}
