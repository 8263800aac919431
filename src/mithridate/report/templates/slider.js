// Without this script, and on paper, every dose is shown side by side.
"use strict";
document.documentElement.classList.add("live");
for (const reel of document.querySelectorAll(".reel")) {
  const input = reel.querySelector("input[type=range]");
  const output = reel.querySelector("output");
  const films = [...reel.querySelectorAll(".film")].map((film) => [...film.querySelectorAll(".frame")]);
  const ticks = [...reel.querySelectorAll(".ticks span")];
  const show = () => {
    const chosen = Number(input.value);
    for (const frames of films) {
      frames.forEach((frame, index) => frame.classList.toggle("shown", index === chosen));
    }
    ticks.forEach((tick, index) => tick.classList.toggle("shown", index === chosen));
    const current = films.map((frames) => frames[chosen]);
    output.textContent = current[0].dataset.dose;
    input.setAttribute("aria-valuetext",
      current[0].dataset.dose + ". " + current.map((frame) => frame.dataset.finding).join(" "));
  };
  input.addEventListener("input", show);
  show();
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
