// The page: looks up orders, lists the latest, creates random ones. All sentences are in the HTML;
// values of orders are only ever inserted as text.

const SLOW_MS = 3000;
const TIMEOUT_MS = 15000;
const ARRIVAL_MS = 5000; // how long a new order may take to be stored
const ARRIVAL_STEP_MS = 200;
const REFRESH_MS = 5000;
const REFRESH_LONGEST_MS = 60000;
const BYTES_PER_MS = 50; // lists of large orders are requested less often: 250 kB every 5 s
const LATEST = 8;
const MATCHES = 50; // orders in a page of those with a track number or customer id
const LISTED = 50; // orders in a page of all
const SHOWN = 20; // of the orders just created
const COPIED_MS = 2000;
const BLINK_MS = 150; // no progress is shown for faster responses

const find = (selector, root = document) => root.querySelector(selector);
const clone = (id) => find(`#${id}`).content.cloneNode(true);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const limits = document.body.dataset;
const language = document.documentElement.lang;
const locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;

function phrase(name, values = {}) {
  const text = find(`[data-name="${name}"]`, find("#phrases").content).textContent;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function say(text) {
  find("#announcer").textContent = text;
}

// --- Responses of the API -----------------------------------------------------------------------

const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;

// JSON.parse keeps 53 of the 64 bits of an integer, so those of 16 digits or more stay text.
function parse(text) {
  const exact = text.replace(
    new RegExp(`(${STRING})|-?\\d{16,}`, "g"),
    (token, string) => string ?? `"${token}"`,
  );
  return JSON.parse(exact);
}

function ordersIn(text) {
  const orders = parse(text);
  if (!Array.isArray(orders)) throw new SyntaxError("no list of orders");
  return orders;
}

// The same document over several lines, each value as it was sent.
function indented(text) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return text.replace(new RegExp(`${STRING}|\\[\\]|\\{\\}|[[\\]{},:]`, "g"), (token) => {
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
    if ("{[,".includes(token)) return token + line();
    if ("}]".includes(token)) return line() + token;
    return token === ":" ? ": " : token;
  });
}

class Refused extends Error {
  constructor(answer, text) {
    super(`status ${answer.status}`);
    this.status = answer.status;
    this.requestId = answer.headers.get("x-request-id") ?? "";
    this.code = codeOf(text);
  }
}

// The code of problem details; null if the response is not from the API.
function codeOf(text) {
  try {
    return JSON.parse(text).code;
  } catch {
    return undefined;
  }
}

async function fetched(url, options) {
  return (await fetchedPage(url, options)).text;
}

// The text of a response, and the address of the next page where there is one.
async function fetchedPage(url, options) {
  const answer = await fetch(url, { ...options, headers: { accept: "application/json" } });
  const text = await answer.text();
  if (answer.status === 401) location.assign(`/login${location.search}`);
  if (!answer.ok) throw new Refused(answer, text);
  return { text, next: answer.headers.get("link")?.match(/<([^>]*)>/)?.[1] };
}

// Requests are aborted after a timeout.
async function fetchedInTime(url, options) {
  const controller = new AbortController();
  const timeout = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    return await fetched(url, { ...options, signal: controller.signal });
  } finally {
    clearTimeout(timeout);
  }
}

// Browsers remove these two from a path, encoded or not, so the filter is used for them.
const isFolded = (uid) => uid === "." || uid === "..";
const apiPathTo = (uid) =>
  isFolded(uid) ? `/orders?order_uid=${uid}` : `/orders/${encodeURIComponent(uid)}`;

// The JSON of an order as it is served, or null.
async function fetchOrder(uid, signal) {
  try {
    const text = await fetched(apiPathTo(uid), { signal });
    return isFolded(uid) ? text.slice(1, -1) || null : text; // a list with at most one order
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

// --- From values to text ----------------------------------------------------------------------

const EXACTLY = { dateStyle: "long", timeStyle: "long" };
const BRIEFLY = { dateStyle: "short", timeStyle: "short" };
const FORMS = {
  text: (value) => value,
  phone: (value) => (isPhone(value) ? link(`tel:${value.replace(/[^\d+]/g, "")}`, value) : value),
  email: (value) => (isEmail(value) ? link(`mailto:${value}`, value) : value),
  money: (value, order) => moneyElement(value, (order.payment ?? order).currency ?? ""),
  instant: (value) => timeElement(new Date(value), value, EXACTLY),
  day: (value) => timeElement(new Date(value), value, BRIEFLY),
  unix: (value) => timeElement(new Date(Number(value) * 1000), String(value), EXACTLY),
};

// An instant in the reader's format, with the original in its title; only the original if a Date
// cannot represent it.
function timeElement(date, sent, style) {
  if (Number.isNaN(date.getTime())) return sent;
  const time = document.createElement("time");
  time.dateTime = date.toISOString();
  time.title = sent;
  time.textContent = date.toLocaleString(locale, style);
  return time;
}

// Cautious: what is no number or address for sure stays text. The characters need no escaping.
const isPhone = (text) =>
  /^\+?[\d ().-]{1,30}$/.test(text) && /^\d{5,15}$/.test(text.replace(/\D/g, ""));
const isEmail = (text) => text.length < 255 && /^[\w.+-]+@[\w-]+(\.[\w-]+)+$/.test(text);

function link(href, text) {
  const made = document.createElement("a");
  made.href = href;
  made.textContent = text;
  return made;
}

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));
const currencyFormats = new Map();

function currencyFormat(currency) {
  if (!currencyFormats.has(currency)) {
    const format = new Intl.NumberFormat(locale, { style: "currency", currency });
    currencyFormats.set(currency, format);
  }
  return currencyFormats.get(currency);
}

// An amount as its currency is written, with the original in its title; only the original if the
// currency is none that browsers know. Given as text, an amount keeps all its digits.
function moneyElement(value, currency) {
  const sent = `${value} ${currency}`.trim();
  if (!CURRENCIES.has(currency)) return sent;
  const format = currencyFormat(currency);
  const digits = limits.money === "minor" ? format.resolvedOptions().maximumFractionDigits : 0;
  const data = document.createElement("data");
  data.value = value;
  data.title = sent;
  data.textContent = format.format(`${value}E-${digits}`);
  return data;
}

function fill(root, values, order = values) {
  for (const place of root.querySelectorAll("[data-field]")) {
    const value = place.dataset.field.split(".").reduce((from, key) => from?.[key], values) ?? "";
    const known = value === "" ? clone("no-value") : FORMS[place.dataset.as ?? "text"](value, order);
    place.replaceChildren(known);
  }
  return root;
}

// --- Looking up an order ----------------------------------------------------------------------

const result = find("#result");
const field = find("#order");
const sent = new Set(); // orders created here that have not been seen stored yet
let current = null; // the latest search; earlier ones show nothing any more
let again = () => {}; // repeats it
let followed = null; // the query of the address when it was last read

const pathTo = (uid) => (uid ? `/?order=${encodeURIComponent(uid)}` : "/");
const parameters = () => new URLSearchParams(location.search);
const asked = () => (parameters().has("list") ? "" : parameters().get("order")) ?? "";

function show(state, values = {}) {
  const shown = fill(clone(`state-${state}`), values);
  for (const place of shown.querySelectorAll("[data-phrase]")) {
    place.textContent = phrase(place.dataset.phrase, values);
  }
  for (const part of shown.querySelectorAll("[data-if]")) part.hidden = !values[part.dataset.if];
  find("[data-retry]", shown)?.addEventListener("click", () => again());
  result.replaceChildren(shown);
}

function fault(uid) {
  const length = [...uid].length;
  if (/^[^\uFEFF\S]*$/.test(uid)) return phrase("invalid_blank"); // only white space
  if (length > limits.uidMax) return phrase("invalid_long", { most: limits.uidMax, length });
  if (uid.includes("\0") || /\p{Surrogate}/u.test(uid)) return phrase("invalid_text");
  return "";
}

function tell(input, note, text) {
  note.textContent = text;
  input.setAttribute("aria-invalid", String(Boolean(text)));
  if (text) input.focus();
}

function search(uid, focus = false) {
  document.title = phrase("order_title", { uid });
  mark(uid);
  say(phrase("said_loading", { uid }));
  const work = async (signal) => {
    const text = await arrived(uid, signal);
    const matches = text === null && !sent.has(uid) ? await fetchMatches(uid, signal) : [];
    return () => {
      if (matches.length) showMatches(uid, matches, signal);
      else if (text === null) showMissing(uid);
      else showFound(uid, text);
    };
  };
  return present("loading", uid, work, focus);
}

// Show the state of loading until the work is done, then what it returns, or its failure.
async function present(state, uid, work, focus) {
  current?.abort();
  const controller = (current = new AbortController());
  const { signal } = controller;
  const isCurrent = () => current === controller;
  again = () => present(state, uid, work, true);
  const loading = setTimeout(() => isCurrent() && show(state, { uid }), BLINK_MS);
  result.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => {
    if (isCurrent()) find("[data-slow]", result).textContent = phrase("loading_slow");
  }, SLOW_MS);
  let late = false;
  const timeout = setTimeout(() => {
    late = true;
    controller.abort();
  }, TIMEOUT_MS);
  try {
    const showResult = await work(signal);
    if (isCurrent()) showResult();
  } catch (error) {
    if (isCurrent()) showFailure(uid, error, late);
  } finally {
    clearTimeout(loading);
    clearTimeout(slow);
    clearTimeout(timeout);
    if (isCurrent()) {
      result.setAttribute("aria-busy", "false");
      if (focus) find("[tabindex='-1']", result)?.focus();
    }
  }
}

// An order that was just sent may not be stored yet, so it is requested again.
async function arrived(uid, signal) {
  const deadline = performance.now() + ARRIVAL_MS;
  for (;;) {
    const text = await fetchOrder(uid, signal);
    if (text !== null || !sent.has(uid) || performance.now() > deadline) return text;
    await pause(ARRIVAL_STEP_MS);
    signal.throwIfAborted();
  }
}

function showFound(uid, text) {
  const order = readable(text);
  if (order === null) {
    show("unreadable", { uid });
    say("");
    return;
  }
  if (sent.delete(uid)) refresh();
  show("found", order);
  const rows = document.createDocumentFragment();
  for (const item of order.items) rows.append(fill(clone("item"), item, order));
  find("tbody", result).append(rows);
  find("table", result).hidden = order.items.length === 0;
  find("[data-no-items]", result).hidden = order.items.length > 0;
  const raw = find("details", result);
  const write = () => {
    find("pre", raw).textContent = indented(text);
  };
  raw.addEventListener("toggle", write, { once: true });
  find("[data-api]", raw).href = apiPathTo(uid);
  const { transaction, request_id } = order.payment;
  const ids = { uid, track_number: order.track_number, transaction, request_id };
  const copies = { ...ids, json: text, link: location.origin + pathTo(uid) };
  for (const button of result.querySelectorAll("[data-copy]")) {
    button.hidden = !copies[button.dataset.copy];
    button.addEventListener("click", () => copyFrom(button, copies[button.dataset.copy]));
  }
  say(phrase("said_found", { uid }));
}

// --- Orders with this track number or customer id ---------------------------------------------

const KEYS = ["track_number", "customer_id"];

async function fetchMatches(text, signal) {
  const value = encodeURIComponent(text);
  const pages = await Promise.all(
    KEYS.map(async (key) => {
      const url = `/orders?view=summary&limit=${MATCHES}&${key}=${value}`;
      const page = await fetchedPage(url, { signal });
      return { key, next: page.next, orders: ordersIn(page.text) };
    }),
  );
  return pages.filter((page) => page.orders.length);
}

function showMatches(text, pages, signal) {
  show("matches", { uid: text });
  for (const section of result.querySelectorAll("[data-key]")) {
    const page = pages.find((one) => one.key === section.dataset.key);
    if (page) list(section, page, signal);
    else section.remove();
  }
  document.title = find("h2", result).textContent;
  say(phrase("said_matches", { count: result.querySelectorAll("li").length }));
}

function list(section, page, signal) {
  const lines = page.orders.map((order) => linkTo(order, "summary-line"));
  const first = lines[0]?.firstElementChild;
  find("ul", section).append(...lines);
  const more = find("[data-more]", section);
  more.hidden = !page.next;
  more.onclick = async () => {
    more.disabled = true;
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
      const following = await fetchedPage(page.next, { signal: inTime });
      if (signal.aborted) return;
      const added = list(section, { next: following.next, orders: parse(following.text) }, signal);
      added?.querySelector("a").focus(); // the button may be gone
      say(phrase("matches_more"));
    } catch {
      if (!signal.aborted) say((more.textContent = phrase("matches_failed")));
    } finally {
      more.disabled = false;
    }
  };
  return first;
}

// --- All orders -------------------------------------------------------------------------------

const EARLIEST = Date.parse("0001-01-01T00:00:00Z");
const LATEST_INSTANT = Date.parse("9999-12-31T23:59:59.999Z");

const listPath = (values) => {
  const given = Object.entries(values).filter(([, value]) => value);
  return ["?list", ...given.map((pair) => pair.map(encodeURIComponent).join("="))].join("&");
};

function isDay(text) {
  const input = document.createElement("input");
  input.type = "date";
  input.value = text; // the browser leaves what is no date empty
  return input.value === text;
}

// The beginning of a day where the reader is, or of one later; undefined beyond the years that
// instants of orders can have.
function beginning(day, later = 0) {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + later);
  return date >= EARLIEST && date <= LATEST_INSTANT ? date.toISOString() : undefined;
}

function listFault({ from, to }) {
  if (!isDay(from) || !isDay(to)) return phrase("list_not_dates");
  return from && to && to < from ? phrase("list_backwards") : "";
}

function listUrl({ from, to, cursor }) {
  const values = {
    created_from: from && beginning(from),
    created_to: to && beginning(to, 1),
    cursor,
  };
  return `/orders${listPath(values).replace("?list", `?view=summary&limit=${LISTED}`)}`;
}

// Show the page of the list in the address.
function browse(focus) {
  const [from, to, cursor] = ["from", "to", "cursor"].map((name) => parameters().get(name) ?? "");
  const filter = { from, to };
  document.title = phrase("list_title");
  mark("");
  const text = listFault(filter);
  const work = async (signal) => {
    if (text) return () => showList(filter, {}, text);
    const page = await fetchedPage(listUrl({ ...filter, cursor }), { signal });
    const orders = ordersIn(page.text);
    const next = page.next && new URL(page.next, location).searchParams.get("cursor");
    return () => showList(filter, { orders, first: cursor, next });
  };
  say(phrase("list_loading"));
  return present("loading-list", "", work, focus);
}

function showList(filter, { orders, first, next }, text = "") {
  show("list", { orders, isEmpty: orders?.length === 0, pages: first || next, first, next });
  find("ul", result).append(...(orders ?? []).map((order) => linkTo(order, "summary-line")));
  find("[data-if='first']", result).href = `/${listPath(filter)}`;
  find("[data-if='next']", result).href = `/${listPath({ ...filter, cursor: next })}`;
  const dates = find("form", result);
  const { from, to } = dates.elements;
  from.value = filter.from;
  to.value = filter.to;
  dates.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = { from: from.value, to: to.value };
    const wrong = listFault(chosen);
    tell(to, find(".fault", dates), wrong);
    if (!wrong) visit(listPath(chosen));
  });
  if (text) tell(to, find(".fault", dates), text);
  else say(phrase(orders.length ? "list_shown" : "list_empty", { count: orders.length }));
}

// The order, or null if it is not one: a proxy may have responded.
function readable(text) {
  try {
    const order = parse(text);
    return Array.isArray(order?.items) ? order : null;
  } catch {
    return null;
  }
}

function showMissing(uid) {
  if (sent.has(uid)) {
    show("pending", { uid });
    return;
  }
  show("missing", { uid });
  const trimmed = find("[data-trimmed]", result);
  trimmed.hidden = uid === uid.trim();
  find("a", trimmed).href = pathTo(uid.trim());
  say(phrase("said_missing"));
}

function showFailure(uid, error, late) {
  const { status, code, requestId: request_id } = error;
  if (late) show("timeout", { uid, seconds: TIMEOUT_MS / 1000 });
  else if (code === "unavailable") show("storage", { uid, request_id });
  else if (code === "forbidden") show("forbidden", { uid });
  else if (error instanceof TypeError) show("unreachable", { uid });
  else if (error instanceof SyntaxError) show("unreadable", { uid });
  else show("failed", { uid, request_id, status: status ?? error.name });
  say("");
}

function showEmpty() {
  current?.abort();
  current = null;
  document.title = phrase("title");
  mark("");
  result.setAttribute("aria-busy", "false");
  show("empty");
  say("");
}

// Navigate to the address of an order, if necessary, and show it.
function go(uid, focus) {
  const text = fault(uid);
  tell(field, find("#search-fault"), text);
  if (text) return;
  if (uid !== asked()) history.pushState(null, "", pathTo(uid));
  followed = location.search;
  search(uid, focus);
}

// Navigate to an address of the page, if necessary, and show what is in it.
function visit(query) {
  if (query !== location.search) history.pushState(null, "", `/${query}`);
  follow(true);
}

// Show the order or the list in the address.
function follow(focus = result.contains(document.activeElement)) {
  const uid = asked();
  const text = uid && fault(uid);
  followed = location.search;
  if (parameters().has("list")) {
    browse(focus);
  } else if (uid && !text) {
    search(uid, focus);
  } else {
    showEmpty();
    field.value = uid;
    if (focus) field.focus();
  }
  tell(field, find("#search-fault"), text);
}

// The input cannot contain line breaks.
const inOneLine = (uid) => uid.replace(/[\r\n]/g, "");

// Update what depends on the address beside the result.
function mark(uid) {
  field.value = uid;
  const link = find("#switch");
  link.href = link.pathname + location.search;
  if (parameters().has("list")) find("#all").setAttribute("aria-current", "page");
  else find("#all").removeAttribute("aria-current");
  for (const one of document.querySelectorAll(".orders a")) {
    markCurrent(one, uid);
  }
}

function markCurrent(link, uid) {
  if (link.getAttribute("href") === pathTo(uid)) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

// --- Copying ----------------------------------------------------------------------------------

async function copyFrom(button, text) {
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

// --- The latest orders ------------------------------------------------------------------------

const latest = find("#latest");
const latestNote = find("#latest-note");
const halt = find("#latest-pause");
let wait = REFRESH_MS;
let timer = 0;

function linkTo(order, template = "order-link") {
  const made = fill(clone(template), order);
  const link = find("a", made);
  link.href = pathTo(order.order_uid);
  markCurrent(link, asked());
  made.firstElementChild.dataset.uid = order.order_uid;
  return made;
}

// Orders never change, so existing entries stay in place and keep the focus.
function update(orders) {
  const wanted = new Set(orders.map((order) => order.order_uid));
  for (const item of [...latest.children]) {
    if (!wanted.has(item.dataset.uid) && !item.contains(document.activeElement)) item.remove();
  }
  let next = latest.firstElementChild;
  for (const order of orders) {
    while (next && !wanted.has(next.dataset.uid)) next = next.nextElementSibling;
    if (next?.dataset.uid === order.order_uid) next = next.nextElementSibling;
    else latest.insertBefore(linkTo(order), next);
  }
  latestNote.textContent = orders.length ? "" : phrase("latest_empty");
}

const isHeld = () =>
  document.hidden ||
  halt.getAttribute("aria-pressed") === "true" ||
  // An entry under the pointer stays in place.
  (matchMedia("(hover: hover)").matches && latest.matches(":hover"));

async function refresh() {
  clearTimeout(timer);
  timer = 0;
  if (!isHeld()) {
    try {
      const text = await fetchedInTime(`/orders?view=summary&limit=${LATEST}`);
      update(parse(text));
      wait = Math.max(REFRESH_MS, text.length / BYTES_PER_MS);
    } catch (error) {
      const name = error.code === "forbidden" ? "forbidden_title" : "latest_unreachable";
      latestNote.textContent = phrase(name);
      wait = Math.min(wait * 2, REFRESH_LONGEST_MS);
    }
  }
  if (!timer) timer = setTimeout(refresh, wait);
}

// --- Random orders ----------------------------------------------------------------------------

const amount = find("#amount");
const randomNote = find("#random-note");
const made = find("#made");
const NAMES = { unavailable: "random_storage", forbidden: "random_forbidden" };
let making = false;

async function makeOrders() {
  const text = amount.value.trim();
  const valid = /^[1-9]\d*$/.test(text) && Number(text) <= Number(limits.randomMax);
  tell(amount, find("#random-fault"), valid ? "" : phrase("random_invalid"));
  if (!valid || making) return;
  making = true;
  randomNote.textContent = phrase("random_working");
  try {
    const orders = parse(await fetchedInTime(`/random/${text}`, { method: "POST" }));
    for (const order of orders) sent.add(order.order_uid);
    made.replaceChildren(...orders.slice(0, SHOWN).map((order) => linkTo(order)));
    made.hidden = false;
    const done = orders.length > SHOWN ? "random_done_more" : "random_done";
    randomNote.textContent = phrase(done, { count: orders.length, shown: SHOWN });
    setTimeout(refresh, ARRIVAL_STEP_MS * 5);
  } catch (error) {
    const { status, code } = error;
    const name = NAMES[code] ?? (status ? "random_failed" : "random_unreachable");
    randomNote.textContent = phrase(name, { status });
  } finally {
    making = false;
  }
}

// --- Events -----------------------------------------------------------------------------------

find("#search").addEventListener("submit", (event) => {
  event.preventDefault();
  const untouched = field.value === inOneLine(asked());
  go(untouched ? asked() : field.value, false);
});
find("#random").addEventListener("submit", (event) => {
  event.preventDefault();
  makeOrders();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/?']");
  const plain = !event.button && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain) return;
  event.preventDefault();
  visit(link.search);
});
halt.addEventListener("click", () => {
  const held = halt.getAttribute("aria-pressed") !== "true";
  halt.textContent = held ? ">" : "II";
  halt.setAttribute("aria-pressed", String(held));
  if (!held) refresh();
});
// Also after a link within the page.
addEventListener("popstate", () => location.search === followed || follow());
document.addEventListener("visibilitychange", () => document.hidden || refresh());

follow();
refresh();
