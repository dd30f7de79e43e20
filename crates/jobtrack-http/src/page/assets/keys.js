// The keyboard. Keys that stand for letters mean something only where nobody is writing.

import { isOpen, showHelp } from "./dialogs.js";

/** Hears the keys for all of the page. */
export function hearKeys({ view, table, filterBox, showWaiting }) {
  document.getElementById("help").addEventListener("click", showHelp);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // A dialog has the keys to itself.
    if (isOpen()) return;
    if (filterBox.hasFocus) {
      if (event.key === "Escape" && !filterBox.clear()) filterBox.blur();
      else if (event.key === "ArrowDown") move(event, table, 0);
      return;
    }
    // Page keys and arrows scroll what has the focus, unless that is the list.
    const isInList = table.hasFocus || document.activeElement === document.body;
    switch (event.key) {
      case "j":
        return move(event, table, 1);
      case "k":
        return move(event, table, -1);
      case "ArrowDown":
        return isInList && move(event, table, 1);
      case "ArrowUp":
        return isInList && move(event, table, -1);
      case "PageDown":
        return isInList && move(event, table, table.pageRows);
      case "PageUp":
        return isInList && move(event, table, -table.pageRows);
      case "Home":
        return isInList && move(event, table, -Infinity);
      case "End":
        return isInList && move(event, table, Infinity);
      case "/":
        event.preventDefault();
        return filterBox.focus();
      case ".":
        return showWaiting();
      case "t":
        return document.getElementById("theme").click();
      case "?":
        event.preventDefault();
        return showHelp();
      case "Escape":
        if (view.job) view.change({ job: null });
        return;
      default:
    }
  });
}

function move(event, table, by) {
  event.preventDefault();
  table.move(by);
}
