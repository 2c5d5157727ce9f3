// The page: looks up orders, lists the latest, creates random ones. All sentences are in the HTML;
// values of orders are only ever inserted as text.

import { TIMEOUT_MS, apiPathTo, fetchOrder, fetchedInTime, fetchedPage } from "./api.js";
import { copyFrom } from "./copying.js";
import { isListed, listFault, listPath, listUrl } from "./days.js";
import { clone, find, limits, pause, phrase, remember, remembered, say } from "./dom.js";
import { indented, ordersIn, parse } from "./json.js";
import { listen } from "./live.js";
import { fill } from "./values.js";

const SLOW_MS = 3000;
const ARRIVAL_MS = 5000; // how long a new order may take to be stored
const ARRIVAL_STEP_MS = 200;
const REFRESH_MS = 5000;
const REFRESH_LONGEST_MS = 60000;
const BYTES_PER_MS = 50; // lists of large orders are requested less often: 250 kB every 5 s
const LATEST = 8;
const ANNOUNCED_MS = 10000; // new orders are announced no more often
const MATCHES = 5; // orders shown of those with a track number, where it is a customer id too
const KEYS = ["track_number", "customer_id"]; // what orders are found by besides their uid
const SHOWN = 20; // of the orders just created
const BLINK_MS = 150; // no progress is shown for faster responses

// --- Looking up an order ----------------------------------------------------------------------

const result = find("#result");
const field = find("#order");
const sent = new Set(); // orders created here that have not been seen stored yet
let current = null; // the latest search; earlier ones show nothing any more
let followed = null; // the query of the address when it was last read
let listed = null; // the page of a list that is shown
const left = new Map(); // pages of lists that were left by a link, by the name in history.state

const pathTo = (uid) => (uid ? `/?order=${encodeURIComponent(uid)}` : "/");
const parameters = () => new URLSearchParams(location.search);

// The uid in the address, or the track number or customer id of a list.
function asked() {
  const given = parameters();
  const names = given.has("list") ? KEYS : ["order"];
  return names.map((name) => given.get(name)).find(Boolean) ?? "";
}

function show(state, values = {}) {
  listed = null;
  const shown = fill(clone(`state-${state}`), values);
  for (const place of shown.querySelectorAll("[data-phrase]")) {
    place.textContent = phrase(place.dataset.phrase, values);
  }
  for (const part of shown.querySelectorAll("[data-if]")) part.hidden = !values[part.dataset.if];
  find("[data-retry]", shown)?.addEventListener("click", () => follow(true));
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
    if (text !== null) return () => showFound(uid, text, signal);
    const matches = sent.has(uid) ? [] : await fetchMatches(uid, signal);
    const [only, ...others] = new Set(matches.flatMap(({ orders }) => orders.map(uidOf)));
    const found = only !== undefined && !others.length && (await fetchOrder(only, signal));
    return () => {
      if (found) showFound(only, found, signal, waysOf(uid, matches));
      else if (matches.length) showMatches(uid, matches);
      else showMissing(uid);
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
      if (focus) (opened() ?? find("[tabindex='-1']", result))?.focus();
    }
  }
}

// The link in the result by which this page was left before; coming back, one is there again.
const opened = () =>
  [...result.querySelectorAll("a")].find((link) => link.search === history.state?.opened);

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

function showFound(uid, text, signal, ways = []) {
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
  const { transaction, request_id } = order.payment ?? {};
  const ids = { uid, track_number: order.track_number, transaction, request_id };
  const copies = { ...ids, json: text, link: location.origin + pathTo(uid) };
  for (const button of result.querySelectorAll("[data-copy]")) {
    button.hidden = !copies[button.dataset.copy];
    button.addEventListener("click", () => copyFrom(button, copies[button.dataset.copy]));
  }
  find("[data-ways]", result).textContent = ways.join(". ");
  const said = [phrase("said_found", { uid }), ...ways];
  say(said.join(". "));
  linkOthers(uid, said, signal);
}

// --- Orders with this track number or customer id ---------------------------------------------

const uidOf = (order) => order.order_uid;
const waysOf = (text, pages) => pages.map(({ key }) => phrase(`found_${key}`, { text }));

async function fetchMatches(text, signal) {
  const pages = await Promise.all(
    KEYS.map(async (key) => ({ key, ...(await fetchList({ [key]: text }, signal)) })),
  );
  return pages.filter((page) => page.orders.length);
}

// Those of one kind are a list, with an address of its own.
function showMatches(text, pages) {
  if (pages.length === 1) {
    const [{ key, ...page }] = pages;
    history.replaceState(null, "", `/${listPath({ [key]: text })}`);
    followed = location.search;
    mark(text);
    showList({ [key]: text }, page);
    return;
  }
  show("matches", { uid: text });
  for (const { key, orders } of pages) {
    const section = find(`[data-key="${key}"]`, result);
    const first = orders.slice(0, MATCHES);
    find("ul", section).append(...first.map((order) => linkTo(order, "summary-line")));
    find("[data-all]", section).href = `/${listPath({ [key]: text })}`;
  }
  document.title = find("h2", result).textContent;
  say(phrase("said_matches", { count: result.querySelectorAll("li").length }));
}

// Link an order that is shown to others whose track number or customer id is its uid. One that
// cannot be asked for takes nothing away from the order.
async function linkOthers(uid, said, signal) {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const pages = await Promise.allSettled(
    KEYS.map((key) => fetchList({ [key]: uid }, inTime, 2)),
  );
  if (signal.aborted) return;
  const all = [...said];
  pages.forEach(({ value }, place) => {
    if (!value?.orders.some((order) => order.order_uid !== uid)) return;
    const key = KEYS[place];
    const filter = { [key]: uid };
    const also = find(`[data-also="${key}"]`, result);
    find("a", also).textContent = listTitle(filter);
    find("a", also).href = `/${listPath(filter)}`;
    also.hidden = false;
    all.push(also.textContent);
  });
  if (all.length > said.length) say(all.join(". "));
}

// --- Lists of orders --------------------------------------------------------------------------

async function fetchList(values, signal, limit) {
  const page = await fetchedPage(listUrl(values, limit), { signal });
  const next = page.next && new URL(page.next, location).searchParams.get("cursor");
  return { orders: ordersIn(page.text), next };
}

// Show the page of the list in the address, as it was left before if it was.
function browse(focus, before) {
  const { cursor, ...filter } = Object.fromEntries(
    [...KEYS, "from", "to", "cursor"].map((name) => [name, parameters().get(name) ?? ""]),
  );
  document.title = listTitle(filter);
  mark(asked());
  const text = listFault(filter);
  const work = async (signal) => {
    if (text) return () => showList(filter, {}, text);
    if (before) return () => showList(filter, before);
    const page = await fetchList({ ...filter, cursor }, signal);
    return () => showList(filter, { ...page, first: cursor });
  };
  say(phrase("list_loading"));
  return present("loading-list", "", work, focus);
}

function listTitle(filter) {
  const keys = KEYS.filter((key) => filter[key]);
  const titles = keys.map((key) => phrase(`list_${key}`, { text: filter[key] }));
  return titles.join(", ") || phrase("list_title");
}

function showList(filter, page, text = "") {
  const { orders, first, next } = page;
  show("list", { orders, isEmpty: orders?.length === 0, pages: first || next, first, next });
  listed = page;
  Object.assign(page, { filter, fresh: page.fresh ?? 0 });
  showFresh();
  const title = (document.title = find("h2", result).textContent = listTitle(filter));
  find("ul", result).append(...(orders ?? []).map((order) => linkTo(order, "summary-line")));
  find("[data-if='first']", result).href = `/${listPath(filter)}`;
  find("[data-if='next']", result).href = `/${listPath({ ...filter, cursor: next })}`;
  const dates = find("form", result);
  const { from, to } = dates.elements;
  from.value = filter.from ?? "";
  to.value = filter.to ?? "";
  dates.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = { ...filter, from: from.value, to: to.value };
    const wrong = listFault(chosen);
    tell(to, find(".fault", dates), wrong);
    if (!wrong) visit(listPath(chosen));
  });
  if (text) tell(to, find(".fault", dates), text);
  const name = orders?.length ? "list_shown" : "list_empty";
  say(text ? "" : `${title}. ${phrase(name, { count: orders.length })}`);
}

// A list stays as it is while orders arrive; how many came since is a link to its first page.
function showFresh() {
  const link = find("[data-fresh]", result);
  const { filter, fresh } = listed;
  link.textContent = phrase("list_new", { count: fresh });
  link.href = `/${listPath({ ...filter, cursor: "" })}`;
  link.parentElement.hidden = !fresh;
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
  const { status, code, parameters: wrong, requestId: request_id } = error;
  if (late) show("timeout", { uid, seconds: TIMEOUT_MS / 1000 });
  else if (code === "unavailable") show("storage", { uid, request_id });
  else if (code === "overloaded") show("overloaded", { uid, request_id });
  else if (code === "forbidden") show("forbidden", { uid });
  else if (error instanceof TypeError) show("unreachable", { uid });
  else if (error instanceof SyntaxError) show("unreadable", { uid });
  else if (wrong?.length && parameters().has("list")) showWrong(wrong);
  else show("failed", { uid, request_id, status: status ?? error.name });
  say("");
}

// Link to the list without the parameters that are wrong.
function showWrong(names) {
  show("wrong-list", { names: names.join(", ") });
  const { list, ...given } = Object.fromEntries(parameters());
  const others = Object.entries(given).filter(([name]) => !names.includes(name));
  find("a", result).href = `/${listPath(Object.fromEntries(others))}`;
}

function showEmpty() {
  current?.abort();
  current = null;
  document.title = phrase("title");
  mark("");
  result.setAttribute("aria-busy", "false");
  show("empty");
  find("button", result).addEventListener("click", async () => {
    await makeOrders();
    find("a", made)?.focus(); // there is nothing to offer any more
  });
  offerOrders();
  say("");
}

// Say what to try where no orders are stored.
function offerOrders() {
  for (const part of result.querySelectorAll("[data-orders]")) {
    part.hidden = (part.dataset.orders === "none") !== isEmpty;
  }
}

// Navigate to the address of an order, if necessary, and show it.
function go(uid, focus) {
  const text = fault(uid);
  tell(field, find("#search-fault"), text);
  if (text) return;
  history[uid === asked() ? "replaceState" : "pushState"](null, "", pathTo(uid));
  followed = location.search;
  search(uid, focus);
}

// Navigate to an address of the page, if necessary, and show what is in it.
function visit(query) {
  history[query === location.search ? "replaceState" : "pushState"](null, "", `/${query}`);
  follow(true);
}

// Show the order or the list in the address; of a list the page that was left before, if any.
function follow(focus = result.contains(document.activeElement), before = null) {
  const uid = asked();
  const text = uid && fault(uid);
  followed = location.search;
  if (parameters().has("list")) {
    browse(focus, before);
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
  if (parameters().has("list") && !asked()) find("#all").setAttribute("aria-current", "page");
  else find("#all").removeAttribute("aria-current");
  for (const one of document.querySelectorAll(".orders a")) {
    markCurrent(one, uid);
  }
}

function markCurrent(link, uid) {
  if (link.getAttribute("href") === pathTo(uid)) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

// --- The latest orders ------------------------------------------------------------------------

const latest = find("#latest");
const latestNote = find("#latest-note");
const halt = find("#latest-pause");
let wait = REFRESH_MS;
let timer = 0;
let isEmpty = false; // no orders are stored
let isFilled = false; // the list has been there once
let isRefreshing = false;
let isStale = false; // something changed since the running refresh began
let isFailing = false;
let stored = 0; // orders since new ones were last announced
let announced = -ANNOUNCED_MS;

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
    else {
      latest.insertBefore(linkTo(order), next);
      // Without events there may be more than the list shows.
      if (isFilled && isRefused()) stored += 1;
    }
  }
  latestNote.textContent = orders.length ? "" : phrase("latest_empty");
  isEmpty = orders.length === 0;
  offerOrders();
  announce();
}

const isRefused = listen(() => isFailing || refresh(), arrive);

function announce() {
  const now = performance.now();
  if (!stored || now - announced < ANNOUNCED_MS) return;
  say(phrase("latest_new", { count: isRefused() ? `${stored}+` : stored }));
  announced = now;
  stored = 0;
}

function arrive(order) {
  stored += 1;
  for (const page of new Set([...left.values(), listed])) {
    const isNew = page?.orders?.every(({ order_uid }) => order_uid !== order.order_uid);
    if (isNew && isListed(page.filter, order)) page.fresh += 1;
  }
  if (listed) showFresh();
}

function hold(held) {
  halt.textContent = held ? ">" : "II";
  halt.setAttribute("aria-pressed", String(held));
}

const isHeld = () =>
  document.hidden ||
  halt.getAttribute("aria-pressed") === "true" ||
  // An entry under the pointer stays in place.
  (matchMedia("(hover: hover)").matches && latest.matches(":hover"));

// One at a time, for responses may overtake each other.
async function refresh() {
  isStale = isRefreshing;
  if (isRefreshing) return;
  isRefreshing = true;
  clearTimeout(timer);
  if (!isFilled || !isHeld()) {
    try {
      const text = await fetchedInTime(`/orders?view=summary&limit=${LATEST}`);
      update(parse(text));
      isFilled = true;
      isFailing = false;
      wait = Math.max(REFRESH_MS, text.length / BYTES_PER_MS);
    } catch (error) {
      const name = error.code === "forbidden" ? "forbidden_title" : "latest_unreachable";
      latestNote.textContent = phrase(name);
      isFailing = true;
      wait = Math.min(wait * 2, REFRESH_LONGEST_MS);
    }
  }
  isRefreshing = false;
  timer = setTimeout(refresh, isStale && !isFailing ? 0 : wait);
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
  if (result.contains(link)) {
    const name = listed && `${performance.timeOrigin} ${left.size}`;
    if (listed) left.set(name, listed);
    history.replaceState({ opened: link.search, name }, "");
  }
  visit(link.search);
});
halt.addEventListener("click", () => {
  const held = halt.getAttribute("aria-pressed") !== "true";
  hold(held);
  remember("latest-paused", String(held));
  if (!held) refresh();
});
// Also after a link within the page.
addEventListener("popstate", () => {
  if (location.search !== followed) follow(undefined, left.get(history.state?.name));
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());

hold(remembered("latest-paused") === "true");
follow();
refresh();
