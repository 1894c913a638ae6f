"""A browser's visits to many paths, and the shape of each document.

The shape is the document without its text.
"""

from collections.abc import Sequence
from typing import Any, Final

from playwright.sync_api import Page

from tests.http.process import DEADLINE

_WINDOWS: Final = 4  # windows or frames, each of which visits one path after the other
_PATIENCE: Final = 3 * DEADLINE  # seconds for one visit
# Return one line for every node except text: its parent, its name and its attributes. Of a link that continues with the
# client's query, only the beginning is kept.
_VISIT: Final = """async ([paths, framed, windows, deadline]) => {
  const line = node => {
    if (node.nodeType !== 1) return `#${node.nodeType}`;
    const attributes = [...node.attributes].map(({name, value}) =>
      `${name}=${name === "href" && value.startsWith("?") ? "?" : value}`);
    return `${node.parentNode.nodeName} > ${node.nodeName} ${attributes.join(" ")}`;
  };
  const shape = document => {
    const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL & ~NodeFilter.SHOW_TEXT);
    const lines = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) lines.push(line(node));
    let digest = 0;
    for (const each of lines) for (let at = 0; at < each.length; at++)
      digest = Math.imul(digest ^ each.charCodeAt(at), 0x01000193);
    return {
      lines: [...new Set(lines)], count: lines.length, digest, text: framed ? "" : document.body.textContent,
      url: document.URL, cookie: document.cookie, type: document.contentType, charset: document.characterSet,
    };
  };
  const found = Array(paths.length), queue = [...paths.entries()].reverse();
  const loaded = (there, path) => {
    try { return there.location.pathname === path && there.document.readyState === "complete"; }
    catch { return false; }
  };
  const go = async there => {
    while (queue.length) {
      const [place, path] = queue.pop(), until = performance.now() + deadline;
      there.location.replace(path);
      while (!loaded(there, path)) {
        if (performance.now() > until) throw new Error(`${path} is never there`);
        await new Promise(done => setTimeout(done, 1));
      }
      found[place] = shape(there.document);
    }
  };
  const frame = () => {
    const element = document.body.appendChild(document.createElement("iframe"));
    element.style.display = "none";  // it is read, not painted
    return element.contentWindow;
  };
  const opened = Array.from({length: windows}, () => framed ? frame() : window.open("about:blank"));
  await Promise.all(opened.map(go));
  if (!framed) opened.forEach(there => there.close());
  return found;
}"""

Seen = dict[str, Any]


def visit(page: Page, paths: Sequence[str], *, framed: bool) -> list[Seen]:
    """Visit paths of the page's own origin, in several windows or frames at once; return each document's shape.

    The text is returned for windows only, because it is long.
    """
    seen: list[Seen] = page.evaluate(_VISIT, [list(paths), framed, _WINDOWS, _PATIENCE * 1000])
    return seen
