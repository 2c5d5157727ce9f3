// Events of what is stored and forgotten, for a list that follows them.

const SOON_MS = 250; // many orders that arrive together are one change

// Calls `stored` with the summary of each stored order, and `changed` after changes, while the page
// can be seen. Returns whether the stream is refused: then nobody calls, and the browser does not
// try again.
export function listen(changed, stored) {
  let stream = null;
  let timer = 0;
  const tell = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      changed();
    }, SOON_MS);
  };
  const follow = () => {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      stream = new EventSource("/orders/events");
      for (const kind of ["stored", "forgotten", "reset"]) stream.addEventListener(kind, tell);
      stream.addEventListener("stored", (event) => stored(JSON.parse(event.data)));
    }
  };
  document.addEventListener("visibilitychange", follow);
  follow();
  return () => stream?.readyState === EventSource.CLOSED;
}
