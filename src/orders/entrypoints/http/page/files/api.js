// Requests to the API.

export const TIMEOUT_MS = 15000;

class Refused extends Error {
  constructor(answer, text) {
    super(`status ${answer.status}`);
    this.status = answer.status;
    this.requestId = answer.headers.get("x-request-id") ?? "";
    const { code, errors } = problemIn(text);
    this.code = code;
    this.parameters = (errors ?? []).map(({ parameter }) => parameter);
  }
}

// The problem details; nothing if the response is not from the API.
function problemIn(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

async function fetched(url, options) {
  return (await fetchedPage(url, options)).text;
}

// The text of a response, and the address of the next page where there is one.
export async function fetchedPage(url, options) {
  const answer = await fetch(url, { ...options, headers: { accept: "application/json" } });
  const text = await answer.text();
  if (answer.status === 401) location.assign(`/login${location.search}`);
  if (!answer.ok) throw new Refused(answer, text);
  return { text, next: answer.headers.get("link")?.match(/<([^>]*)>/)?.[1] };
}

// Requests are aborted after a timeout.
export async function fetchedInTime(url, options) {
  const controller = new AbortController();
  const timeout = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    return await fetched(url, { ...options, signal: controller.signal });
  } finally {
    clearTimeout(timeout);
  }
}

// These have no path of their own, so the filter is used for them: browsers remove the first two
// from a path, encoded or not, and the third is the stream of events.
const isFiltered = (uid) => [".", "..", "events"].includes(uid);
export const apiPathTo = (uid) =>
  isFiltered(uid) ? `/orders?order_uid=${uid}` : `/orders/${encodeURIComponent(uid)}`;

// The JSON of an order as it is served, or null.
export async function fetchOrder(uid, signal) {
  try {
    const text = await fetched(apiPathTo(uid), { signal });
    return isFiltered(uid) ? text.slice(1, -1) || null : text; // a list with at most one order
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}
