// What all pages share: the button that turns light into dark and back.
"use strict";
const themeButton = document.getElementById("theme");
themeButton.addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  themeButton.setAttribute("aria-pressed", String(!isDark));
});
