// Elements made by hand, and text that cannot be anything but text.
//
// What a job says of itself may be hostile. It becomes the content of text nodes and nothing else,
// each in its own <bdi>; characters that would turn or hide the text around them are shown by name.

/** An element with attributes and children; strings among the children become text. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for what stands in a drawing. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** One of the symbols in the document. */
export function icon(name, className = "") {
  const use = svg("use", { href: `#icon-${name}` });
  return svg("svg", { class: `icon-${name} ${className}`, "aria-hidden": "true" }, use);
}

// Controls, line and paragraph separators, all that directs or isolates direction, and what has no
// width. The joiners stay: emoji and several scripts need them.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\uffa0\ufff9-\ufffb]/gu;

/** The text with each character that cannot be seen written as its number. */
export function visible(text) {
  return String(text).replace(UNSEEN, (character) => {
    if (character === "\n" || character === "\t") return character;
    const code = character.codePointAt(0).toString(16).padStart(4, "0");
    return `\\u${code}`;
  });
}

/** A job's text, harmless and in its own direction. */
export function say(text, most = 4096) {
  return el("bdi", {}, clipped(visible(text), most));
}

/** Sets a job's text where there may be the same already, which then costs nothing. */
export function put(bdi, text, most = 300) {
  const shown = clipped(visible(text ?? ""), most);
  if (bdi.shown !== shown) {
    bdi.shown = shown;
    bdi.textContent = shown;
  }
}

/** Whole characters only, so that none is cut in two. */
function clipped(text, most) {
  return text.length <= most ? text : `${[...text.slice(0, most)].slice(0, -1).join("")}…`;
}

const NUMBERS = new Intl.NumberFormat("en");

/** A number as people read it. */
export function number(value) {
  return NUMBERS.format(value);
}

/** "1 job", "2 jobs". */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** What a job's state is called and looks like, requests and causes told apart. */
export function standing(job) {
  const asked = job.requested?.action;
  if (asked === "cancel") return { icon: job.state, tone: job.state, word: "canceling" };
  if (asked === "pause") return { icon: job.state, tone: job.state, word: "pausing" };
  if (asked === "resume") return { icon: job.state, tone: job.state, word: "resuming" };
  if (job.state === "failure") {
    switch (job.cause) {
      case "canceled":
        return { icon: "canceled", tone: "canceled", word: "canceled" };
      case "timed_out":
        return { icon: "failure", tone: "failure", word: "timed out" };
      case "lost":
        return { icon: "failure", tone: "failure", word: "lost" };
      default:
        return { icon: "failure", tone: "failure", word: "failed" };
    }
  }
  const word = job.state === "success" ? "succeeded" : job.state;
  return { icon: job.state, tone: job.state, word };
}

/** Whether nothing more will become of it. */
export function hasEnded(job) {
  return job.state === "success" || job.state === "failure";
}
