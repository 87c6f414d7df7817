/** Small helpers for the page. Text from a person or a server reaches it as text nodes alone. */

export const byId = (id) => document.getElementById(id);

/** Make an element; `properties` are set on it, `children` are nodes or strings. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("data-") || key.startsWith("aria-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Return a function that calls `work` in the next frame of the screen, however often it is called. */
export function oncePerFrame(work) {
  let asked = 0;
  return () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      work();
    });
  };
}

/** Put a text on the clipboard, also on a page that may not use the clipboard's own interface. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { value: text, className: "offscreen" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Milliseconds in a few characters. */
export function inWords(ms) {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 9950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
