// The page: files in, answers as they come, one slice looked at. It computes no answer.
import { draw, drawBar, unpack } from "/static/draw.js";

const $ = (id) => document.getElementById(id);
const options = JSON.parse($("options").textContent);
const scans = []; // {case, number, name, count, answers, error, notes}
let current = null;
let slice = null;
let maps = [null, null];
let record = null;
let kept = null; // a slice that stays in the second pane: {slice, map, text}
let asking = new AbortController(); // what the page waits for now
const PAUSE = 200; // ms on a slice before its map is asked for: whoever goes on wants none

function say(text) { $("status").textContent = text; }

async function ask(path, request) {
  const got = await fetch(path, request);
  if (got.ok) return got;
  if (got.status === 401) location.assign("/sign-in");
  let detail = `the service said ${got.status}`;
  try { detail = (await got.json()).detail; } catch { /* no problem of ours */ }
  throw new Error(detail);
}

function fill(select, names) {
  for (const [value, text] of Object.entries(names)) select.add(new Option(text, value));
}

// Files

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return files;
    for (const inner of some) if (!inner.name.startsWith(".")) files.push(...await filesOf(inner));
  }
}

async function open(files) {
  if (!files.length) return;
  say(`reading ${files.length} file${files.length > 1 ? "s" : ""} …`);
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  try {
    const said = await (await ask("/page/cases", { method: "POST", body: form })).json();
    const first = scans.length;
    said.scans.forEach((scan, number) => scans.push({ ...scan, case: said.case, number, answers: [] }));
    $("work").hidden = false;
    list();
    const readable = scans.findIndex((scan, i) => i >= first && !scan.error);
    if (readable >= 0) select(scans[readable], 0);
    await follow(said.case, first);
  } catch (error) { say(error.message); }
}

async function follow(name, first) {
  const reader = (await ask(`/page/cases/${name}/answers`)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let count = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const found = JSON.parse(line);
      const scan = scans[first + found.scan];
      if (found.slice === null) { showWhole(scan, found); continue; }
      scan.answers[found.slice] = found;
      count += 1;
      if (current && current.scan === scan && current.number === found.slice) showAnswer();
    }
    say(`${count} slice${count > 1 ? "s" : ""} answered`);
    list();
    bar();
  }
}

// The list

function inShort(scan) {
  if (scan.error) return scan.error;
  const known = scan.answers.filter(Boolean);
  if (scan.count === 1) return known.length ? known[0].words || known[0].error : "…";
  if (scan.whole) return wholeInWords(scan.whole);
  const good = known.filter((found) => found.answer && found.answer.assessable);
  const tumour = good.filter((found) => found.answer.label !== options.healthy);
  return `${known.length} of ${scan.count} slices: ${tumour.length} more like a tumour, ${known.length - good.length} not assessable`;
}

function list() {
  scans.forEach((scan, i) => {
    let item = $("list").children[i];
    if (!item) {
      item = document.createElement("li");
      const button = document.createElement("button");
      button.append(document.createElement("span"), document.createElement("small"));
      button.addEventListener("click", () => (scan.error ? say(scan.error) : go(scan, scan.whole ? scan.whole.answer.look_first[0] || 0 : 0)));
      item.append(button);
      $("list").append(item);
    }
    const button = item.firstChild;
    button.firstChild.textContent = scan.name || "scan";
    button.lastChild.textContent = inShort(scan);
    button.setAttribute("aria-current", String(Boolean(current) && current.scan === scan));
  });
}

// The whole volume

function wholeInWords({ words, answer }) {
  if (!answer.label) return words;
  const share = `${(100 * answer.confidence).toFixed(1)} %`;
  const sure = answer.prediction_set.length === 1 && answer.prediction_set[0] === answer.label;
  const slices = answer.look_first.map((i) => i + 1).join(", ");
  return `${words} (${sure ? share : `${options.classes[answer.label]} ${share}`}); look first at slice ${slices}`;
}

function showWhole(scan, found) {
  scan.whole = found;
  if (!current || current.scan !== scan) return;
  const [first] = found.answer.look_first;
  if (scan.moved || first === undefined) describeWhole();
  else select(scan, first);
}

function describeWhole() {
  const { whole } = current.scan;
  $("whole").hidden = !whole;
  if (!whole || $("whole").dataset.of === `${current.scan.case} ${current.scan.number}`) return;
  $("whole").dataset.of = `${current.scan.case} ${current.scan.number}`;
  const [answer, summary, first] = $("whole").children;
  answer.textContent = `Whole volume: ${wholeInWords(whole).split(";")[0]}`;
  answer.className = whole.answer.prediction_set.length === 1 ? "" : "doubt";
  summary.textContent = whole.answer.summary;
  first.hidden = !whole.answer.label;
  const { scan } = current;
  first.replaceChildren("Look first at slice ", ...whole.answer.look_first.map((number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = number + 1;
    button.addEventListener("click", () => go(scan, number));
    return button;
  }));
}

// The slice

function go(scan, number) {
  scan.moved = true;
  select(scan, number);
}

async function select(scan, number) {
  current = { scan, number };
  list();
  $("name").textContent = scan.count > 1 ? `${scan.name || "scan"}, slice ${number + 1} of ${scan.count}` : scan.name || "scan";
  $("through").hidden = scan.count < 2;
  $("slice").max = scan.count - 1;
  $("slice").value = number;
  $("number").textContent = `${number + 1} of ${scan.count}`;
  describeWhole();
  showAnswer();
  bar();
  await look(true);
}

function showAnswer() {
  const found = current.scan.answers[current.number];
  const body = $("probabilities").tBodies[0];
  body.replaceChildren();
  $("answer").className = "";
  const which = current.scan.count > 1 ? "This slice: " : "";
  $("answer").textContent = which + (found ? found.words || found.error : "…");
  $("probabilities").hidden = !found || !found.answer || !found.answer.assessable;
  if (!found || !found.answer) return;
  const { answer } = found;
  if (!answer.assessable || answer.prediction_set.length > 1) $("answer").className = "doubt";
  if (!answer.assessable) {
    $("answer").textContent = `${which}Not assessable: no class is named. ${answer.reason}`;
    return;
  }
  for (const [name, share] of Object.entries(answer.probabilities)) {
    const row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = options.classes[name];
    row.append(head);
    const bar_ = document.createElement("meter");
    bar_.value = share;
    bar_.setAttribute("aria-label", options.classes[name]);
    row.insertCell().append(bar_);
    row.insertCell().textContent = `${(100 * share).toFixed(1)} %`;
    row.insertCell().textContent = answer.prediction_set.includes(name) ? "in the set" : "";
  }
}

function readQuery(more) {
  const query = new URLSearchParams(more);
  for (const name of ["target", "versus"]) if ($(name).value) query.set(name, $(name).value);
  return query;
}

function twice() {
  const name = $("target").value;
  if (!name || name !== $("versus").value) return "";
  return `Class and Rather than are both ${options.classes[name]}: choose another class in one of them.`;
}

// Asks for what the page names: slice, methods, classes. What was asked before is given up.
async function look(anew) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const { scan, number } = current;
  const place = `/page/cases/${scan.case}/${scan.number}/${number}`;
  const panes = kept ? [0] : [0, 1];
  settle(null);
  maps = [null, null];
  if (anew) slice = null;
  for (const each of panes) $(`caption${each}`).textContent = twice() ? "" : "explaining …";
  $("caption0").textContent = twice() || "explaining …";
  let pane = 0;
  try {
    if (anew) {
      const got = await (await ask(`${place}/pixels`, { signal })).arrayBuffer();
      if (signal.aborted) return;
      slice = unpack(got);
    }
    showSecond();
    paint();
    if (twice()) return;
    await new Promise((done) => setTimeout(done, anew ? PAUSE : 0));
    for (pane of panes) {
      const method = $(`method${pane}`).value;
      if (signal.aborted) return;
      if (!method) continue;
      const said = await (await ask(`${place}/map?${readQuery({ method })}`, { signal })).json();
      if (signal.aborted) return;
      const { assessable } = said.record;
      maps[pane] = said.flat || !assessable ? null : Uint8Array.from(atob(said.map), (c) => c.charCodeAt(0));
      $(`caption${pane}`).textContent = assessable ? said.flat || said.caption : "no map is shown: the slice is not assessable";
      paint();
      if (pane === 0) settle(said.record);
    }
  } catch (error) { if (!signal.aborted) fail(error, panes.slice(pane)); }
}

function settle(said) {
  record = said;
  $("record").disabled = !said;
}

function fail(error, panes) {
  if (!slice) for (const id of ["pane0", "pane1"]) $(id).width = 0; // no picture of another slice
  for (const pane of panes) $(`caption${pane}`).textContent = error.message;
}

function paint() {
  if (!slice) return;
  const how = {
    style: $("style").value, strength: $("strength").value / 100, table: options.colours[$("colours").value],
    window: $("window").value / 100, level: $("level").value / 100,
  };
  draw($("pane0"), slice, maps[0], how);
  if (kept) draw($("pane1"), kept.slice, kept.map, how);
  else if ($("method1").value) draw($("pane1"), slice, maps[1], how);
}

function showSecond() {
  $("second").hidden = !kept && !$("method1").value;
  $("keep").setAttribute("aria-pressed", String(Boolean(kept)));
  $("pane1").setAttribute("aria-label", kept ? "The slice that is kept" : "The slice with the second map");
  if (kept) $("caption1").textContent = kept.text;
}

function keep() {
  kept = kept || !slice ? null : {
    slice, map: maps[0],
    text: `${$("name").textContent}: ${$("answer").textContent}. ${record ? $("caption0").textContent : "no map"}`,
  };
  if (kept) $("method1").value = "";
  showSecond();
  paint();
}

function bar() {
  if (current && current.scan.count > 1) {
    const answers = Array.from({ length: current.scan.count }, (_, i) => current.scan.answers[i]);
    drawBar($("bar"), answers, current.number, options.healthy);
  }
}

// What a person does

fill($("method0"), options.methods);
fill($("method1"), options.methods);
fill($("target"), options.classes);
fill($("versus"), options.classes);
fill($("colours"), Object.fromEntries(Object.keys(options.colours).map((name) => [name, name])));
for (const id of ["files", "folder"]) $(id).addEventListener("change", (event) => open([...event.target.files].filter((file) => !file.name.startsWith("."))));
$("keep").addEventListener("click", keep);
$("method1").addEventListener("change", () => { kept = null; });
for (const id of ["method0", "method1", "target", "versus"]) $(id).addEventListener("change", () => current && look(false));
for (const id of ["style", "colours", "strength", "window", "level"]) $(id).addEventListener("input", paint);
$("slice").addEventListener("input", (event) => go(current.scan, Number(event.target.value)));
$("bar").addEventListener("click", (event) => {
  const share = event.offsetX / $("bar").clientWidth;
  go(current.scan, Math.min(current.scan.count - 1, Math.floor(share * current.scan.count)));
});
$("panes").addEventListener("wheel", (event) => {
  if (!current || current.scan.count < 2) return;
  event.preventDefault();
  const next = current.number + Math.sign(event.deltaY);
  if (next >= 0 && next < current.scan.count) go(current.scan, next);
}, { passive: false });
$("controls").addEventListener("submit", (event) => event.preventDefault());
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
$("record").addEventListener("click", () => {
  save(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }), "record.json");
});
for (const button of $("report").querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    if (twice()) return;
    const query = readQuery({ format: button.dataset.form, method: $("method0").value });
    for (const name of new Set(scans.map((scan) => scan.case))) query.append("case", name);
    button.disabled = true;
    say("writing the report …");
    try {
      save(await (await ask(`/page/report?${query}`)).blob(), `tumorlens-report.${button.dataset.form}`);
      say("the report is written");
    } catch (error) { say(error.message); }
    button.disabled = false;
  });
}
const zone = document.body;
zone.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").className = "over"; });
zone.addEventListener("dragleave", () => { $("drop").className = ""; });
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").className = "";
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [];
  for (const entry of entries) files.push(...await filesOf(entry));
  await open(files);
});
addEventListener("pagehide", () => {
  for (const name of new Set(scans.map((scan) => scan.case))) fetch(`/page/cases/${name}`, { method: "DELETE", keepalive: true });
});
