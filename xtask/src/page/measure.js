// What is wrong with a page as it is laid out, one line each.
const problems = [];
const words = (e) => `${e.localName}.${e.getAttribute("class")} "${e.textContent.slice(0, 40)}"`;

const wide = document.documentElement.scrollWidth;
if (wide > innerWidth) problems.push(`the page is ${wide} wide in a window of ${innerWidth}`);
for (const e of document.querySelectorAll(".chip, .name, .callout, .words p, .card, h1, h2, h3, h4, li, pre, dd")) {
  if (e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1) problems.push(`overflows: ${words(e)}`);
}

// contrast as WCAG 2 counts it; 4.5 is its level AA
const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
const luminance = (colour) => {
  const linear = parts(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (e) => {
  const colour = e ? getComputedStyle(e).backgroundColor : "rgb(255, 255, 255)";
  return parts(colour)[3] === 0 ? behind(e.parentElement) : colour;
};
for (const e of document.body.querySelectorAll("*:not(svg, svg *, .unseen, script)")) {
  if (![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
  const [light, dark] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => b - a);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(1)}: ${words(e)}`);
}
