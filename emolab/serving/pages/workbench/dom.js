// Elements from data. Text always goes in as text, so that no name and no label can bring a script along.

export const $ = (id) => document.getElementById(id);

/** An element: properties that start with "on" are listeners, "data" is a map, the rest are attributes. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Put children in the place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** A text with {name} replaced by values[name]. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Ask a question in a window; true for yes. */
export function sure(question, yes, no) {
  return new Promise((answer) => {
    const box = el("dialog", { class: "card ask", "aria-label": question },
      el("p", {}, question), el("p", { class: "answers" },
        el("button", { type: "button", onclick: () => box.close("yes") }, yes),
        el("button", { type: "button", class: "plain", onclick: () => box.close("") }, no)));
    box.addEventListener("close", () => { answer(box.returnValue === "yes"); box.remove(); });
    document.body.append(box);
    box.showModal();
  });
}
