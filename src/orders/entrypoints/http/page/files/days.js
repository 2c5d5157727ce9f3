// The address of a list of orders, and the days in it.

import { phrase } from "./dom.js";

const LISTED = 50; // orders in a page
const EARLIEST = Date.parse("0001-01-01T00:00:00Z");
const LATEST_INSTANT = Date.parse("9999-12-31T23:59:59.999Z");

export const listPath = (values) => {
  const given = Object.entries(values).filter(([, value]) => value);
  return ["?list", ...given.map((pair) => pair.map(encodeURIComponent).join("="))].join("&");
};

function isDay(text) {
  const input = document.createElement("input");
  input.type = "date";
  input.value = text; // the browser leaves what is no date empty
  return input.value === text && text.length <= "9999-12-31".length;
}

// The beginning of a day where the reader is, or of one later; undefined beyond the years that
// instants of orders can have.
function beginning(day, later = 0) {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + later);
  return date >= EARLIEST && date <= LATEST_INSTANT ? date.toISOString() : undefined;
}

export function listFault({ from = "", to = "" }) {
  if (!isDay(from) || !isDay(to)) return phrase("list_not_dates");
  return from && to && to < from ? phrase("list_backwards") : "";
}

// Whether the order is in the list with these values.
export function isListed({ from, to, ...keys }, order) {
  const instant = Date.parse(order.date_created);
  const [first, end] = [from && beginning(from), to && beginning(to, 1)].map(Date.parse);
  if (instant < first || instant >= end) return false; // no bound is NaN
  return Object.entries(keys).every(([key, value]) => !value || order[key] === value);
}

export function listUrl({ from, to, ...others }, limit = LISTED) {
  const values = {
    created_from: from && beginning(from),
    created_to: to && beginning(to, 1),
    ...others,
  };
  return `/orders${listPath(values).replace("?list", `?view=summary&limit=${limit}`)}`;
}
