// Server-sent events, read from an answer's body: `EventSource` could not send who asks.

/** How long events are handled in one go before the page may draw again. */
const SLICE = 8;

/**
 * The events of a body, one by one: `{event, id, data}`. `event` is "" for one that has no name,
 * which only moves the id on. While nobody asks for the next, nothing more is read: a page that
 * cannot keep up makes the server wait, and not its own memory grow.
 */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let began = performance.now();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      let from = 0;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n", from)) {
        yield eventOf(rest.slice(from, end));
        from = end + 2;
        if (performance.now() - began > SLICE) {
          await nextTask();
          began = performance.now();
        }
      }
      rest = rest.slice(from);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(lines) {
  const event = { event: "", id: null, data: "" };
  for (const line of lines.split("\n")) {
    const colon = line.indexOf(": ");
    // A comment has no name before its colon.
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    if (name in event) event[name] = line.slice(colon + 2);
  }
  return event;
}

/** Lets the browser draw, and hear of keys and pointers. */
function nextTask() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}
