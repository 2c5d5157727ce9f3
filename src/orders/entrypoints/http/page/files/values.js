// From values to text, and to elements that hold it.

import { listPath } from "./days.js";
import { clone, limits, locale } from "./dom.js";

const EXACTLY = { dateStyle: "long", timeStyle: "long" };
const BRIEFLY = { dateStyle: "short", timeStyle: "short" };
const FORMS = {
  text: (value) => value,
  phone: (value) => (isPhone(value) ? link(`tel:${value.replace(/[^\d+]/g, "")}`, value) : value),
  email: (value) => (isEmail(value) ? link(`mailto:${value}`, value) : value),
  customer: (value) => link(`/${listPath({ customer_id: value })}`, value),
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

export function fill(root, values, order = values) {
  for (const place of root.querySelectorAll("[data-field]")) {
    const value = place.dataset.field.split(".").reduce((from, key) => from?.[key], values) ?? "";
    const known = value === "" ? clone("no-value") : FORMS[place.dataset.as ?? "text"](value, order);
    place.replaceChildren(known);
  }
  return root;
}
