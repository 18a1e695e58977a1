// The pages that search, show and compare traces. Every text is set as text, never as markup.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const query = new URLSearchParams(location.search);
  const PAGE = 50;
  const waiting = new Map();

  // Each data file is a script of one call: a page opened from a disk may load it.
  window.tunixrt = (name, rows) => waiting.get(name)?.(rows);

  const load = (name) =>
    new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.src = `${root}data/${name}.js`;
      script.onerror = () => reject(new Error(`The file data/${name}.js is missing.`));
      document.head.append(script);
    });

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const problem = (place, text) =>
    place.replaceChildren(element("p", { class: "error", role: "alert" }, text));

  const steps = (n) => `${n.toLocaleString("en")} step${n === 1 ? "" : "s"}`;

  // Search.

  const marked = (text, words) => {
    const found = [];
    const lower = text.toLowerCase();
    if (lower.length !== text.length) return [text]; // a letter whose lower case is longer
    for (const word of words)
      for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length))
        found.push([at, at + word.length]);
    found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const pieces = [];
    let end = 0;
    for (const [from, to] of found) {
      if (from < end) continue;
      pieces.push(text.slice(end, from), element("mark", {}, text.slice(from, to)));
      end = to;
    }
    return [...pieces, text.slice(end)];
  };

  const result = ([id, state, prompt, answer, n, source], words) =>
    element(
      "li",
      {},
      element("a", { href: `trace.html?id=${id}` }, ...marked(prompt, words)),
      element(
        "p",
        {},
        "Answer: ",
        ...marked(answer, words),
        ` · ${steps(n)}`,
        ...(source ? [" · ", ...marked(source, words)] : []),
        ` · ${id.slice(0, 12)}`,
        ...(state === "active" ? [] : [" ", element("span", { class: "tag bad" }, state)]),
      ),
    );

  const search = async (count) => {
    const list = document.getElementById("results");
    const more = document.getElementById("more");
    const input = document.getElementById("q");
    const choice = document.getElementById("state");
    const rows = [];
    let found = [];
    let words = [];
    let shown = 0;

    const show = () => {
      const next = found.slice(shown, shown + PAGE);
      list.append(...next.map((row) => result(row, words)));
      shown += next.length;
      more.hidden = shown >= found.length;
    };
    const run = () => {
      const text = input.value.trim().toLowerCase();
      words = text.split(/\s+/).filter(Boolean);
      found = rows.filter(
        ([id, state, prompt, answer, , source]) =>
          (!choice.value || state === choice.value) &&
          words.every(
            (word) =>
              `${prompt}\n${answer}\n${source}`.toLowerCase().includes(word) ||
              id.startsWith(word.replace("sha256:", "").slice(0, 16)),
          ),
      );
      list.replaceChildren();
      shown = 0;
      show();
      const total = Number(count.dataset.total);
      const searched = rows.length < total ? ` of ${rows.length.toLocaleString("en")} so far` : "";
      count.textContent = words.length || choice.value
        ? `${found.length.toLocaleString("en")} found${searched}.`
        : `${total.toLocaleString("en")} traces, in the order of the log.`;
    };
    let timer;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const wanted = new URLSearchParams();
        if (input.value) wanted.set("q", input.value);
        if (choice.value) wanted.set("state", choice.value);
        const address = wanted.size ? `?${wanted}` : location.pathname;
        try {
          history.replaceState(null, "", address);
        } catch {
          // A page from a disk may not change its address; the search works all the same.
        }
        run();
      }, 120);
    };
    input.value = query.get("q") ?? "";
    choice.value = query.get("state") ?? "";
    input.addEventListener("input", soon);
    choice.addEventListener("change", soon);
    input.form.addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
    more.addEventListener("click", () => {
      const place = shown;
      show();
      list.children[place]?.querySelector("a").focus();
    });
    count.textContent = "Loading the index.";
    for (let part = 0; part < Number(count.dataset.parts); part++) {
      rows.push(...(await load(`index-${part}`)));
      if (part === 0) run();
    }
    run();
  };

  // One trace, and two.

  const find = async (text, digits) => {
    const id = (text ?? "").trim().replace("sha256:", "").toLowerCase();
    if (!/^[0-9a-f]{6,64}$/.test(id))
      throw new Error(`"${id}" is no trace id: give at least 6 hex digits.`);
    const rows = (await load(`traces-${id.slice(0, digits)}`)).filter((r) => r[0].startsWith(id));
    if (rows.length !== 1)
      throw new Error(
        rows.length
          ? `${id} begins the ids of ${rows.length} traces: ${rows.map((r) => r[0].slice(0, 16)).join(", ")}.`
          : `There is no trace ${id} on this site. It may have been redacted.`,
      );
    const [name, state, prompt, answer, list, meta, turns] = rows[0];
    return { name, state, prompt, answer, list, meta, turns };
  };

  const fact = (name, ...value) => [element("dt", {}, name), element("dd", {}, ...value)];

  const pre = (label, text) => [
    element("p", { class: "label" }, label),
    element("pre", { tabindex: "0", role: "region", "aria-label": label }, text),
  ];

  const promptAndSteps = (trace) => [
    element("h2", {}, "Prompt"),
    ...pre("Prompt", trace.prompt).slice(1),
    element("h2", {}, steps(trace.list.length)),
    element(
      "ol",
      { class: "steps" },
      ...trace.list.map(([kind, text]) =>
        element(
          "li",
          {},
          element("span", { class: "text" }, text),
          element("span", { class: "kind" }, kind),
        ),
      ),
    ),
  ];

  const conversation = (trace) => [
    element("h2", {}, "Conversation"),
    ...trace.turns.flatMap(([label, text, message]) => pre(`${message}. ${label}`, text)),
  ];

  // A trace without turns is compared with a conversation as one of a single turn.
  const turnsOf = (trace) =>
    (
      trace.turns ?? [
        ["user", trace.prompt],
        ["assistant reasoning", trace.list.map(([, text]) => text).join("\n")],
        ["assistant", trace.answer],
      ]
    ).map(([label, text]) => `${label}: ${text}`);

  const showTrace = async (place) => {
    const trace = await find(query.get("id"), Number(place.dataset.digits));
    document.getElementById("a").value = trace.name;
    document.querySelector("h1").textContent = `Trace ${trace.name.slice(0, 12)}`;
    document.title = `Trace ${trace.name.slice(0, 12)} ${document.title.replace(/^[^·]*/, "")}`;
    const all = { class: trace.state === "active" ? "tag good" : "tag bad" };
    place.replaceChildren(
      element(
        "dl",
        { class: "facts" },
        ...fact("Id", element("code", {}, `sha256:${trace.name}`)),
        ...fact("State", element("span", all, trace.state)),
        ...trace.meta.flatMap(([key, value]) => fact(key, element("code", {}, value))),
      ),
      ...(trace.turns ? conversation(trace) : promptAndSteps(trace)),
      element("h2", {}, "Answer"),
      ...pre("Answer", trace.answer).slice(1),
      element(
        "p",
        {},
        element(
          "a",
          { href: `traces.html?${new URLSearchParams({ q: trace.prompt.slice(0, 120) })}` },
          "Find traces with this question",
        ),
      ),
    );
  };

  const MAX_CELLS = 16e6;

  // The longest common subsequence of two lists of texts, as pairs; unmatched ones face each other.
  const align = (a, b) => {
    // Too many for a table of all pairs: each text faces the one at its own place.
    if (a.length * b.length > MAX_CELLS)
      return Array.from({ length: Math.max(a.length, b.length) }, (_, k) => [a[k], b[k]]);
    const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        length[i][j] =
          a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    const rows = [];
    let left = [];
    let right = [];
    const flush = () => {
      for (let k = 0; k < Math.max(left.length, right.length); k++) rows.push([left[k], right[k]]);
      left = [];
      right = [];
    };
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) {
        flush();
        rows.push([a[i], b[j]]);
        i++;
        j++;
      } else if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) {
        left.push(a[i++]);
      } else {
        right.push(b[j++]);
      }
    }
    flush();
    return rows;
  };

  const cell = (text, same, sign) => {
    if (text === undefined) return element("td");
    if (same) return element("td", { class: "same" }, text);
    const name = sign === "−" ? "gone" : "came";
    const said = sign === "−" ? "only in A" : "only in B";
    const mark = element("span", { class: "sign", role: "img", "aria-label": said }, sign);
    return element("td", { class: name }, mark, text);
  };

  const showDiff = async (place) => {
    for (const name of ["a", "b"]) document.getElementById(name).value = query.get(name) ?? "";
    if (!query.get("a") || !query.get("b")) return;
    place.replaceChildren(element("p", { role: "status" }, "Loading the traces."));
    const digits = Number(place.dataset.digits);
    const a = await find(query.get("a"), digits);
    const b = await find(query.get("b"), digits);
    const link = ({ name }) =>
      element("a", { href: `trace.html?id=${name}` }, `Trace ${name.slice(0, 12)}`);
    const texts = (trace) => trace.list.map(([, text]) => text);
    // A header of a group of rows speaks for all of its <tbody>, so each part has its own.
    const section = (title, rows) =>
      element(
        "tbody",
        {},
        element("tr", {}, element("th", { colspan: "2", scope: "rowgroup" }, title)),
        ...rows.map(([x, y]) =>
          element("tr", {}, cell(x, x === y, "−"), cell(y, x === y, "+")),
        ),
      );
    const aligned = align(texts(a), texts(b));
    const same = aligned.filter(([x, y]) => x === y).length;
    place.replaceChildren(
      element(
        "p",
        { role: "status" },
        `The prompts are ${a.prompt === b.prompt ? "the same" : "different"}, the answers are ` +
          `${a.answer === b.answer ? "the same" : "different"}; ${same} of ` +
          `${a.list.length} and ${b.list.length} steps are the same.`,
      ),
      element(
        "div",
        { class: "scroll", role: "region", tabindex: "0", "aria-label": "Both traces" },
        element(
          "table",
          { class: "diff" },
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              element("th", { scope: "col" }, "A: ", link(a)),
              element("th", { scope: "col" }, "B: ", link(b)),
            ),
          ),
          ...(a.turns || b.turns
            ? [section("Conversation", align(turnsOf(a), turnsOf(b)))]
            : [section("Prompt", [[a.prompt, b.prompt]]), section("Steps", aligned)]),
          section("Answer", [[a.answer, b.answer]]),
        ),
      ),
    );
  };

  const begin = (id, work) => {
    const place = document.getElementById(id);
    if (place) work(place).catch((error) => problem(place, error.message));
  };
  begin("count", search);
  begin("trace", showTrace);
  begin("diff", showDiff);
})();
