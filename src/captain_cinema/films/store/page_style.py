"""How the page of `cinema dataset show` looks."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #f6f2ea; --card: #fffdf8; --ink: #2a2521; --soft: #766c61; --line: #e2d9cb;
  --kept: #3f7d58; --dropped: #b4472f; --name: #8a4b12; --mark: #f3e3c8; --crop: #ffb400; --border: #35c2ff; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #191614; --card: #24201d; --ink: #ece4d9; --soft: #a39789; --line: #3a332d;
  --kept: #7cc49a; --dropped: #ee8a70; --name: #f0b878; --mark: #43341f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, serif; }
main, header.top { max-width: 1480px; margin: 0 auto; padding: 0 28px; }
h1 { font-size: 30px; margin: 34px 0 4px; } h2 { font-size: 22px; margin: 0; overflow-wrap: anywhere; }
.soft, .facts, .time, .legend, figcaption { color: var(--soft);
  font: 13px/1.5 system-ui, "Segoe UI", sans-serif; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 18px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px 12px; max-width: 640px;
  align-items: center; font: 13px/1.4 system-ui, sans-serif; margin: 10px 0 24px; }
.bars i { display: block; height: 11px; border-radius: 4px; background: var(--dropped); opacity: .75;
  min-width: 3px; }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--line);
  padding: 10px 0; margin-bottom: 8px; font: 14px system-ui, sans-serif; }
nav label { margin-right: 18px; cursor: pointer; white-space: nowrap; }
.legend i { display: inline-block; width: 13px; height: 13px; border: 2px solid; border-radius: 2px;
  vertical-align: -2px; margin: 0 5px 0 14px; }
section { margin: 34px 0 46px; }
.badge { display: inline-block; font: 600 12px/1 system-ui, sans-serif; padding: 4px 8px; border-radius: 20px;
  border: 1px solid currentColor; vertical-align: 3px; margin-left: 8px; color: var(--kept); }
.badge.bad { color: var(--dropped); }
.strip { display: block; width: 100%; height: 18px; margin: 10px 0 16px; border-radius: 5px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 18px; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden;
  display: flex; flex-direction: column; box-shadow: 0 1px 3px #0001; }
article > img { width: 100%; aspect-ratio: 2; object-fit: cover; display: block; background: #000; }
article.dropped > img { filter: grayscale(.5); }
article .text { padding: 10px 14px 12px; flex: 1; }
article p { margin: 6px 0 0; overflow-wrap: anywhere; }
article.dropped { border: 1px dashed var(--dropped); }
.reason { color: var(--dropped); font-weight: 600; }
.note { color: var(--name); }
.name { color: var(--name); background: var(--mark); border-radius: 4px; padding: 0 4px; font-style: normal; }
.missing { font-style: italic; color: var(--soft); }
.before { display: flex; gap: 12px; align-items: center; border-top: 1px solid var(--line);
  padding: 10px 14px; }
.before svg { width: 128px; flex: none; max-height: 96px; border-radius: 4px; background: #111; }
table { border-collapse: collapse; font: 14px/1.5 system-ui, sans-serif; }
td, th { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
.hide-kept .kept, .hide-dropped .dropped, .hide-middle .middle, .hide-first .first { display: none; }
"""

SCRIPT = """
for (const box of document.querySelectorAll("nav input"))
  box.addEventListener("change", () => document.body.classList.toggle("hide-" + box.value, !box.checked));
"""
