// JSON with integers of 64 bits.

const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;

// JSON.parse keeps 53 of the 64 bits of an integer, so those of 16 digits or more stay text.
export function parse(text) {
  const exact = text.replace(
    new RegExp(`(${STRING})|-?\\d{16,}`, "g"),
    (token, string) => string ?? `"${token}"`,
  );
  return JSON.parse(exact);
}

export function ordersIn(text) {
  const orders = parse(text);
  if (!Array.isArray(orders)) throw new SyntaxError("no list of orders");
  return orders;
}

// The same document over several lines, each value as it was sent.
export function indented(text) {
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
