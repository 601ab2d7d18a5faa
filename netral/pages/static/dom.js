// Makes elements. Text reaches the page as text nodes only, so that no article can bring markup of its own.
function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const byId = (id) => document.getElementById(id);

// A link leaves the page only for http and https; any other address is shown as text.
function link(address, text) {
  const safe = /^https?:\/\//i.test(address);
  return safe ? el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, text) : el("span", {}, text);
}

// What netral/pages/page.py packed: JSON, deflated, in base64.
async function unpack(id) {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

let toastTimer = 0;
function toast(text) {
  byId("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (byId("toast").textContent = ""), 2500);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers keep the clipboard from files opened from disk; a selected field can be copied all the same.
    const field = el("textarea", { readonly: true });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) return toast(`Copy it by hand: ${text}`);
  }
  toast(`Copied: ${text}`);
}

// A name for a download that no other has, and that sorts by time: the later of two label files counts.
function stamped(name) {
  const now = new Date();
  const two = (n) => String(n).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${name}-${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}.jsonl`;
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
