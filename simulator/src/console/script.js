// Puts into its place what the server has rendered, draws where things went, sends forms as JSON.
"use strict";

const [board, stage, wires, said, log] = ["board", "stage", "wires", "said", "log"]
  .map((id) => document.getElementById(id));
const SHOWN = 200;
const authKeys = new Map();

const tell = (words, wrong) => {
  said.textContent = words;
  said.classList.toggle("wrong", Boolean(wrong));
};

// Where each thing is; the same bytes may be in two places.
const places = () => {
  const ground = stage.getBoundingClientRect();
  const found = new Map();
  for (const card of board.querySelectorAll("[data-thing]")) {
    const box = card.getBoundingClientRect();
    const place = {
      card,
      name: card.dataset.name,
      project: card.closest("[data-project]").dataset.project,
      left: box.left - ground.left, right: box.right - ground.left,
      middle: (box.top + box.bottom) / 2 - ground.top,
    };
    found.set(card.dataset.thing, [...(found.get(card.dataset.thing) ?? []), place]);
  }
  return found;
};

const draw = (thing, from, to) => {
  const forth = from.right <= to.left + 1;
  const [x1, x2] = forth ? [from.right, to.left] : [from.left, to.right];
  const bend = forth ? 60 : -60;
  const wire = document.createElementNS("http://www.w3.org/2000/svg", "path");
  wire.setAttribute("class", `wire ${thing.split(" ")[0]}`);
  wire.setAttribute("marker-end", "url(#head)");
  wire.setAttribute("d", `M${x1} ${from.middle} C${x1 + bend} ${from.middle} ${x2 - bend} ${to.middle} ${x2} ${to.middle}`);
  wires.append(wire);
  setTimeout(() => wire.remove(), 8000);
};

const show = (html) => {
  const before = places();
  const focused = document.activeElement?.id;
  board.innerHTML = html;
  if (focused && document.activeElement !== document.getElementById(focused)) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  for (const input of board.querySelectorAll("[data-offer]")) {
    input.value = authKeys.get(input.dataset.offer) ?? "";
  }
  for (const [thing, now] of places()) {
    const then = before.get(thing);
    if (!then) continue;
    for (const place of now) {
      if (then.some((one) => one.project === place.project)) continue;
      draw(thing, then[0], place);
      place.card.classList.add("arrived");
      const [kind] = thing.split(" ");
      tell(kind === "key"
        ? `The key ${place.name} went from ${then[0].project} to ${place.project}.`
        : `The volume ${place.name} went from ${then[0].project} to ${place.project}.`);
    }
  }
};

let shown = "";
let asking = false;
const refresh = async () => {
  const typing = board.contains(document.activeElement)
    && document.activeElement.matches("input, select");
  if (asking || typing || document.hidden) return;
  asking = true;
  try {
    const reply = await fetch("/_simulator/console/board");
    const html = await reply.text();
    if (reply.ok && html !== shown) show(html);
    if (reply.ok) shown = html;
  } catch { /* the stream of events tells that the simulator is gone */ }
  asking = false;
};
let soon = 0;
const refreshSoon = () => { clearTimeout(soon); soon = setTimeout(refresh, 60); };
setInterval(refresh, 1500);

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = {};
  for (const [name, value] of new FormData(form)) {
    body[name] = form.elements[name].type === "number" ? Number(value) : value;
  }
  try {
    const reply = await fetch(form.dataset.ask, {
      method: form.dataset.method ?? "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = reply.status === 204 ? {} : await reply.json();
    const offer = answer.transfer;
    if (offer?.auth_key) authKeys.set(offer.id, offer.auth_key);
    tell(reply.ok ? form.dataset.done : answer.error, !reply.ok);
  } catch (error) {
    tell(`No answer: ${error.message}`, true);
  }
  document.activeElement?.matches("#board input, #board select") && document.activeElement.blur();
  refreshSoon();
});

const listen = () => {
  const stream = new EventSource(`/_simulator/console/events?after=${log.dataset.after}`);
  stream.addEventListener("row", (event) => {
    const rows = document.createElement("template");
    rows.innerHTML = event.data;
    const row = rows.content.firstElementChild;
    const known = document.getElementById(row.id);
    if (known) known.replaceWith(row); else log.prepend(row);
    while (log.childElementCount > SHOWN) log.lastElementChild.remove();
    refreshSoon();
  });
  stream.addEventListener("cleared", () => { log.replaceChildren(); refreshSoon(); });
  stream.addEventListener("missed", refreshSoon);
  stream.addEventListener("open", () => document.body.classList.remove("gone"));
  stream.addEventListener("error", () => document.body.classList.add("gone"));
};
listen();
