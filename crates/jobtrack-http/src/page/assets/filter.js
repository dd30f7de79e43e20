// The filter box's text, taken apart into parameters of the listing, and back.
//
// Filters stand side by side, with blanks (or "&") between them: `state=failure kind=backup`. A word
// that is no filter is searched for in a job's texts. Only quotes and braces are understood here;
// what a value means is the server's affair, and so is what is wrong with it.

/** Every field, in the order of the catalogue. */
export const FIELDS = [
  "uuid", "state", "requested.action", "requested.by", "requested.time", "requested.reason",
  "cause", "description", "message", "code", "error.code", "error.message", "error.target",
  "error.arguments.code", "error.arguments.message", "create_time", "start_time", "end_time",
  "update_time", "retention", "retention_told", "retained_from", "expire_time", "held.by", "held.time",
  "held.reason", "deadline", "kind", "node",
  "scope.name", "scope.id", "progress.done", "progress.total", "progress.unit", "parent",
  "allows.pause", "allows.cancel", "cooperative", "lease.holder", "lease.token", "lease.since",
  "lease.term", "lease.until", "claims", "losses", "payload_bytes", "result_bytes",
  "idempotency_key", "revision",
];

/** Where words without a field are looked for. */
const SEARCHED = "description,message,kind,node,scope.name";

const FILTER = /^([^\s=&"{}<>!|*]+)=/;
const COMPARED = /^([a-z_.]+)\s*(<=|>=|!=|<|>)/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Takes the text apart: `params` for the server, `pieces` to find a fault's place again, and a
 * `problem` for what is seen to be wrong without asking.
 */
export function parse(text) {
  const pieces = tokens(text).map((token) => pieceOf(text, token));
  const params = pieces.filter((piece) => piece.name).map((piece) => [piece.name, piece.value]);
  const words = pieces.filter((piece) => !piece.name);
  const ids = words.filter((piece) => UUID.test(piece.value));
  const searched = words.filter((piece) => !ids.includes(piece));
  if (ids.length > 0) params.push(["uuid", ids.map((piece) => piece.value).join("|")]);
  if (searched.length > 0) {
    params.push(["query", searched.map((piece) => piece.value).join(" ")]);
    params.push(["query_fields", SEARCHED]);
  }
  return { text, params, pieces, problem: words.map(comparison).find(Boolean) ?? null };
}

/** The part of the box's text at which a problem lies: `from` and `to`, in UTF-16 units. */
export function locate(parsed, problem) {
  const { pieces } = parsed;
  if (problem.field === "query") return locateWord(parsed, problem.position);
  const named = pieces.filter((piece) => piece.name === problem.field);
  // Of a field that is given twice, the second is one too many.
  const piece = named.at(-1);
  if (!piece) return null;
  if (problem.kind === "unknown_parameter" || problem.kind === "unknown_field" || problem.kind === "duplicate") {
    return { from: piece.from, to: piece.valueFrom - 1 };
  }
  if (problem.position == null) return { from: piece.valueFrom, to: Math.max(piece.to, piece.valueFrom) };
  return withinValue(piece, problem.position);
}

/** The text with this field's filter set to this value, or without it if that is null. */
export function withField(text, name, value) {
  const { pieces } = parse(text);
  const kept = pieces.filter((piece) => piece.name !== name);
  const rest = kept.map((piece) => text.slice(piece.from, piece.to)).join(" ");
  if (value == null) return rest;
  const filter = `${name}=${value}`;
  const at = pieces.findIndex((piece) => piece.name === name);
  if (at < 0) return rest ? `${rest} ${filter}` : filter;
  const parts = pieces.filter((piece, index) => piece.name !== name || index === at);
  return parts.map((piece) => (piece.name === name ? filter : text.slice(piece.from, piece.to))).join(" ");
}

/** The value of this field's filter, if there is one. */
export function fieldOf(text, name) {
  return parse(text).pieces.find((piece) => piece.name === name)?.value ?? null;
}

/** The value written so that no mark in it has a meaning. */
export function quoted(value) {
  if (/^[\w.:/@+-]+$/.test(value) && !value.includes("..") && value !== "null") return value;
  // A quotation mark stands in braces, beside the quotes.
  return value.split('"').map((part) => (part ? `"${part}"` : "")).join('{"}');
}

function tokens(text) {
  const found = [];
  let from = -1;
  let at = 0;
  const end = () => {
    if (from >= 0) found.push({ from, to: at });
    from = -1;
  };
  while (at < text.length) {
    const character = text[at];
    if (/[\s&]/.test(character)) end();
    else if (from < 0) from = at;
    at = character === '"' || character === "{" ? afterQuote(text, at) : at + 1;
  }
  at = text.length;
  end();
  return found;
}

/** Where the quote that opens here ends. Braces nest; what never closes takes the rest. */
function afterQuote(text, open) {
  if (text[open] === '"') {
    const close = text.indexOf('"', open + 1);
    return close < 0 ? text.length : close + 1;
  }
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "{") depth++;
    if (text[at] === "}" && --depth === 0) return at + 1;
  }
  return text.length;
}

function pieceOf(text, { from, to }) {
  const raw = text.slice(from, to);
  const name = FILTER.exec(raw)?.[1] ?? null;
  const valueFrom = name ? from + name.length + 1 : from;
  return { name, value: text.slice(valueFrom, to), from, valueFrom, to };
}

/** What is wrong with `code>5`, which looks like a filter and would be searched for as a word. */
function comparison(piece) {
  const [, name, mark] = COMPARED.exec(piece.value) ?? [];
  if (!FIELDS.includes(name) && !name?.startsWith("labels.")) return null;
  const value = piece.value.slice(name.length + mark.length).trim();
  const right = mark === "!=" ? `${name}=!${value}` : `${name}=${mark}${value}`;
  return {
    kind: "invalid_syntax",
    detail: `a filter is a field, "=" and a value; write ${right}`,
    place: { from: piece.from, to: piece.to },
  };
}

/** From this byte of the value to the end of the alternative that it stands in. */
function withinValue(piece, position) {
  const start = unitsOf(piece.value, position);
  const bar = piece.value.indexOf("|", start + 1);
  const stop = bar < 0 ? piece.value.length : bar;
  return { from: piece.valueFrom + start, to: piece.valueFrom + Math.max(stop, start) };
}

function locateWord({ pieces }, position) {
  const words = pieces.filter((piece) => !piece.name && !UUID.test(piece.value));
  if (words.length === 0) return null;
  if (position == null) return { from: words[0].from, to: words.at(-1).to };
  let begin = 0;
  for (const word of words) {
    const bytes = new TextEncoder().encode(word.value).length;
    if (position <= begin + bytes) {
      return { from: word.from + unitsOf(word.value, position - begin), to: word.to };
    }
    begin += bytes + 1;
  }
  return { from: words.at(-1).from, to: words.at(-1).to };
}

/** How many UTF-16 units the first so many bytes of UTF-8 are. */
function unitsOf(text, bytes) {
  let units = 0;
  for (const character of text) {
    if (bytes <= 0) break;
    bytes -= new TextEncoder().encode(character).length;
    units += character.length;
  }
  return units;
}
