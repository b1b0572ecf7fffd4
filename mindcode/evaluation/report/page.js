"use strict";
// The page reads well without this: it adds the values under the pointer the filter above the problems,
// and opens the problem that a square leads to.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);

for (const chart of document.querySelectorAll("svg[data-hover]")) {
  const { points, notes } = JSON.parse(chart.dataset.hover);
  const pointer = chart.querySelector(".pointer");
  const [line, dot] = pointer.children;
  const box = chart.viewBox.baseVal;
  const show = (event) => {
    const outline = chart.getBoundingClientRect();
    const x = ((event.clientX - outline.left) / outline.width) * box.width;
    let best = 0;
    points.forEach((point, index) => {
      if (Math.abs(point[0] - x) < Math.abs(points[best][0] - x)) best = index;
    });
    const [px, py] = points[best];
    for (const [name, value] of Object.entries({ x1: px, x2: px, y1: 12, y2: box.height - 28 })) {
      line.setAttribute(name, value);
    }
    dot.setAttribute("cx", px);
    dot.setAttribute("cy", py);
    pointer.setAttribute("visibility", "visible");
    tip.textContent = notes[best];
    tip.hidden = false;
    const left = outline.left + (px / box.width) * outline.width + 14;
    tip.style.left = `${Math.min(left, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${outline.top + 16}px`;
  };
  const hide = () => {
    tip.hidden = true;
    pointer.setAttribute("visibility", "hidden");
  };
  chart.addEventListener("pointermove", show);
  chart.addEventListener("pointerdown", show);
  chart.addEventListener("pointerleave", hide);
}

const problems = [...document.querySelectorAll("#problems details")];
for (const button of document.querySelectorAll(".filter button")) {
  button.addEventListener("click", () => {
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    for (const problem of problems) {
      problem.hidden = button.value !== "" && !problem.dataset.labels.split("|").includes(button.value);
    }
  });
}

const openLinked = () => {
  const problem = problems.find((one) => one.id && `#${one.id}` === location.hash);
  if (!problem) return;
  problem.hidden = false;
  problem.open = true;
  problem.scrollIntoView();
};
addEventListener("hashchange", openLinked);
openLinked();
