"use strict";
(function () {
  const svgNamespace = "http" + "://www.w3.org/2000/svg";

  // The same as in the page's own pictures: what a state byte is coloured by, and what it means.
  function meaning(byte, colour) {
    const own = byte & 7, stamp = byte >> 4, withdrawn = (byte & 8) !== 0;
    if (own === 0 && withdrawn) return ["withdrawn", "withdrawn: neither free nor an object"];
    if (own === 0 && stamp === 0) return ["fresh", "free, never used"];
    if (own === 0) return ["dead", "free; its object died in a cycle that is " + (stamp - 1) + " modulo 15"];
    if (withdrawn) return ["pinned", "an object that is pinned, colour " + own];
    if (own === colour) return ["object", "an object, colour " + own + ": that of the last cycle"];
    return ["aged", "an object, colour " + own + ": that of an earlier cycle"];
  }

  function bytesOf(hex) {
    const bytes = [];
    for (let at = 0; at < hex.length; at += 2) bytes.push(parseInt(hex.slice(at, at + 2), 16));
    return bytes;
  }

  function paint(map, colour, hex) {
    const columns = Number(map.dataset.columns), cell = Number(map.dataset.cell), side = cell - 2;
    const paths = new Map();
    bytesOf(hex).forEach(function (byte, slot) {
      const kind = meaning(byte, colour)[0];
      const square = "M" + (slot % columns) * cell + " " + Math.floor(slot / columns) * cell + "h" + side + "v" + side + "h-" + side + "z";
      paths.set(kind, (paths.get(kind) || "") + square);
    });
    map.querySelectorAll("path.slots").forEach(function (path) { path.remove(); });
    paths.forEach(function (outline, kind) {
      const path = document.createElementNS(svgNamespace, "path");
      path.setAttribute("class", "slots slot-" + kind);
      path.setAttribute("d", outline);
      map.prepend(path);
    });
    map.dataset.bytes = hex;
    map.dataset.colour = colour;
  }

  document.querySelectorAll("svg.map").forEach(function (map) {
    const under = map.closest(".mapbox").querySelector(".under");
    map.addEventListener("mousemove", function (event) {
      const box = map.getBoundingClientRect(), cell = Number(map.dataset.cell), columns = Number(map.dataset.columns);
      const scale = map.viewBox.baseVal.width / box.width;
      const column = Math.floor((event.clientX - box.left) * scale / cell);
      const slot = Math.floor((event.clientY - box.top) * scale / cell) * columns + column;
      const byte = bytesOf(map.dataset.bytes)[slot];
      under.textContent = byte === undefined || column >= columns ? "" :
        "slot " + slot + ": 0x" + byte.toString(16).padStart(2, "0") + ", " + meaning(byte, Number(map.dataset.colour))[1];
    });
  });

  document.querySelectorAll("details.finding").forEach(function (finding) {
    const slider = finding.querySelector("input[type=range]");
    const steps = finding.querySelectorAll("li.step");
    if (slider) {
      const map = finding.querySelector("svg.map");
      const frames = JSON.parse(finding.querySelector(".frames").textContent);
      const shown = finding.querySelector(".shown");
      const show = function (op) {
        slider.value = op;
        const frame = frames[op - 1];
        if (frame) paint(map, frame[0], frame[1]);
        shown.textContent = "after operation " + op + (frame && frame[1] === "" ? ": there is no such span yet" : "");
        steps.forEach(function (step) { step.classList.toggle("now", Number(step.dataset.op) === op); });
      };
      slider.addEventListener("input", function () { show(Number(slider.value)); });
      steps.forEach(function (step) {
        step.addEventListener("click", function () { show(Number(step.dataset.op)); });
      });
    }
    finding.addEventListener("toggle", function () {
      if (finding.open && !finding.dataset.quiet) history.replaceState(null, "", "#" + finding.id);
    });
  });

  function openNamed() {
    const finding = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (finding && finding.tagName === "DETAILS") {
      finding.open = true;
      finding.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", openNamed);
  openNamed();

  const filter = document.getElementById("filter"), all = document.getElementById("all");
  if (filter) {
    filter.addEventListener("input", function () {
      const wanted = filter.value.toLowerCase();
      document.querySelectorAll("details.finding").forEach(function (finding) {
        finding.hidden = !finding.querySelector("summary").textContent.toLowerCase().includes(wanted);
      });
    });
    all.addEventListener("click", function () {
      const findings = Array.from(document.querySelectorAll("details.finding:not([hidden])"));
      const open = findings.some(function (finding) { return !finding.open; });
      findings.forEach(function (finding) { finding.dataset.quiet = "1"; finding.open = open; });
    });
  }
})();
