// Listening panels: sliders choose a clip from the panel's list, and what is measured of it moves beside them.
// A change while a clip plays goes on at the same second of the next one, so that strengths compare. The pad,
// where there are two sliders, moves both; the keyboard has the sliders (arrows), and Enter plays or pauses.
(() => {
  "use strict";
  if (window.dosePanels) return window.dosePanels(); // loaded once more: a notebook shows another panel

  const close = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-9);
  const slidersOf = (panel) => [...panel.querySelectorAll("input.dose")];
  const valueOf = (slider) => JSON.parse(slider.dataset.values)[slider.value];
  const signed = (value) => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value);
  const panelOf = (element) => element.closest?.(".dosepanel .doses");

  function update(panel) {
    const prompt = panel.querySelector("select.prompt").value;
    const sliders = slidersOf(panel), at = sliders.map(valueOf);
    const item = [...panel.querySelectorAll("li[data-stop]")].find((li) => {
      const stop = JSON.parse(li.dataset.stop);
      return stop.prompt === prompt && close(stop.at, at);
    });
    const stop = JSON.parse(item.dataset.stop), audio = panel.querySelector("audio");
    const source = item.querySelector("a.clip").getAttribute("href");
    if (audio.getAttribute("src") !== source) {
      const playing = !audio.paused, second = audio.currentTime;
      audio.src = source;
      if (playing) {
        audio.addEventListener("loadedmetadata", () => { audio.currentTime = second; }, { once: true });
        play(panel);
      }
    }
    sliders.forEach((slider, i) => {
      slider.setAttribute("aria-valuetext", signed(at[i]));
      slider.parentElement.querySelector("output").textContent = signed(at[i]);
    });
    for (const meter of panel.querySelectorAll(".meter")) {
      const { measure, unit } = meter.dataset, low = +meter.dataset.low, high = +meter.dataset.high;
      const value = stop.measured[measure], share = high > low ? (value - low) / (high - low) : 0.5;
      meter.querySelector(".bar > span").style.width = `${2 + 98 * share}%`;
      meter.querySelector(".value").textContent = `${+value.toPrecision(3)} ${unit}`;
    }
    const dot = panel.querySelector(".pad .dot");
    if (dot) {
      const [x, y] = sliders.map((slider) => slider.value / Math.max(1, slider.max));
      dot.style.left = `${100 * x}%`;
      dot.style.top = `${100 * (1 - y)}%`;
    }
    return `${prompt}: ${sliders.map((s, i) => `${s.closest("label").textContent.trim().split(" ")[0]} ${signed(at[i])}`).join(", ")}`;
  }

  function play(panel) {
    const audio = panel.querySelector("audio");
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    audio.play().catch((error) => {
      if (error.name !== "AbortError") panel.querySelector("[role=status]").textContent = "This clip cannot be played.";
    });
  }

  window.addEventListener("input", (event) => {
    const panel = panelOf(event.target);
    if (!panel) return;
    panel.querySelector("[role=status]").textContent = update(panel);
  }, true);

  window.addEventListener("keydown", (event) => {
    const panel = panelOf(event.target);
    if (!panel || event.ctrlKey || event.metaKey || event.altKey) return;
    // A notebook must not take the arrows for its own; the slider itself still gets them.
    if (event.target.matches("input.dose, select.prompt")) event.stopPropagation();
    if (event.key === "Enter" && event.target.matches("input.dose")) {
      event.preventDefault();
      const audio = panel.querySelector("audio");
      if (audio.paused) play(panel);
      else audio.pause();
    }
  }, true);

  let held;
  function drag(event) {
    const box = held.getBoundingClientRect(), sliders = slidersOf(panelOf(held));
    const share = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    sliders.forEach((slider, i) => {
      slider.value = Math.round(Math.min(1, Math.max(0, share[i])) * slider.max);
    });
    sliders[0].dispatchEvent(new Event("input", { bubbles: true }));
  }
  window.addEventListener("pointerdown", (event) => {
    held = event.target.closest?.(".dosepanel .pad");
    if (!held) return;
    event.preventDefault();
    drag(event);
  }, true);
  window.addEventListener("pointermove", (event) => { if (held) drag(event); }, true);
  window.addEventListener("pointerup", () => { held = undefined; }, true);

  window.dosePanels = () => {
    document.documentElement.classList.add("dose-panels"); // from now on panels show instead of pictures
    for (const panel of document.querySelectorAll(".dosepanel .doses")) update(panel);
  };
  window.dosePanels();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", window.dosePanels);
})();
