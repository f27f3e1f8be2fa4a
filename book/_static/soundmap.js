// Sound maps: a click on a point, or Enter or Space, plays its clip in the map's player; Escape stops it.
// Arrows move to the nearest point in their direction, Page Up and Down to the one before and after in the
// order of the data, Home and End to the first and last: no point is out of reach.  A map is one tab stop.
//
// It listens on the window, so it need not know of maps beforehand (a notebook's outputs come at any time),
// and before anyone else, so that a notebook does not take the arrows for its own.
(() => {
  "use strict";
  if (window.soundMaps) return; // Jupyter Book loads scripts twice on pages with mathematics
  window.soundMaps = true;
  document.documentElement.classList.add("sound-maps"); // from now on maps show instead of pictures

  const REACH = 16; // px: how far from a point a click may fall
  const AHEAD = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const mapOf = (element) => element.closest?.(".soundmap .map");
  const pointsOf = (map) => [...map.querySelectorAll(".point")];

  function centre(point) {
    const box = point.getBoundingClientRect();
    return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  }

  // The point with the least cost, or undefined where every cost is infinite.
  function cheapest(points, cost) {
    let best, least = Infinity;
    for (const point of points) {
      const price = cost(...centre(point), point);
      if (price < least) [best, least] = [point, price];
    }
    return best;
  }

  // Targets overlap where points are dense: the nearest one is meant.
  function clicked(map, x, y) {
    return cheapest(pointsOf(map), (px, py) => {
      const distance = Math.hypot(px - x, py - y);
      return distance <= REACH ? distance : Infinity;
    });
  }

  // The nearest point within 45° of the direction; where there is none, the nearest on that side.
  function towards(from, points, [dx, dy]) {
    const [x, y] = centre(from);
    return cheapest(points, (px, py) => {
      const along = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (along < 0.01) return Infinity;
      return Math.hypot(along, aside) + (aside > along ? 1e6 : 0);
    });
  }

  function choose(map, point) {
    for (const other of pointsOf(map)) other.tabIndex = other === point ? 0 : -1;
    point.focus();
  }

  function play(map, point) {
    for (const audio of document.querySelectorAll("audio")) audio.pause();
    map.querySelector("[aria-current]")?.removeAttribute("aria-current");
    point.setAttribute("aria-current", "true");
    const audio = map.querySelector("audio");
    audio.src = point.getAttribute("href");
    audio.play().catch((error) => {
      if (error.name !== "AbortError") say(map, "Cannot be played"); // aborted: another one was chosen
    });
  }

  function say(map, what) {
    const label = map.querySelector("[aria-current]").getAttribute("aria-label");
    map.querySelector("[role=status]").textContent = `${what} – ${label}`;
  }

  function told(event) {
    const map = mapOf(event.target);
    if (!map?.querySelector("[aria-current]")) return;
    map.classList.toggle("sounding", !event.target.paused);
    say(map, event.target.paused ? "Stopped" : "Playing");
  }

  window.addEventListener("play", told, true);
  window.addEventListener("pause", told, true);

  window.addEventListener("click", (event) => {
    const map = mapOf(event.target);
    if (!map || !event.target.closest(".plot")) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // a link like others
    const nearest = event.detail > 0 && clicked(map, event.clientX, event.clientY); // 0: no pointer did it
    const point = nearest || event.target.closest(".point");
    if (!point) return;
    event.preventDefault();
    choose(map, point);
    play(map, point);
  }, true);

  window.addEventListener("keydown", (event) => {
    const map = mapOf(event.target), point = event.target.closest?.(".point");
    if (!map || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      const audio = map.querySelector("audio");
      audio.pause();
      audio.currentTime = 0;
    } else if (!point) {
      return;
    } else if (event.key === "Enter" || event.key === " ") {
      play(map, point);
    } else {
      const points = pointsOf(map), at = points.indexOf(point);
      const order = { Home: 0, End: points.length - 1, PageUp: at - 1, PageDown: at + 1 };
      if (!(event.key in order) && !(event.key in AHEAD)) return;
      const next = event.key in AHEAD ? towards(point, points, AHEAD[event.key]) : points[order[event.key]];
      if (next) choose(map, next);
    }
    event.preventDefault();
    event.stopPropagation();
  }, true);
})();
