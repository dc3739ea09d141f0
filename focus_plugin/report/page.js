"use strict";

const { figures, tokens, made, convex } = JSON.parse(document.getElementById("data").textContent);
const KINDS = ["copied", "mixed", "filled", "learned"];
const SERIES = KINDS.filter((kind) => kind !== "learned" || figures.vocabulary.learned);
const SHOWN = 200;
const SVG = "http://www.w3.org/2000/svg";
const number = (value) => value.toLocaleString("en");
const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(1) : "0.0") + " %";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/* A table from heads and rows of cells; a cell is a text, a number or an element. */
function table(heads, rows) {
  const cell = (name, value, attributes) => element(name, attributes, typeof value === "number" ? number(value) : value);
  const numeric = (column) => rows.some((row) => typeof row[column] === "number" || /^\d\.\d+$/.test(row[column]));
  const align = heads.map((_, column) => (numeric(column) ? { class: "number" } : {}));
  const head = heads.map((value, column) => cell("th", value, { scope: "col", ...align[column] }));
  const body = rows.map((row) => element("tr", {}, ...row.map((value, column) => cell("td", value, align[column]))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

/* Puts a drawing into its figure, with a legend if there is more than one series, and the same as a table. */
function finish(id, drawing, rows, series, heading) {
  const figure = document.getElementById(id);
  const title = document.getElementById(id + "-title").textContent;
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${title}; the same figures are in the table below`);
  figure.append(drawing);
  if (series.length > 1) {
    const names = series.map((name) => element("li", {}, element("i", { class: name }), name));
    figure.append(element("ul", { class: "legend" }, ...names));
  }
  const figuresTable = table([heading, ...series], rows.map((row) => [row.label, ...series.map((name) => row[name])]));
  figure.append(element("details", {}, element("summary", {}, "As a table"), figuresTable));
}

function total(row, series) {
  return series.reduce((sum, name) => sum + row[name], 0);
}

/* A piece of a bar; its title says what it is. */
function piece(row, name, whole, box) {
  const what = `${row.label}: ${number(row[name])} ${name}` + (whole === row[name] ? "" : ` (${percent(row[name], whole)})`);
  return shape("rect", { class: name, ...box }, shape("title", {}, what));
}

/* Lying bars, each as long as the others, divided by the shares of the series; its total stands at its end. */
function shares(id, rows, series, heading) {
  const [width, left, right, pitch, thick] = [480, 155, 75, 30, 20];
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${rows.length * pitch}` });
  rows.forEach((row, index) => {
    const whole = total(row, series), y = index * pitch + (pitch - thick) / 2;
    drawing.append(shape("text", { x: left - 10, y: y + 15, "text-anchor": "end" }, row.label));
    let x = left;
    for (const name of series) {
      const length = whole ? ((width - left - right) * row[name]) / whole : 0;
      drawing.append(piece(row, name, whole, { x, y, width: length, height: thick }));
      x += length;
    }
    drawing.append(shape("text", { class: "tick", x: width, y: y + 15, "text-anchor": "end" }, number(whole)));
  });
  finish(id, drawing, rows, series, heading);
}

/* Lying bars on one scale, each with its value at its end. */
function lengths(id, rows, heading) {
  const [width, left, right, pitch, thick] = [480, 155, 75, 44, 28];
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${rows.length * pitch}` });
  const largest = Math.max(...rows.map((row) => row.value));
  rows.forEach((row, index) => {
    const length = ((width - left - right) * row.value) / largest, y = index * pitch + (pitch - thick) / 2;
    drawing.append(shape("text", { x: left - 10, y: y + 19, "text-anchor": "end" }, row.label));
    drawing.append(shape("rect", { class: row.series, x: left, y, width: length, height: thick }));
    drawing.append(shape("text", { x: left + length + 8, y: y + 19 }, row.value.toFixed(2)));
  });
  finish(id, drawing, rows, ["value"], heading);
}

/* A step of 1, 2 or 5 times a power of ten that divides a scale into a handful of parts. */
function niceStep(largest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(largest, 1) / 4));
  return Math.max(1, power * [1, 2, 5, 10].find((factor) => factor * power * 5 >= largest));
}

/* Standing columns on one scale, divided by series. Where there are many, every second is labelled. */
function columns(id, rows, series, heading, short = (label) => label) {
  const [width, height, left, top, bottom] = [480, 250, 52, 12, 44];
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}` });
  const largest = Math.max(1, ...rows.map((row) => total(row, series)));
  const step = niceStep(largest), high = step * Math.ceil(largest / step);
  const scale = (height - top - bottom) / high, pitch = (width - left) / rows.length, gap = pitch * 0.12;
  for (let value = 0; value <= high; value += step) {
    const y = height - bottom - value * scale;
    drawing.append(shape("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }));
    drawing.append(shape("text", { class: "tick", x: left - 8, y: y + 4, "text-anchor": "end" }, number(value)));
  }
  rows.forEach((row, index) => {
    let y = height - bottom;
    for (const name of series) {
      y -= row[name] * scale;
      const box = { x: left + index * pitch + gap, y, width: pitch - 2 * gap, height: row[name] * scale };
      drawing.append(piece(row, name, total(row, series), box));
    }
    if (rows.length > 12 && index % 2) return;
    const x = left + (index + 0.5) * pitch;
    drawing.append(shape("text", { class: "tick", x, y: height - bottom + 18, "text-anchor": "middle" }, short(row.label)));
  });
  const x = left + (width - left) / 2;
  drawing.append(shape("text", { class: "tick", x, y: height - 6, "text-anchor": "middle" }, heading));
  finish(id, drawing, rows, series, heading);
}

/* A token as it can be shown: white space and control characters by their code, its direction its own. */
function shown(place) {
  const code = (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  const form = tokens.forms[place].replace(/[\p{C}\p{Z}]/gu, (found) => (/[\u200c\u200d]/.test(found) ? found : code(found)));
  return element("bdi", { dir: "auto" }, form);
}

const mixtureOf = new Map();
[...tokens.kinds].forEach((kind, id) => kind === "1" && mixtureOf.set(id, tokens.mixtures[mixtureOf.size]));
const copyOf = new Map(tokens.copies);

/* Of what a row is made, as the last cell of its line. */
function recipe(id) {
  if (copyOf.has(id)) return element("span", { class: "part" }, shown(copyOf.get(id)));
  if (!mixtureOf.has(id)) return element("span", { class: "none" }, "–");
  const [support, , ...pairs] = mixtureOf.get(id), cell = element("span");
  let rest = 1000;
  for (let i = 0; i < pairs.length; i += 2) {
    rest -= pairs[i + 1];
    const share = pairs[i + 1] ? percent(pairs[i + 1], 1000) : "< 0.1 %";
    const weight = convex ? share : (pairs[i + 1] / 1000).toFixed(3);
    cell.append(element("span", { class: "part" }, shown(pairs[i]), " ", element("span", {}, weight)), " ");
  }
  const hidden = support - pairs.length / 2;
  const others = convex ? " " + percent(Math.max(rest, 0), 1000) : "";
  if (hidden) cell.append(element("span", { class: "none" }, `and ${number(hidden)} more${others}`));
  return cell;
}

const HEADS = ["Token", "Embedding", ...(tokens.counts ? ["In the corpus"] : []), "Best similarity", "Anchors", "Made of"];

function line(id) {
  const kind = KINDS[tokens.kinds[id]], [support, similarity] = mixtureOf.get(id) ?? [];
  const cosine = similarity === undefined || similarity === null ? "" : (similarity / 1000).toFixed(3);
  const count = tokens.counts ? [tokens.counts[id]] : [];
  return [shown(id), element("span", { class: "how" }, element("i", { class: kind }), kind), ...count, cosine, support ?? "", recipe(id)];
}

function list(id, rows) {
  document.getElementById(id).replaceChildren(table(HEADS, rows.map(line)));
}

const simple = (text) => text.normalize("NFC").toLowerCase().replaceAll(" ", "▁");
const searched = Array.from(tokens.kinds, (_, id) => simple(tokens.forms[id]));
const query = document.getElementById("query"), kind = document.getElementById("kind");

/* The first hits for what stands in the search field; tokens that are just that come first. */
function search() {
  const wanted = simple(query.value), digit = String(KINDS.indexOf(kind.value));
  const hits = [];
  searched.forEach((form, id) => form.includes(wanted) && (!kind.value || tokens.kinds[id] === digit) && hits.push(id));
  const bare = wanted.replace(/^▁/, ""), exact = (id) => searched[id] === bare || searched[id] === "▁" + bare;
  const ordered = wanted ? [...hits.filter(exact), ...hits.filter((id) => !exact(id))] : hits;
  list("found", ordered.slice(0, SHOWN));
  const cut = hits.length > SHOWN ? `, the first ${SHOWN} shown` : "";
  document.getElementById("hits").textContent = `${number(hits.length)} ${hits.length === 1 ? "token" : "tokens"}${cut}`;
}

/* #q=...&kind=... in the address fills the search, so that a search can be passed on. */
function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  query.value = asked.get("q") ?? "";
  kind.value = KINDS.includes(asked.get("kind")) ? asked.get("kind") : "";
  search();
  if (asked.has("q") || asked.has("kind")) document.getElementById("search").scrollIntoView();
}

function writeAddress() {
  const entries = Object.entries({ q: query.value, kind: kind.value }).filter(([, value]) => value);
  history.replaceState(null, "", "#" + new URLSearchParams(entries));
}

function provenance() {
  const flat = (prefix, value) =>
    value !== null && typeof value === "object"
      ? Object.entries(value).flatMap(([name, inner]) => flat(`${prefix} ${name}`, inner))
      : [[prefix, element("code", {}, String(value))]];
  const rows = [...flat("option", made.options), ...flat("SHA-256 of", made.inputs), ...flat("version of", made.versions)];
  document.getElementById("provenance").append(table(["What", "Value"], rows));
}

const present = { mixtures: tokens.mixtures.length > 0, similarities: figures.similarities.length > 0, tokens_per_word: figures.tokens_per_word !== null };
for (const section of document.querySelectorAll("[data-needs]")) section.hidden = !present[section.dataset.needs];
const rows = [{ ...figures.vocabulary, label: "of the vocabulary" }];
if (figures.text) rows.push({ ...figures.text, label: "of the running text" });
shares("made", rows, SERIES, "Tokens");
shares("scripts", figures.scripts, SERIES, "Script");
columns("lengths", figures.lengths, SERIES, "Characters");
if (present.tokens_per_word) {
  const { before, after } = figures.tokens_per_word;
  const rows = [{ label: "source's vocabulary", series: "before", value: before }, { label: "new vocabulary", series: "after", value: after }];
  lengths("tokens-per-word", rows, "Tokens per word");
}
if (present.mixtures) {
  const lower = (label) => label.split("–")[0];
  if (present.similarities) columns("similarities", figures.similarities, ["tokens"], "Cosine similarity, from", lower);
  columns("supports", figures.supports, ["tokens"], "Anchors, from", lower);
  list("most-trusted", figures.most_trusted);
  list("least-trusted", figures.least_trusted);
}
provenance();
readAddress();
query.addEventListener("input", search);
kind.addEventListener("input", search);
query.addEventListener("change", writeAddress);
kind.addEventListener("change", writeAddress);
window.addEventListener("hashchange", readAddress);
