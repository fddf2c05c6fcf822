// Search, filters and sorting of the list of runs; where one is on the page. All else works without.
"use strict";
{
  const list = document.getElementById("run-list");
  const form = document.getElementById("filters");
  const search = document.getElementById("search");
  const selects = [...form.querySelectorAll("select")];
  const found = document.getElementById("found");
  const runs = [...list.tBodies].map((body) => ({ body, text: body.textContent.toLowerCase() }));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { body, text } of runs) {
      const wanted =
        words.every((word) => text.includes(word)) &&
        selects.every(({ value, dataset }) => !value || body.dataset[dataset.field] === value);
      body.hidden = !wanted;
      shown += wanted;
    }
    const all = runs.length === 1 ? "1 run" : `${runs.length} runs`;
    found.textContent = shown === runs.length ? all : `${shown} of ${all}`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  const words = new Intl.Collator("en", { numeric: true });
  const key = (body, column) => {
    const cell = body.rows[0].cells[column];
    return cell.dataset.value ?? cell.textContent;
  };
  const sort = (header, column) => {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const number = header.classList.contains("number");
    const order = (a, b) => {
      const [x, y] = [key(a.body, column), key(b.body, column)];
      if (!number) return ascending ? words.compare(x, y) : words.compare(y, x);
      // What is not known comes last, either way.
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return ascending ? x - y : y - x;
    };
    list.append(...[...runs].sort(order).map(({ body }) => body));
  };
  [...list.tHead.rows[0].cells].forEach((header, column) => {
    if (!("sort" in header.dataset)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sort(header, column));
    header.replaceChildren(button);
  });

  const links = new Map(
    [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
  );
  const places = [...links.keys()].map((name) => document.getElementById(name));
  let current;
  const mark = () => {
    const passed = places.filter((place) => place.getBoundingClientRect().top < innerHeight / 3);
    const link = links.get((passed.at(-1) ?? places[0]).id);
    if (link === current) return;
    current?.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    const nav = link.closest("nav");
    // In a narrow window only the sections are there to be seen.
    const seen = link.offsetParent ? link : link.closest("nav > ul > li");
    if (current) nav.scrollTo(seen.offsetLeft - nav.clientWidth / 2, seen.offsetTop - nav.clientHeight / 2);
    current = link;
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}
